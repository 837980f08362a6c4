"""The allowance rule: what the day's lot has free depends on the present and not on the path."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.allowance.catalogue import parse
from app.allowance.entitlement import Giving, Use, counting
from app.allowance.zones import Day
from app.errors import InsufficientCreditsError
from app.ledger.holds import Hold, HoldState
from app.ledger.kinds import Act, House, Kind, LotSource, Side
from app.ledger.sheet import JournalDraft, Lot
from tests.allowance.account_days import (
    CREDITS,
    NOON,
    ORIGIN,
    acts,
    catalogue,
    entitle,
    move_to,
    opened_day,
    spend,
)

PRO, ENTERPRISE = Giving("PRO"), Giving("ENTERPRISE")
TIERS = st.sampled_from(["FREE", "PRO", "ENTERPRISE"])


def giving(tier: str) -> list[Giving]:
    return [] if tier == "FREE" else [Giving(tier)]


def in_grace(tier: str, ends_at: datetime) -> Giving:
    return Giving(None, tier, ends_at)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("tier"), TIERS),
            st.tuples(st.just("spend"), st.integers(1, 60)),
            st.tuples(st.just("zone"), st.sampled_from(["UTC", "Asia/Tokyo", "Pacific/Niue"])),
        ),
        max_size=25,
    )
)
def test_within_a_day_the_lot_has_the_allowance_less_what_was_used(steps) -> None:
    day = opened_day()
    used, best, tier = 0, 5, "FREE"
    for kind, value in steps:
        if kind == "tier":
            tier = value
            best = max(best, CREDITS[tier])
            entitle(day, *giving(tier))
        elif kind == "zone":
            day.change_zone(value)
        elif value <= max(0, CREDITS[tier] - used):
            spend(day, value)
            used += value
        else:
            with pytest.raises(InsufficientCreditsError):
                spend(day, value)
        assert day.lot is not None
        assert day.lot.free == day.sheet.available == max(0, CREDITS[tier] - used)
        assert day.sheet.free == day.lot.free
        assert used <= best, "no day yields more than the best tier held in it"
    assert len(day.opened) == 1


@given(st.lists(TIERS, min_size=1, max_size=20), st.integers(0, 5))
def test_flipping_tiers_gains_nothing(flips, spent) -> None:
    day = opened_day()
    if spent:
        spend(day, spent)
    for tier in flips:
        entitle(day, *giving(tier))
    assert day.sheet.available == max(0, CREDITS[flips[-1]] - spent)


@given(
    st.lists(st.tuples(TIERS, st.integers(0, 70), st.integers(1, 60 * 60)), min_size=1, max_size=15)
)
def test_over_days_nothing_but_the_days_own_lot_is_there(steps) -> None:
    """(tier, spend that much where it fits, minutes until the next step)."""
    day = opened_day()
    used, on, now = 0, NOON.date(), NOON
    for tier, wanted, minutes in steps:
        entitle(day, *giving(tier))
        fits = max(0, CREDITS[tier] - used)
        if 0 < wanted <= fits:
            spend(day, wanted)
            used += wanted
        now += timedelta(minutes=minutes)
        move_to(day, now)
        if now.date() != on:
            on, used = now.date(), 0
        assert day.sheet.available == day.sheet.free == max(0, CREDITS[tier] - used)
    assert [row.day.on for row in day.opened] == sorted({row.day.on for row in day.opened})


def test_a_day_whose_end_tzdata_has_brought_forward_carries_over_all_the_same() -> None:
    """It lasts as long as was said when it was opened, an hour into the next."""
    day = opened_day(carry_over_max=3)
    assert day.day is not None
    assert day.lot is not None
    ends_at = day.day.ends_at + timedelta(hours=1)
    day.day, day.lot.expires_at = Day(day.day.on, day.day.starts_at, ends_at), ends_at
    move_to(day, ends_at)
    assert {lot.source: lot.free for lot in day.sheet.spendable()} == {
        LotSource.CARRIED: 3,
        LotSource.DAILY: 5,
    }


def test_carried_credits_do_not_enter_the_rule() -> None:
    day = opened_day(PRO, carry_over_max=10)
    move_to(day, NOON + timedelta(days=1))
    spend(day, 14)  # the 10 that were carried first, then 4 of the day's own
    entitle(day)
    assert day.sheet.available == 1
    entitle(day, ENTERPRISE)
    assert day.sheet.available == 46


def test_a_days_opening_expires_the_rest_at_the_old_days_end() -> None:
    day = opened_day(PRO)
    spend(day, 7)
    move_to(day, datetime(2026, 1, 5, 8, tzinfo=UTC))
    (expiry,) = [entry for _, entry in day.sheet.drafted if entry.kind is Kind.EXPIRY]
    assert (expiry.amount, expiry.effective_at) == (13, datetime(2026, 1, 2, tzinfo=UTC))
    opening = day.sheet.drafted[-1][1]
    assert (opening.amount, opening.effective_at) == (20, datetime(2026, 1, 5, tzinfo=UTC))
    assert day.opened[-1].previous_on == datetime(2026, 1, 1, tzinfo=UTC).date()


def test_a_tier_that_came_and_was_dropped_since_the_day_began_gives_nothing_more() -> None:
    day = opened_day()
    day.catalogue = parse(
        "[tiers.FREE]\ndaily_credits = 5\nprices = []\n"
        "[tiers.GOLD]\ndaily_credits = 90\nprices = []\n",
        "tiers.toml",
    )
    entitle(day, Giving("GOLD"))
    assert day.sheet.free == 90
    day.catalogue = catalogue()
    day.settle(day.now, ORIGIN)  # such as a release does, before the tick derives it anew
    assert day.sheet.free == 5


def test_a_graces_end_trims_the_day_at_its_instant() -> None:
    ends_at = NOON + timedelta(hours=3)
    day = opened_day(in_grace("PRO", ends_at))
    spend(day, 3)
    move_to(day, NOON + timedelta(hours=6))
    assert acts(day) == [("grant", 20), ("spend", 3), ("expiry", 15)]
    assert day.sheet.drafted[-1][1].effective_at == ends_at
    assert day.sheet.available == 2


def test_a_grace_that_ends_with_the_day_gives_nothing_to_the_next() -> None:
    midnight = datetime(2026, 1, 2, tzinfo=UTC)
    day = opened_day(in_grace("PRO", midnight))
    move_to(day, midnight)
    assert (day.tier, acts(day)) == ("FREE", [("grant", 20), ("expiry", 20), ("grant", 5)])


def test_graces_that_ended_before_the_day_was_opened_move_nothing_on_it() -> None:
    """Two graces end while nobody opens a day: the day begins as FREE, and that is all."""
    day = opened_day(
        in_grace("ENTERPRISE", NOON + timedelta(days=2)), in_grace("PRO", NOON + timedelta(days=4))
    )
    move_to(day, NOON + timedelta(days=6))
    assert acts(day) == [("grant", 50), ("expiry", 50), ("grant", 5)]


@given(st.lists(st.integers(1, 9 * 24), min_size=1, max_size=4), st.integers(1, 10 * 24))
def test_however_graces_end_unseen_a_day_is_opened_by_what_holds_then(hours, later) -> None:
    """Nothing is granted on a day for a grace that was over when it began."""
    graces = [
        in_grace(("PRO", "ENTERPRISE")[n % 2], NOON + timedelta(hours=h))
        for n, h in enumerate(hours)
    ]
    day = opened_day(*graces)
    now = NOON + timedelta(hours=later)
    move_to(day, now)
    living = [CREDITS[grace.grace_tier] for grace in graces if grace.grace_ends_at > now]
    assert day.sheet.available == max(living, default=5)
    # One grant for each day that was opened: a grace that ends only ever takes away.
    assert sum(kind == "grant" for kind, _ in acts(day)) == len(day.opened)


def test_at_midnight_there_is_no_gap_and_no_double() -> None:
    midnight = datetime(2026, 1, 2, tzinfo=UTC)
    day = opened_day(PRO)
    move_to(day, midnight - timedelta(microseconds=1))
    assert (day.sheet.available, len(day.opened)) == (20, 1)
    spend(day, 20)
    move_to(day, midnight)
    assert (day.sheet.available, len(day.opened)) == (20, 2)


@pytest.mark.parametrize(
    ("zone", "ends_at"),
    [
        ("Pacific/Niue", datetime(2026, 1, 2, 11, tzinfo=UTC)),  # UTC-11: the day is lengthened
        ("Pacific/Kiritimati", datetime(2026, 1, 2, 10, tzinfo=UTC)),  # +14: it is Jan 2 there
        ("Asia/Tokyo", datetime(2026, 1, 1, 15, tzinfo=UTC)),  # +9: shortened, Jan 2 begins
        ("UTC", datetime(2026, 1, 2, tzinfo=UTC)),
    ],
)
def test_a_new_zone_takes_effect_at_the_next_reset(zone, ends_at) -> None:
    day = opened_day(PRO)
    spend(day, 7)
    day.change_zone(zone)
    assert (day.sheet.available, day.next_grant_at) == (13, ends_at)
    move_to(day, ends_at - timedelta(microseconds=1))
    assert (day.sheet.available, len(day.opened)) == (13, 1)
    move_to(day, ends_at)
    assert (day.sheet.available, len(day.opened)) == (20, 2)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["UTC", "Pacific/Niue", "Pacific/Kiritimati", "Asia/Tokyo", "America/Havana"]
            ),
            st.integers(0, 30 * 60),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_however_the_zone_is_changed_dates_only_ascend_and_no_date_opens_twice(moves) -> None:
    day = opened_day(PRO)
    now = NOON
    for zone, minutes in moves:
        day.change_zone(zone)
        assert day.day is not None
        assert day.day.ends_at - now <= timedelta(hours=50)
        now += timedelta(minutes=minutes)
        move_to(day, now)
        assert day.sheet.available == 20
    dates = [row.day.on for row in day.opened]
    assert dates == sorted(set(dates))
    # Changing zones is no way past the date of the easternmost: they end where the world is.
    assert dates[-1] <= (now + timedelta(hours=14)).date()


class Ledger:
    """One account and, beside it, what the day's own lots have given: told by entries alone."""

    def __init__(self) -> None:
        self.day = opened_day()
        self.tier, self.best = "FREE", 5
        self.holds: list[Hold] = []
        self.spends: list[tuple[Lot, int]] = []
        self.count = 0

    @property
    def used(self) -> int:
        """What left the running day's lot for anything but expiry, less what came back."""
        used = 0
        for _, entry in self.day.sheet.drafted:
            if entry.lot is self.day.lot and entry.kind not in (Kind.GRANT, Kind.EXPIRY):
                used += entry.amount * ((entry.debit is Side.FREE) - (entry.credit is Side.FREE))
        return used

    def journal(self, act: Act) -> JournalDraft:
        return self.day.sheet.begin(JournalDraft(act, "test", "test", self.day.now))

    def switch(self, tier: str) -> None:
        entitle(self.day, *giving(tier))
        self.tier, self.best = tier, max(self.best, CREDITS[tier])

    def use(self, amount: int) -> None:
        before = len(self.day.sheet.drafted)
        self.day.sheet.spend(self.journal(Act.SPEND), amount, None)
        self.spends += [(e.lot, e.amount) for _, e in self.day.sheet.drafted[before:]]

    def reserve(self, amount: int, seconds: int) -> None:
        self.count += 1
        hold = Hold(self.count, 1, amount, self.day.now + timedelta(seconds=seconds))
        self.day.hold(self.journal(Act.HOLD), hold)
        self.holds.append(hold)

    def end_hold(self, part: int) -> None:
        """Capture so much in four of the oldest hold; nothing releases it."""
        hold = next((one for one in self.holds if one.state is HoldState.HELD), None)
        if hold is None:
            return
        amount = hold.amount * part // 4
        if amount:
            self.day.capture(self.journal(Act.CAPTURE), hold, amount, ORIGIN)
        else:
            self.day.release(
                self.journal(Act.RELEASE), hold, HoldState.RELEASED, self.day.now, ORIGIN
            )

    def reverse(self, which: int) -> None:
        """A spend comes back to its lot, as app.reversals.journal lets it."""
        if not self.spends:
            return
        lot, amount = self.spends.pop(which % len(self.spends))
        journal = self.journal(Act.REVERSAL)
        self.day.sheet.write(journal, lot, Kind.REVERSAL, House.SPENT, Side.FREE, amount)
        self.day.came_back(journal, [lot], self.day.now)
        self.day.settle(self.day.now, ORIGIN)

    def owe(self, amount: int) -> None:
        """A reversed grant fell short: what is free repays it at once, what comes later too."""
        lot = self.day.lot
        assert lot is not None
        self.day.sheet.write(
            self.journal(Act.REVERSAL), lot, Kind.REVERSAL, Side.DEBT, House.ISSUED, amount
        )
        for each in self.day.sheet.spendable():
            self.day.sheet.repay(self.journal(Act.REVERSAL), each)
        self.day.settle(self.day.now, ORIGIN)

    def wait(self, minutes: int) -> None:
        opened = len(self.day.opened)
        move_to(self.day, self.day.now + timedelta(minutes=minutes))
        if len(self.day.opened) > opened:
            self.best = CREDITS[self.tier]

    def check(self) -> None:
        """The rule, and no day yields more than the best tier held in it."""
        lot, used = self.day.lot, self.used
        assert lot is not None
        assert lot.free == max(0, CREDITS[self.tier] - used)
        assert used <= self.best
        assert lot.free + used <= max(self.best, used)
        assert self.day.sheet.debt == 0 or self.day.sheet.free == 0


STEPS = st.one_of(
    st.tuples(st.just("switch"), TIERS),
    st.tuples(st.just("use"), st.integers(1, 30)),
    st.tuples(st.just("reserve"), st.integers(1, 30), st.sampled_from([60, 900, 86_400])),
    st.tuples(st.just("end_hold"), st.integers(0, 4)),
    st.tuples(st.just("reverse"), st.integers(0, 5)),
    st.tuples(st.just("owe"), st.integers(1, 20)),
    st.tuples(st.just("wait"), st.sampled_from([1, 20, 300, 900, 3_000])),
    st.tuples(st.just("zone"), st.sampled_from(["UTC", "Asia/Tokyo", "Pacific/Niue"])),
)


@settings(max_examples=300)
@given(st.lists(STEPS, max_size=30))
def test_whatever_befalls_it_a_day_gives_no_more_than_the_best_tier_held_in_it(steps) -> None:
    book = Ledger()
    for name, *values in steps:
        if name == "zone":
            book.day.change_zone(*values)
        else:
            with suppress(InsufficientCreditsError):
                getattr(book, name)(*values)
        book.check()


def test_a_day_paid_back_and_drawn_again_gives_no_more_than_its_tier() -> None:
    """The property's worst path by hand: owe, repay, hold, reverse, flip."""
    book = Ledger()
    book.switch("PRO")
    book.use(12)
    book.owe(3)
    assert (book.day.sheet.available, book.used) == (5, 15)
    book.reserve(5, 900)
    book.switch("ENTERPRISE")
    book.switch("PRO")
    book.reverse(0)
    book.end_hold(0)
    book.check()
    assert (book.day.sheet.available, book.used) == (17, 3)


def test_use_of_a_day_that_ended_as_this_one_begins_counts_no_more() -> None:
    at = datetime(2026, 1, 2, tzinfo=UTC)
    use = Use(from_account=1, until=at, amount=3)
    assert counting([use], at) == 0
    assert counting([use], at - timedelta.resolution) == 3
