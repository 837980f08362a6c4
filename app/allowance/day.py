"""An account's running day in memory: what is due, the opening, the allowance rule. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from app.allowance.catalogue import Catalogue, running
from app.allowance.entitlement import Giving, Use, counting, entitled_tier
from app.allowance.opened_days import LastDay, OpenedDay
from app.allowance.origin import Origin
from app.allowance.past_days import DAY_SOURCES, PastDay, burn_first, carry_on
from app.allowance.zones import Day, Wave, day_of, first_start_of_later_date
from app.infrastructure.clock import NEVER
from app.infrastructure.ids import AccountNumber, RunNumber
from app.ledger import backings, clawbacks, holds
from app.ledger.backings import Backing
from app.ledger.clawbacks import Clawback
from app.ledger.holds import Hold, HoldState
from app.ledger.kinds import Act, Kind, LotSource
from app.ledger.sheet import JournalDraft, Lot, Sheet


@dataclass(slots=True, eq=False)
class AccountDay:
    """A locked account with its sheet, its running day and what its subscriptions give."""

    sheet: Sheet
    tier: str
    time_zone: str
    day: Day | None
    opening: int
    lot: Lot | None
    carried: Lot | None  # what was carried over; it burns first
    used_brought: int  # of ``brought``, the credits that count in the running day
    due_at: datetime
    closed_at: datetime | None
    catalogue: Catalogue
    catalogue_id: int
    day_catalogue: Catalogue
    day_catalogue_id: int
    givings: Sequence[Giving]
    withdrawn: bool  # the running day's opening was reversed
    posted_to: datetime  # graces that ended before this are posted
    suspended_at: datetime | None = None
    joined_to: AccountNumber | None = None
    brought: Sequence[Use] = ()  # of accounts that were joined to it
    brought_until: datetime | None = None  # no usage of other accounts counts later
    dormant: bool = False  # runs skip it until it is used
    runs: Mapping[Wave, RunNumber] = field(default_factory=dict)  # which run opens which day
    opened: list[OpenedDay] = field(default_factory=list)
    past: dict[date, PastDay] = field(default_factory=dict)  # credits may still come back to these
    holds: list[Hold] = field(default_factory=list)  # those that are open
    clawbacks: list[Clawback] = field(default_factory=list)
    backings: list[Backing] = field(default_factory=list)  # those that wait for a release
    changed: bool = False

    @property
    def now(self) -> datetime:
        """Return the clock's time after the account's lock."""
        return self.sheet.now

    @property
    def closed(self) -> bool:
        """Return whether the account gets no more grants."""
        return self.closed_at is not None

    @property
    def suspended(self) -> bool:
        """Return whether the account is suspended: it opens no day, and nothing can be spent."""
        return self.suspended_at is not None

    @property
    def next_grant_at(self) -> datetime | None:
        """Return when the next day opens; None for a closed or suspended account."""
        if self.closed or self.suspended or self.day is None:
            return None
        return self.day.ends_at

    def post_due(self, origin: Origin) -> None:
        """Post what is due by now, in time order: grace ends, lots' ends, the day's end."""
        due = self._next_due()
        while due <= self.now:
            self.changed = True
            self.posted_to = max(self.posted_to, due)
            if self.day is not None and due == self.day.ends_at and not self._waits:
                self._end_day(origin)
            else:
                self._release_overdue(due, origin)
                self._lapse(due, origin, but=self._lots_of_day() if self._waits else ())
                self.entitle(self.posted_to, origin)
            due = self._next_due()
        noted, self.due_at = self.due_at, due
        # A spend that empties a lot does not look for the next end: what is noted may be none.
        self.changed |= noted != self.due_at

    def entitle(self, at: datetime, origin: Origin) -> None:
        """Read the tier that applies at this instant, and apply the allowance rule."""
        self.tier = entitled_tier(self.givings, at, self.running)
        self.changed = True
        self.posted_to = max(self.posted_to, at)
        self.settle(at, origin)
        self.due_at = self._next_due()

    def settle(self, at: datetime, origin: Origin) -> None:
        """Apply the allowance rule: the day's lot has max(0, allowance - used) free."""
        if self.lot is None or self.closed or self.lot.expires_at <= at:
            return
        used = self.lot.drawn + self.used_brought
        difference = min(max(0, self.allowed - used) - self.lot.free, self.sheet.room)
        if difference > 0:
            self.sheet.add(self._journal(Act.TOP_UP, at, origin), self.lot, difference)
        elif difference < 0:
            self.sheet.expire(self._journal(Act.TRIM, at, origin), self.lot, -difference)

    @property
    def allowed(self) -> int:
        """Return how many credits may be used in the running day, by the tier that applies now.

        A subscription that came from another account brings the usage of that account's days. It
        lowers only what the subscription adds: the account has at least what it would have without
        it.
        """
        if self.withdrawn or self.day is None:
            return 0
        starts_at, at = self.day.starts_at, self.posted_to
        moved = [giving for giving in self.givings if counting(giving.uses, starts_at)]
        if not moved:
            return self._credits(self.tier)
        own = [giving for giving in self.givings if giving not in moved]
        allowed = self._credits(entitled_tier(own, at, self.running))
        for giving in moved:
            tier = entitled_tier([*own, giving], at, self.running)
            allowed = max(allowed, self._credits(tier) - counting(giving.uses, starts_at))
        return allowed

    def _credits(self, tier: str) -> int:
        """Return the tier's daily credits, by the running day's catalogue."""
        # A tier that was added and removed since the day began gives nothing until derived again.
        known = self.running.has(tier)
        return (self.running.tier(tier) if known else self.running.free).daily_credits

    @property
    def running(self) -> Catalogue:
        """Return the catalogue that decides until the day ends."""
        if self.day_catalogue is self.catalogue:
            return self.catalogue
        return running(self.day_catalogue, self.catalogue)

    def open_first_day(self, origin: Origin) -> None:
        """Open the day of a new account at once."""
        self._open(day_of(self.time_zone, self.now), origin)
        self.due_at = self._next_due()

    def change_zone(self, zone: str) -> None:
        """Change the zone; the running day lasts until a later date starts in it."""
        self.changed = True
        self.time_zone = zone
        if self.day is None or self.lot is None:
            return
        later = first_start_of_later_date(zone, self.day.on, self.now)
        for lot in self._lots_of_day():
            lot.expires_at, lot.changed = later.starts_at, True
        self.day = Day(self.day.on, self.day.starts_at, later.starts_at)
        self.due_at = self._next_due()

    @property
    def _waits(self) -> bool:
        """Return whether the day's end waits until the account is resumed, like a gap of days."""
        return self.suspended and not self.closed

    def begin_again(self, origin: Origin, last: LastDay | None) -> None:
        """Give days again to an account that was closed; ``last`` is its last day."""
        self.closed_at, self.changed = None, True
        if self.day is None:
            today = day_of(self.time_zone, self.now)
            if last is None or today.on > last.day.on:
                self._open(today, origin)
            else:  # dates only ascend: after a change of zone that day goes on until a later date
                later = first_start_of_later_date(self.time_zone, last.day.on, self.now)
                self.day = Day(last.day.on, last.day.starts_at, later.starts_at)
                self.opening, self.lot, self.carried = last.opening, last.lot, last.carried
                for lot in filter(None, (self.lot, self.carried)):
                    lot.expires_at = later.starts_at
                    lot.of_running_day = lot.changed = True
        self.entitle(self.now, origin)

    def _end_day(self, origin: Origin) -> None:
        assert self.day is not None
        ended = self.day
        if self.closed:
            self._lapse(ended.ends_at, origin)
            self.leave_day()
            return
        day = day_of(self.time_zone, self.now)
        if day.on > ended.on or self.lot is None:
            self._open(day, origin)
        else:  # tzdata has moved the day's end since the day was opened
            self.change_zone(self.time_zone)

    def _open(self, day: Day, origin: Origin) -> None:
        ended, ended_lots = self.day, self._lots_of_day()
        past = self._past_day(ended_lots)
        self.leave_day()
        # A grace period that ended before the day began changes nothing in it.
        self.posted_to = max(self.posted_to, day.starts_at)
        self.day, self.opening, self.withdrawn = day, 1, False
        self.used_brought = counting(self.brought, day.starts_at)
        self.day_catalogue, self.day_catalogue_id = self.catalogue, self.catalogue_id
        self.tier = entitled_tier(self.givings, day.starts_at, self.catalogue)
        if ended is not None:
            self._lapse(ended.ends_at, origin, but=ended_lots)
        run_id = self.runs.get((day.on, day.starts_at))
        journal = self._journal(Act.OPENING, day.starts_at, replace(origin, run_id=run_id))
        if ended is not None and past is not None:
            self._carry_over(journal, ended, past)
        # Near the largest allowed balance a day gives only what fits: no day is ever blocked.
        credits = min(max(0, self.allowed - self.used_brought), self.sheet.room)
        self.lot = self.sheet.grant(journal, LotSource.DAILY, credits, day.ends_at)
        self.lot.of_running_day = True
        self.opened.append(
            OpenedDay(
                account_id=self.sheet.account_id,
                day=day,
                opening=self.opening,
                time_zone=self.time_zone,
                tier=self.tier,
                credits=credits,
                previous_on=ended.on if ended else None,
                lot=self.lot,
                carried=self.carried,
                run_id=run_id,
                after_dormancy=self.dormant,
                carry_over_max=past.carry_over_max if past else 0,
                previous_allowed=past.allowed if past else 0,
            )
        )
        self.dormant = False

    def _lots_of_day(self) -> list[Lot]:
        """Return the lots that end with the running day, its own first."""
        if self.day is None or self.lot is None:
            return []
        ends_at = self.day.ends_at
        others = [
            lot
            for lot in self.sheet.lots
            if lot.source in DAY_SOURCES and lot.expires_at == ends_at and lot is not self.lot
        ]
        return [self.lot, *sorted(others, key=lambda lot: lot.number or 2**63)]

    def _past_day(self, lots: Sequence[Lot]) -> PastDay | None:
        """Return the running day as a past day that ends now."""
        if self.lot is None:
            return None
        return PastDay(
            own=self.lot,
            carried=self.carried,
            others=[lot for lot in lots if lot not in (self.lot, self.carried)],
            allowed=max(0, self.allowed - self.used_brought),
            carry_over_max=self.running.carry_over_max(self.tier),
        )

    def leave_day(self) -> None:
        """End the running day."""
        for lot in filter(None, (self.lot, self.carried)):
            lot.of_running_day, lot.changed = False, True
        self.day = self.lot = self.carried = None
        self.changed = True

    def _carry_over(self, journal: JournalDraft, ended: Day, past: PastDay) -> None:
        """Move what is left of the ended day into the new one, up to its tier's carry-over limit.

        Days that nobody opened in between give nothing and take nothing.
        """
        assert self.day is not None
        if past.carry_over_max:
            self.carried = self.sheet.grant(journal, LotSource.CARRIED, 0, self.day.ends_at)
            self.carried.of_running_day = True
        self.sheet.carry(
            journal, past.lots, past.carry_over_max, self.carried, ended_at=ended.ends_at
        )
        for earlier in self.past.values():
            earlier.following = earlier.following or past
        self.past[ended.on] = past

    def hold(self, journal: JournalDraft, hold: Hold) -> None:
        """Reserve the hold's amount; raise InsufficientCreditsError if it is not available."""
        holds.take(self.sheet, journal, hold, self.next_grant_at)
        self.holds.append(hold)
        self.changed = True
        self.due_at = self._next_due()

    def capture(
        self, journal: JournalDraft, hold: Hold, amount: int, origin: Origin, *, final: bool = True
    ) -> None:
        """Spend this much of the hold; the rest is released, or stays held for more captures."""
        left = amount
        for lot, part in hold.parts:
            taken = min(part, left)
            left -= taken
            # What a clawback waited for becomes a shortfall if nothing else is held.
            lost = max(0, taken - self.spare(lot))
            for clawback in self.clawbacks_of(lot):
                lost -= clawbacks.captured(self.sheet, journal, clawback, lost)
        given_back = holds.capture(self.sheet, journal, hold, amount, final=final)
        self._given_back(journal, given_back, self.now, origin)

    def release(
        self, journal: JournalDraft, hold: Hold, state: HoldState, at: datetime, origin: Origin
    ) -> None:
        """Give back all of the hold."""
        self._given_back(journal, holds.release(self.sheet, journal, hold, state), at, origin)

    def _given_back(
        self, journal: JournalDraft, lots: Sequence[Lot], at: datetime, origin: Origin
    ) -> None:
        self.changed = True
        self.came_back(journal, lots, at)
        self.settle(at, origin)
        self.due_at = self._next_due()

    def came_back(self, journal: JournalDraft, lots: Sequence[Lot], at: datetime) -> None:
        """Process credits that are free again in these lots: clawbacks, ends of lots, debt.

        The caller settles the running day afterwards.
        """
        for lot in lots:
            for clawback in self.clawbacks_of(lot):
                clawbacks.given_back(self.sheet, journal, clawback, lot.free)
            backings.freeze_again(self.sheet, journal, lot, self.backings)
        running = (self.lot, self.carried) if self.lot else None
        for lot in lots:
            past = next((past for past in self.past.values() if lot in past.lots), None)
            if past and running:
                carry_on(self.sheet, journal, past, running, self.clawbacks)
            elif lot.expires_at <= at and not (self._waits and lot in self._lots_of_day()):
                self.sheet.expire(journal, lot)
            elif lot is self.carried and running:
                burn_first(self.sheet, journal, running, self.clawbacks)
            self.sheet.repay(journal, lot)

    def carried_on(self, journal: JournalDraft) -> int:
        """Return how much of what came back to past days was carried into the running day."""
        if self.carried is None:
            return 0
        return self.sheet.sum_of(journal, Kind.TRANSFER, into=self.carried)

    def clawbacks_of(self, lot: Lot) -> list[Clawback]:
        """Return the clawbacks of this lot, by reversals and by refunds of money."""
        return backings.clawbacks_of(lot, self.clawbacks, self.backings)

    def spare(self, lot: Lot) -> int:
        """Return what is held of this lot and is neither frozen nor awaited by a clawback."""
        return backings.spare(lot, self.clawbacks, self.backings)

    def _release_overdue(self, due: datetime, origin: Origin) -> None:
        """Release the holds past their deadline."""
        for hold in self.holds:
            if hold.state is HoldState.HELD and hold.expires_at <= due:
                journal = self._journal(Act.RELEASE, hold.expires_at, origin)
                self.release(journal, hold, HoldState.EXPIRED, hold.expires_at, origin)

    def _lapse(self, at: datetime, origin: Origin, but: Sequence[Lot] = ()) -> None:
        """Expire every lot whose end has come by ``at``, in the order of their numbers."""
        for lot in sorted(self.sheet.lots, key=lambda lot: lot.number or 2**63):
            if lot not in but and lot.free > 0 and lot.expires_at <= at:
                self.sheet.expire(self._journal(Act.EXPIRY, lot.expires_at, origin), lot)

    def refresh_due(self) -> None:
        """Compute again when the next thing is due, after lots were added."""
        self.due_at = self._next_due()

    def _next_due(self) -> datetime:
        ends_at = (giving.grace_end(self.running) for giving in self.givings)
        graces = (end for end in ends_at if end is not None and end > self.posted_to)
        of_day = self._lots_of_day()
        ends = (lot.expires_at for lot in self.sheet.lots if lot.free > 0 and lot not in of_day)
        deadlines = (hold.expires_at for hold in self.holds if hold.state is HoldState.HELD)
        day_ends = (self.day.ends_at,) if self.day and not self._waits else ()
        return min((*graces, *ends, *deadlines, *day_ends), default=NEVER)

    def gives(self, giving: Giving) -> str | None:
        """Return the tier that this subscription gives now, or None."""
        return giving.at(self.now, self.running)

    def _journal(self, act: Act, at: datetime, origin: Origin) -> JournalDraft:
        return self.sheet.begin(
            JournalDraft(
                act=act,
                source=origin.source,
                actor=origin.actor,
                effective_at=at,
                event_id=origin.event_id,
                run_id=origin.run_id,
            )
        )
