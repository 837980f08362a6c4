"""One account in plain integers, after the text of DESIGN: what the real ledger is held against.

Nothing here comes from ``app``: lots are records, every act is a few additions, and what is due
is whatever has the earliest instant.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

NEVER = datetime(9999, 12, 31, tzinfo=UTC)
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
ALLOWANCE = {"FREE": 5, "PRO": 20, "ENTERPRISE": 50}
# Above a day, below it, and nothing.
CARRY_OVER_MAX = {"FREE": 7, "PRO": 12, "ENTERPRISE": 0}


ORDER = count(1)  # of what happens, across accounts


class RefusedByModel(Exception):  # noqa: N818 - a refusal is no error of the model's
    """The model refuses; ``code`` is the contract's."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(eq=False)
class ModelLot:
    """One lot; ``used`` is what left it for anything but expiry, less what came back."""

    number: int
    source: str
    priority: int
    granted_at: datetime
    ends: datetime
    free: int = 0
    held: int = 0
    lapsed: int = 0
    used: int = 0
    carried_in: int = 0


@dataclass(eq=False)
class ModelDay:
    """A day that is over: what its rule allowed at its end, and how much could go on."""

    own: ModelLot
    carried: ModelLot | None
    allowed: int
    most: int
    others: list[ModelLot] = field(default_factory=list)  # carried lots of accounts that joined

    @property
    def lots(self) -> list[ModelLot]:
        return [self.own, *([self.carried] if self.carried else []), *self.others]


@dataclass(eq=False)
class ModelHold:
    """What was reserved of which lots."""

    parts: list[tuple[ModelLot, int]]
    taken_at: datetime
    ends: datetime
    amount: int
    state: str = "held"
    captured: int = 0
    last: bool = False  # its last capture was made

    @property
    def left(self) -> int:
        return sum(part for _, part in self.parts) if self.state == "held" else 0

    @property
    def shown(self) -> str:
        return "captured" if self.captured and self.state != "held" else self.state


@dataclass(eq=False)
class ModelClawback:
    """A reversed grant: how far its taking back has come."""

    lot: ModelLot
    policy: str
    requested: int
    clawed: int = 0
    held: int = 0
    shortfall: int = 0
    expired: int = 0
    undone: int = 0
    of_return: bool = False


PACK_CREDITS = 100
PACK_PRICE = 1_000
PACK_TERM = timedelta(days=365)


@dataclass(eq=False)
class ModelPurchase:
    """A pack that was bought: the money that went back, and what of its lot went with it."""

    lot: ModelLot
    clawback: ModelClawback
    refunds: dict[str, int] = field(default_factory=dict)
    disputes: dict[str, tuple[int, str]] = field(default_factory=dict)
    to_freeze: int = 0
    frozen: int = 0
    closed: bool = False

    def share(self, *states: str) -> int:
        """The pack's part in what was refunded, and in the disputes of these states."""
        disputed = sum(amount for amount, state in self.disputes.values() if state in states)
        back = sum(self.refunds.values()) + disputed
        return PACK_CREDITS * min(PACK_PRICE, back) // PACK_PRICE


@dataclass(eq=False)
class ModelReturn:
    """What a return gave back of which spend, where it went, and what it did on the way."""

    of: ModelJournal
    parts: list[tuple[int, ModelLot | None, int]]  # (place in the spend, lot, amount)
    went: dict[ModelLot, int] = field(default_factory=dict)
    freed: int = 0  # of credits that had repaid debt
    by_lots: int = 0  # of debt that was repaid by what came back
    made_good: list[tuple[ModelClawback, int]] = field(default_factory=list)
    frozen: list[tuple[ModelPurchase, int]] = field(default_factory=list)

    def move(self, lot: ModelLot, amount: int) -> None:
        self.went[lot] = self.went.get(lot, 0) + amount


@dataclass(eq=False)
class ModelJournal:
    """A reversible journal: what it gave to one lot, or what it took from several."""

    kind: str
    given: tuple[ModelLot, int] | None = None
    taken: list[tuple[ModelLot | None, int]] = field(default_factory=list)  # None: it is owed
    clawbacks: list[ModelClawback] = field(default_factory=list)
    owed: tuple[int, int] = (0, 0)  # of a reversed return: owed again, and expired of that
    answer: tuple[int, ...] | None = None  # of its reversal, once it is reversed
    by_run: bool = False
    back: ModelReturn | None = None


def midnight_after(instant: datetime) -> datetime:
    return instant.replace(hour=0, minute=0, second=0, microsecond=0) + DAY


class AccountModel:
    """An account in UTC, on the shipped catalogue with these maxima."""

    def __init__(self, now: datetime) -> None:
        self.now = now
        self.gives: dict[str, str] = {}  # which tier, by the customer who pays for it
        self.closed_at: datetime | None = None
        self.debt = 0
        self.lots: list[ModelLot] = []
        self.holds: list[ModelHold] = []
        self.clawbacks: list[ModelClawback] = []
        self.repayments: list[tuple[int, ModelLot, int]] = []  # in order
        self.brought: dict[ModelLot, int] = {}  # used of the days of accounts that joined today
        self.purchases: list[ModelPurchase] = []
        self.openings: list[ModelJournal] = []
        self.top_ups: list[ModelJournal] = []
        self.withdrawn = self.suspended = False
        self.returning: ModelReturn | None = None
        self.day_ends: datetime | None = None
        self.daily: ModelLot | None = None
        self.carried: ModelLot | None = None
        self.past: list[ModelDay] = []
        self._open_day(now, by_run=False)

    @property
    def tier(self) -> str:
        """The best of what its subscriptions give."""
        return max(["FREE", *self.gives.values()], key=ALLOWANCE.__getitem__)

    @property
    def closed(self) -> bool:
        return self.closed_at is not None

    @property
    def waits(self) -> bool:
        """Whether its day goes on, past its end, until it is resumed."""
        return self.suspended and not self.closed

    def suspend(self) -> None:
        self.post_due()
        self.suspended = True

    def resume(self) -> None:
        self.post_due()
        self.suspended = False
        self.post_due()

    def of_day(self) -> list[ModelLot]:
        """The lots that end with the running day."""
        return [
            lot
            for lot in self.lots
            if lot is self.daily or (lot.source == "carried" and lot.ends == self.day_ends)
        ]

    @property
    def free(self) -> int:
        return sum(lot.free for lot in self.lots)

    @property
    def held(self) -> int:
        return sum(lot.held for lot in self.lots)

    def burnable(self) -> list[ModelLot]:
        alive = [lot for lot in self.lots if lot.free and lot.ends > self.now]
        return sorted(alive, key=lambda lot: (lot.priority, lot.ends, lot.granted_at, lot.number))

    def available(self) -> int:
        """What a spend would find."""
        return self.found_by_a_spend()[0]

    def found_by_a_spend(self) -> tuple[int, int]:
        """What is available, and what is owed, once all that is due is posted."""
        seen = copy.deepcopy(self)
        seen.post_due()
        return 0 if seen.suspended else sum(lot.free for lot in seen.burnable()), seen.debt

    def posted(self) -> dict[str, object]:
        """What a read shows as posted."""
        lots = [lot for lot in self.lots if lot.free or lot.held]
        lots.sort(key=lambda lot: (lot.priority, lot.ends, lot.granted_at, lot.number))
        return {
            "free": self.free,
            "held": self.held,
            "debt": self.debt,
            "balance": self.free + self.held - self.debt,
            "lots": [(lot.source, lot.free, lot.held, lot.priority, lot.ends) for lot in lots],
        }

    # What time does.

    def next_due(self) -> datetime:
        holds = [hold.ends for hold in self.holds if hold.state == "held"]
        of_day = self.of_day() if self.waits else [self.daily]
        lots = [lot.ends for lot in self.lots if lot.free and lot not in of_day]
        day_ends = NEVER if self.waits or self.day_ends is None else self.day_ends
        return min([*holds, *lots, day_ends])

    def post_due(self, *, by_run: bool = False) -> None:
        """All that is due by now, in time order."""
        while (due := self.next_due()) <= self.now and due != NEVER:
            if due == self.day_ends and not self.waits:
                self._end_day(by_run=by_run)
                continue
            for hold in self.holds:
                if hold.state == "held" and hold.ends <= due:
                    self._give_back(hold, 0, due)
                    hold.state = "expired"
            self._lapse(due, but=tuple(self.of_day()) if self.waits else ())

    def tick_to(self, to: datetime) -> None:
        """Each minute's tick up to ``to``, then the clock alone."""
        last = self.now
        while (due := self.next_due()) != NEVER:
            minute = max(_minute_from(due), _minute_from(last))
            if minute > to:
                break
            self.now = minute
            self.post_due(by_run=True)
            last = minute + timedelta(microseconds=1)
        self.now = to

    def _end_day(self, *, by_run: bool) -> None:
        assert self.day_ends is not None
        assert self.daily is not None
        ended = self.day_ends
        self.day_ends = None
        if self.closed:
            self._lapse(ended)
            return
        allowed = 0 if self.withdrawn else ALLOWANCE[self.tier]
        allowed = max(0, allowed - sum(self.brought.values()))
        day = ModelDay(self.daily, self.carried, allowed, CARRY_OVER_MAX[self.tier])
        day.others = [
            lot
            for lot in self.lots
            if lot.source == "carried" and lot.ends == ended and lot is not self.carried
        ]
        self._lapse(ended, but=tuple(day.lots))
        self.past.append(day)
        self._open_day(self.now, by_run=by_run)

    def _lapse(self, at: datetime, but: tuple[ModelLot | None, ...] = ()) -> None:
        for lot in self.lots:
            if lot.ends <= at and lot not in but:
                lot.lapsed += lot.free
                lot.free = 0

    def _open_day(self, now: datetime, *, by_run: bool) -> None:
        self.day_ends, self.withdrawn, self.brought = midnight_after(now), False, {}
        starts = self.day_ends - DAY
        self.carried = None
        if self.past and self.past[-1].most:
            self.carried = self._lot("carried", 100, starts, self.day_ends)
        if self.past:
            self._carry(self.past[-1], self.carried)
        self.daily = self._lot("daily", 200, starts, self.day_ends)
        self.daily.free = ALLOWANCE[self.tier]
        journal = ModelJournal("opening", (self.daily, self.daily.free), by_run=by_run)
        self.openings.append(journal)
        self._repay([self.daily])

    def _lot(self, source: str, priority: int, granted_at: datetime, ends: datetime) -> ModelLot:
        lot = ModelLot(len(self.lots), source, priority, granted_at, ends)
        self.lots.append(lot)
        return lot

    def _carry(self, day: ModelDay, into: ModelLot | None) -> int:
        """What is free of a day's lots goes on as far as there is room; the rest lapses."""
        moved = 0
        for lot in day.lots:
            again = sum(one.clawed for one in self._on(into) if one.of_return) if into else 0
            part = min(lot.free, day.most - into.carried_in + again) if into else 0
            self._trace(lot, -part)
            self._trace(into, part)
            lot.lapsed += lot.free - part
            lot.free = 0
            if into:
                into.free += part
                into.carried_in += part
                self._repay([into])
            moved += part
        return moved

    def _carry_on(self, number: int) -> None:
        """What came back to a past day passes its end again, and every later one."""
        for n in range(number, len(self.past)):
            day = self.past[n]
            self._burn_first(day.own, day.carried)
            # Its rule had left free what lies within it.
            beyond = max(0, min(day.own.free, day.own.used + day.own.free - day.allowed))
            day.own.free -= beyond
            day.own.lapsed += beyond
            last = n + 1 == len(self.past)
            if not self._carry(day, self.carried if last else self.past[n + 1].carried):
                return
        self._burn_first(self.daily, self.carried)

    def _burn_first(self, own: ModelLot | None, carried: ModelLot | None) -> None:
        """What was drawn of the day's own in place of what was carried returns."""
        if own is None or carried is None:
            return
        taken = sum(one.clawed + one.undone for one in self._on(own) if not one.of_return)
        part = max(0, min(carried.free, own.used - taken))
        self._trace(carried, -part)
        self._trace(own, part)
        carried.free -= part
        own.free += part
        own.used -= part

    def _repay(self, lots: list[ModelLot]) -> None:
        """Debt never stands beside free credits."""
        for lot in lots:
            self._pay(lot, min(self.debt, lot.free))

    def _trace(self, lot: ModelLot | None, amount: int) -> None:
        if self.returning is not None and lot is not None and amount:
            self.returning.move(lot, amount)

    def _pay(self, lot: ModelLot, amount: int) -> None:
        self._trace(lot, -amount)
        if self.returning is not None:
            self.returning.by_lots += amount
        self.debt -= amount
        lot.free -= amount
        lot.used += amount
        self.repayments.append((next(ORDER), lot, amount))

    def settle(self, at: datetime | None = None) -> None:
        """max(0, allowance of the tier entitled now - used)."""
        if self.closed or self.daily is None or self.day_ends is None:
            return
        if self.waits and self.day_ends <= (at or self.now):
            return
        allowance = 0 if self.withdrawn else ALLOWANCE[self.tier]
        used = self.daily.used + sum(self.brought.values())
        difference = max(0, allowance - used) - self.daily.free
        self.daily.free += difference
        if difference > 0:
            self.top_ups.append(ModelJournal("top_up", (self.daily, difference)))
            self._repay([self.daily])
        else:
            self.daily.lapsed -= difference

    # What callers do; each posts what is due first.

    def _draw(self, amount: int) -> list[tuple[ModelLot, int]]:
        if sum(lot.free for lot in self.burnable()) < amount:
            raise RefusedByModel("insufficient_credits")
        parts = []
        for lot in self.burnable():
            part = min(lot.free, amount)
            if part:
                amount -= part
                lot.free -= part
                lot.used += part
                parts.append((lot, part))
        return parts

    def spend(self, amount: int, kind: str = "spend") -> ModelJournal:
        self.post_due()
        if kind == "spend":
            self._must_not_be_suspended()
        return ModelJournal(kind, taken=self._draw(amount))

    def _must_not_be_suspended(self) -> None:
        if self.suspended:
            raise RefusedByModel("account_suspended")

    def hold(self, amount: int, seconds: int) -> ModelHold:
        self.post_due()
        self._must_not_be_suspended()
        parts = self._draw(amount)
        for lot, part in parts:
            lot.held += part
        hold = ModelHold(parts, self.now, self.now + timedelta(seconds=seconds), amount)
        self.holds.append(hold)
        return hold

    def capture(
        self, hold: ModelHold, amount: int, over: str = "refuse", *, final: bool = True
    ) -> ModelJournal:
        self.post_due()
        if hold.last or hold.state == "released":
            raise RefusedByModel("hold_closed")
        if over == "refuse" and hold.ends <= self.now:
            raise RefusedByModel("hold_expired")
        held, free, debt = self._shares(hold, amount, over)
        if not held and not free and not debt:  # all of it is uncovered
            if final and hold.ends > self.now:
                hold.last = True
            return ModelJournal("nothing")
        taken: list[tuple[ModelLot | None, int]] = []
        if held:
            taken += self._give_back(hold, held, self.now, final=final)
            self.settle()
        if free:
            taken += self._draw(free)
        if debt:
            self.debt += debt
            taken.append((None, debt))
        hold.captured += held + free + debt
        if hold.state == "held" and (final or not hold.left):
            hold.state = "captured"
        hold.last = final
        return ModelJournal("capture", taken=taken)

    def _shares(self, hold: ModelHold, amount: int, over: str) -> tuple[int, int, int]:
        """What is taken of the hold, of what is free, and what is owed."""
        held = min(amount, hold.left)
        if held < amount and over == "refuse":
            raise RefusedByModel("refused")
        free = min(amount - held, sum(lot.free for lot in self.burnable()))
        free = 0 if self.suspended else free
        if over == "debt" and held < amount:
            self._must_not_be_suspended()
        if over == "debt":
            return held, free, amount - held - free
        return held, free, 0

    def extend(self, hold: ModelHold, seconds: int) -> None:
        self.post_due()
        self._must_be_open(hold)
        ends = self.now + timedelta(seconds=seconds)
        if ends > hold.taken_at + timedelta(days=7):
            raise RefusedByModel("hold_too_long")
        hold.ends = ends

    def release(self, hold: ModelHold) -> None:
        self.post_due()
        self._must_be_open(hold)
        self._give_back(hold, 0, self.now)
        hold.state = "released"

    def _must_be_open(self, hold: ModelHold) -> None:
        if hold.last or hold.state == "released":
            raise RefusedByModel("hold_closed")
        if hold.ends <= self.now:
            raise RefusedByModel("hold_expired")

    def _give_back(
        self, hold: ModelHold, captured: int, at: datetime, *, final: bool = True
    ) -> list[tuple[ModelLot, int]]:
        """Take ``captured`` of the hold in drawing order; the rest comes back, or stays held."""
        taken: list[tuple[ModelLot, int]] = []
        back: list[tuple[ModelLot, int]] = []
        for lot, part in hold.parts:
            take = min(part, captured - sum(amount for _, amount in taken))
            if take:
                taken.append((lot, take))
            if part > take:
                back.append((lot, part - take))
        hold.parts = [] if final else back
        if not final:
            back = []
        for lot, take in taken:
            # What waited for the release of this lot and is spent instead falls short.
            short = max(0, take - self._spare(lot))
            for clawback in self._on(lot):
                part = min(short, clawback.held)
                short -= part
                clawback.held -= part
                self._fall_short(clawback, part)
        for lot, take in taken:
            lot.held -= take
        for lot, part in back:
            lot.held -= part
            lot.free += part
            lot.used -= part
        self._came_back([lot for lot, _ in back], at)
        self.settle(at)
        return taken

    def _spare(self, lot: ModelLot) -> int:
        """What is held of it and neither frozen nor waited for."""
        frozen = sum(one.frozen for one in self.purchases if one.lot is lot)
        return lot.held - frozen - sum(clawback.held for clawback in self._on(lot))

    def _on(self, lot: ModelLot) -> list[ModelClawback]:
        return [clawback for clawback in self.clawbacks if clawback.lot is lot]

    def _came_back(self, lots: list[ModelLot], at: datetime) -> None:
        """Clawbacks go on, what ended goes on or lapses, debt is repaid."""
        for lot in lots:
            for clawback in self._on(lot):
                self._take(clawback, min(clawback.held, lot.free))
            for one in self.purchases:
                if one.lot is lot:
                    self._freeze(one)
        for lot in lots:
            days = [n for n, day in enumerate(self.past) if lot in day.lots]
            if days and self.day_ends is not None:
                self._carry_on(days[0])
            elif lot.ends <= at and not (self.waits and lot in self.of_day()):
                lot.lapsed += lot.free
                lot.free = 0
            elif lot is self.carried:
                self._burn_first(self.daily, self.carried)
            self._repay([lot])

    @staticmethod
    def _take(clawback: ModelClawback, amount: int) -> None:
        clawback.held -= amount
        clawback.clawed += amount
        clawback.lot.free -= amount
        clawback.lot.used += amount

    def _fall_short(self, clawback: ModelClawback, amount: int) -> None:
        clawback.shortfall += amount
        if clawback.policy == "debt":
            self.debt += amount
            self._repay(self.burnable())

    def grant(
        self, amount: int, ends: datetime, priority: int, kind: str = "grant"
    ) -> ModelJournal:
        self.post_due()
        lot = self._lot("promotional", priority, self.now, ends)
        lot.free = amount
        self._repay([lot])
        return ModelJournal(kind, (lot, amount))

    def buy(self, made_at: datetime) -> ModelJournal:
        self.post_due()
        self._come_back(made_at)
        lot = self._lot("purchased", 400, min(made_at, self.now), self.now + PACK_TERM)
        lot.free = PACK_CREDITS
        clawback = ModelClawback(lot, "debt", 0)
        self.clawbacks.append(clawback)
        self.purchases.append(ModelPurchase(lot, clawback))
        self._repay([lot])
        return ModelJournal("purchase", (lot, PACK_CREDITS))

    def money_moved(self, one: ModelPurchase) -> None:
        """Let the lot have what the pack's money says; the difference is posted."""
        self.post_due()
        taken = one.share("lost")
        frozen = one.share("lost", "needs_response", "under_review") - taken
        if one.closed or (taken, frozen) == (one.clawback.requested, one.to_freeze):
            return
        more = taken - one.clawback.requested
        one.to_freeze = frozen
        one.clawback.requested = taken
        if more < 0:
            self._give_credits_back(one, -more)
        self._take_more(one, max(0, more))
        self._freeze(one)
        self._came_back([one.lot], self.now)

    def _give_credits_back(self, one: ModelPurchase, amount: int) -> None:
        """First what is owed is no more, then what lapsed or waits, then the credits return."""
        clawback = one.clawback
        owed = min(amount, clawback.shortfall)
        clawback.shortfall -= owed
        clawback.undone = min(clawback.undone, clawback.shortfall)
        lapsed = min(amount - owed, clawback.expired)
        clawback.expired -= lapsed
        waiting = min(amount - owed - lapsed, clawback.held)
        clawback.held -= waiting
        clawed = amount - owed - lapsed - waiting
        clawback.clawed -= clawed
        repaid = min(owed, self.debt)
        self.debt -= repaid
        one.lot.free += owed + clawed - repaid

    def _take_more(self, one: ModelPurchase, amount: int) -> None:
        """What stood frozen goes first, then what is free, waits, had lapsed; the rest is owed."""
        lot, clawback = one.lot, one.clawback
        waiting, lapsed = self._spare(lot), lot.lapsed - clawback.expired
        loose = max(0, one.frozen - one.to_freeze)
        one.frozen -= loose
        lot.held -= loose
        lot.free += loose
        clawed = min(lot.free, amount)
        lot.free -= clawed
        clawback.clawed += clawed
        held = min(waiting, amount - clawed)
        clawback.held += held
        expired = min(lapsed, amount - clawed - held)
        clawback.expired += expired
        self._fall_short(clawback, amount - clawed - held - expired)

    def _freeze(self, one: ModelPurchase) -> None:
        amount = min(one.lot.free, one.to_freeze - one.frozen)
        if self.returning is not None and amount:
            self.returning.frozen.append((one, amount))
        one.frozen += amount
        one.lot.free -= amount
        one.lot.held += amount

    def entitle(self, customer: str, tier: str, made_at: datetime) -> None:
        """A customer's subscription that Stripe made then gives this tier, or ends."""
        self.post_due()
        self.gives[customer] = tier
        if tier != "FREE":
            self._come_back(made_at)
        self.settle()

    def _come_back(self, made_at: datetime) -> None:
        """Whoever subscribes or pays after the closing is open again, and has today's day."""
        if self.closed_at is not None and made_at > self.closed_at:
            self.closed_at = None
            if self.day_ends is None:
                self._open_day(self.now, by_run=False)
            self.settle()

    def close(self) -> None:
        self.post_due()
        self.closed_at = self.closed_at or self.now

    def merge_into(self, other: AccountModel) -> None:
        """All that this account has is the other's: lots, holds, debt, and what it used today.

        Two days do not add up to two allowances: what is left of this one's lapses, and what was
        used of it counts as used of the other's. What is held of it is held of the other's day.
        """
        if other.closed:
            raise RefusedByModel("account_closed")
        self.post_due()
        other.post_due()
        ends_here = self.daily if self.day_ends is not None else None
        other.lots += self._in_order_of_moving()
        for number, lot in enumerate(other.lots):
            lot.number = number
        if ends_here is not None:
            ends_here.lapsed += ends_here.free
            ends_here.free = 0
            if not any(clawback.held for clawback in self._on(ends_here)):
                self._hold_of(ends_here, other)
            other.brought |= self.brought
            other.brought[ends_here] = ends_here.used
            ends_here.ends = self.now
        other.holds += self.holds
        other.clawbacks += self.clawbacks
        other.purchases += self.purchases
        other.repayments += self.repayments
        other._repay(other.burnable())
        other.settle()
        other.debt += self.debt
        other._repay(other.burnable())
        other.gives |= self.gives
        other.settle()

    def _in_order_of_moving(self) -> list[ModelLot]:
        """Packs, then what is free, then what is held, then what may still come back."""
        packs = [one.lot for one in self.purchases]
        free = [lot for lot in self.lots if lot.free]
        held = [lot for hold in self.holds for lot, _ in hold.parts]
        return list(dict.fromkeys([*packs, *free, *held, *self.lots]))

    def _hold_of(self, lot: ModelLot, other: AccountModel) -> None:
        """What is held of the day that ends here goes on in the other's day."""
        assert other.daily is not None
        for hold in self.holds:
            for at, (one, part) in enumerate(hold.parts):
                if one is lot and hold.state == "held":
                    hold.parts[at] = (other.daily, part)
                    lot.held -= part
                    lot.used -= part
                    lot.lapsed += part
                    other.daily.held += part
                    other.daily.used += part

    def reverse(self, journal: ModelJournal, policy: str) -> tuple[int, ...]:
        """requested, clawed, held, shortfall, expired, carried; again, the first answer."""
        if journal.answer is not None:
            return journal.answer
        self.post_due()
        if journal.back is not None:
            journal.answer = self._spend_again(journal, journal.back, policy)
        elif journal.given is not None:
            journal.answer = self._take_back(journal, *journal.given, policy)
        else:
            if not any(amount for _, amount in journal.taken):
                raise RefusedByModel("not_reversible")
            journal.answer = self._restore(journal.taken)
            journal.taken = [(lot, 0) for lot, _ in journal.taken]
        return journal.answer

    def give_back(self, journal: ModelJournal, amount: int) -> ModelJournal:
        """Return part of what a spend or capture took, the last part first."""
        left = sum(part for _, part in journal.taken)
        if amount > left:
            raise RefusedByModel("return_exceeds_spend")
        self.post_due()
        parts: list[tuple[int, ModelLot | None, int]] = []
        for at, (lot, part) in reversed(list(enumerate(journal.taken))):
            back = min(part, amount)
            amount -= back
            journal.taken[at] = (lot, part - back)
            parts.insert(0, (at, lot, back))
        parts = [part for part in parts if part[2]]
        self.returning = back_ = ModelReturn(journal, parts)
        self._restore([(lot, part) for _, lot, part in parts])
        return ModelJournal("return", back=back_)

    def _spend_again(
        self, journal: ModelJournal, back: ModelReturn, policy: str
    ) -> tuple[int, ...]:
        """What came back is taken where it went; debt that it lowered is owed again."""
        owing = [part for part in back.parts if part[1] is None]
        lots = [part for part in reversed(back.parts) if part[1] is not None]
        self._make_less_good(back, lots)
        shares = self._shares_of(back)
        gone = sum(share[4] for share in shares)
        owed = sum(amount for *_, amount in owing)
        journal.owed = (owed + back.by_lots - gone, gone)
        self.debt += journal.owed[0]
        for lot, _, _, repays, _ in shares:
            self._pay(lot, repays)
        given = {at: amount for at, _, amount in back.parts}
        self._forget_lapsed(given, owing, gone)
        short = self._take_shares(journal, shares, lots, given, policy)
        if policy == "reject" and sum(short):
            raise RefusedByModel("shortfall")
        for clawback, amount in zip(journal.clawbacks, short, strict=True):
            self._fall_short(clawback, amount)
        self._repay(self.burnable())
        for at, amount in given.items():
            lot, left = back.of.taken[at]
            back.of.taken[at] = (lot, left + amount)
        self.settle()
        return (
            sum(amount for *_, amount in back.parts),
            journal.owed[0] + sum(one.clawed for one in journal.clawbacks),
            sum(one.held for one in journal.clawbacks),
            sum(short),
            gone + sum(one.expired for one in journal.clawbacks),
            0,
        )

    def _make_less_good(
        self, back: ModelReturn, lots: list[tuple[int, ModelLot | None, int]]
    ) -> None:
        """Other reversals fall short again, days that joined are used again, less is frozen."""
        good = sum(amount for one, amount in back.made_good if one.lot.source == "daily")
        for _, lot, amount in lots:
            if lot in self.brought:
                self.brought[lot] += max(0, amount - good)
                good = max(0, good - amount)
        for clawback, amount in back.made_good:
            again = min(amount, clawback.undone)
            clawback.undone -= again
            clawback.lot.free += again
            clawback.lot.used -= again
            if clawback.policy == "debt":
                self.debt += again
        for one, amount in back.frozen:
            part = min(one.frozen, amount)
            one.frozen -= part
            one.lot.held -= part
            one.lot.free += part

    def _shares_of(self, back: ModelReturn) -> list[tuple[ModelLot, int, int, int, int]]:
        """(lot, what had repaid debt, the rest; of the first: what repays again, what expired)."""
        shares, left = [], back.freed
        for lot, given in back.went.items():
            freed = min(max(0, given), left)
            left -= freed
            repays = min(lot.free, freed)
            held = min(self._spare(lot), freed - repays)
            gone = min(self._uncounted(lot), freed - repays - held)
            shares.append((lot, freed, max(0, given) - freed, repays, gone))
        return shares

    def _uncounted(self, lot: ModelLot) -> int:
        return max(0, lot.lapsed - sum(one.expired for one in self._on(lot)))

    @staticmethod
    def _forget_lapsed(
        given: dict[int, int], owing: list[tuple[int, ModelLot | None, int]], gone: int
    ) -> None:
        """What expired stays returned."""
        for at, _, amount in owing:
            part = min(amount, gone)
            gone -= part
            given[at] -= part

    def _take_shares(
        self,
        journal: ModelJournal,
        shares: list[tuple[ModelLot, int, int, int, int]],
        lots: list[tuple[int, ModelLot | None, int]],
        given: dict[int, int],
        policy: str,
    ) -> list[int]:
        """Take what is there of each lot, and return what falls short."""
        left, short = {at: amount for at, _, amount in lots}, []
        for lot, _, wanted, _, gone in shares:
            rest = wanted
            for at, _, _ in sorted(lots, key=lambda part: part[1] is not lot):
                amount = min(rest, left[at])
                rest -= amount
                left[at] -= amount
                if not amount:
                    continue
                one = ModelClawback(lot, policy, amount, of_return=True)
                clawed = min(lot.free, amount)
                one.held = min(self._spare(lot), amount - clawed)
                lapsed = max(0, self._uncounted(lot) - gone)
                one.expired = min(lapsed, amount - clawed - one.held)
                one.clawed = clawed
                lot.free -= clawed
                lot.used += clawed
                given[at] -= one.expired
                short.append(amount - clawed - one.held - one.expired)
                journal.clawbacks.append(one)
                self.clawbacks.append(one)
        return short

    def _take_back(
        self, journal: ModelJournal, lot: ModelLot, amount: int, policy: str
    ) -> tuple[int, ...]:
        for one in self.purchases:
            if one.lot is lot:  # what went back with the money is not taken twice
                one.closed = True
                amount -= one.clawback.requested
                lot.held -= one.frozen
                lot.free += one.frozen
                one.to_freeze = one.frozen = 0
        clawback = ModelClawback(lot, policy, amount)
        clawed = min(lot.free, amount)
        waiting = self._spare(lot)
        clawback.held = min(waiting, amount - clawed)
        lapsed = lot.lapsed - sum(other.expired for other in self._on(lot))
        clawback.expired = min(lapsed, amount - clawed - clawback.held)
        short = amount - clawed - clawback.held - clawback.expired
        if policy == "reject" and short:
            raise RefusedByModel("shortfall")
        lot.free -= clawed
        lot.used += clawed
        clawback.clawed = clawed
        self._fall_short(clawback, short)
        if policy == "debt" and lot in self.brought:  # what is owed is not used as well
            self.brought[lot] -= min(short, self.brought[lot])
        answer = (amount, clawed, clawback.held, short, clawback.expired, 0)
        self.clawbacks.append(clawback)
        journal.clawbacks = [clawback]
        if journal.kind == "opening" and lot is self.daily:
            self.withdrawn = True
        self.settle()
        return answer

    def _restore(self, parts: list[tuple[ModelLot | None, int]]) -> tuple[int, ...]:
        lapsed = sum(lot.lapsed for lot in self.lots)
        carried_in = self.carried.carried_in if self.carried else 0
        owed = sum(amount for lot, amount in parts if lot is None)
        repaid = self._undo_repayments(owed - self.debt)
        self.debt = max(0, self.debt - owed)
        if self.returning is not None:
            self.returning.freed = sum(amount for _, amount in repaid)
            self.returning.went = {lot: 0 for lot, _ in repaid}
        back_to = [*((lot, amount) for lot, amount in parts if lot), *reversed(repaid)]
        for lot, amount in reversed(back_to):
            lot.free += amount
            lot.used -= amount
            self._trace(lot, amount)
            back = amount
            for clawback in self._on(lot):
                undone = min(back, clawback.shortfall - clawback.undone)
                if clawback.policy == "debt":
                    # What of the debt was repaid meanwhile is not owed a second time.
                    undone = min(undone, self.debt)
                    self.debt -= undone
                    if any(one.clawback is clawback for one in self.purchases):
                        self.repayments.append((next(ORDER), lot, undone))
                    if any(one.clawback is clawback for one in self.purchases):
                        self._trace(lot, -undone)
                        if self.returning is not None:
                            self.returning.by_lots += undone
                clawback.undone += undone
                back -= undone
                if self.returning is not None and undone:
                    self._made_good(clawback, undone)
                lot.free -= undone
                lot.used += undone
            # What came back of a day that was brought here counts as used of it no more.
            if lot in self.brought:
                self.brought[lot] -= min(back, self.brought[lot])
            self._came_back([lot], self.now)
        lapsed = sum(lot.lapsed for lot in self.lots) - lapsed
        carried = self.carried.carried_in - carried_in if self.carried else 0
        self.returning = None
        self.settle()
        return (sum(amount for _, amount in parts), 0, 0, 0, lapsed, carried)

    def _made_good(self, clawback: ModelClawback, amount: int) -> None:
        assert self.returning is not None
        if all(one.clawback is not clawback for one in self.purchases):
            self.returning.made_good.append((clawback, amount))

    def _undo_repayments(self, amount: int) -> list[tuple[ModelLot, int]]:
        """What lots paid of a debt that comes back, the latest first."""
        undone = []
        self.repayments.sort(key=lambda one: one[0])
        for at, (order, lot, paid) in reversed(list(enumerate(self.repayments))):
            part = max(0, min(paid, amount))
            amount -= part
            self.repayments[at] = (order, lot, paid - part)
            if part:
                undone.append((lot, part))
        return undone


def _minute_from(instant: datetime) -> datetime:
    whole = instant.replace(second=0, microsecond=0)
    return whole if whole == instant else whole + MINUTE
