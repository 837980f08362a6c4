"""Carrying over: what is left goes on up to the maximum, and what comes back later goes after it.

The oracle is a twin: the same life without the holds and refunds ends the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.allowance.catalogue import parse
from app.allowance.day import AccountDay
from app.allowance.entitlement import Giving
from app.ledger.holds import Hold, HoldState
from app.ledger.kinds import Act, House, Kind, LotSource, Side
from app.ledger.sheet import JournalDraft, Lot
from tests.allowance.account_days import NOON, ORIGIN, entitle, move_to, opened_day, spend
from tests.allowance.test_walk import ZONES

DAY = timedelta(days=1)
PRO = Giving("PRO")
ALMOST_MIDNIGHT = NOON + timedelta(hours=11, minutes=50)
# 5, 20 and 50 a day: below, at and above each of them, and more than several days add up to.
MAXIMA = st.sampled_from([0, 1, 4, 5, 6, 12, 20, 30, 50, 70, 200])


@pytest.mark.parametrize(
    ("carry_over_max", "by_day"),
    [
        (0, [5, 5, 5, 5, 5]),
        (3, [5, 8, 8, 8, 8]),
        (5, [5, 10, 10, 10, 10]),
        (12, [5, 10, 15, 17, 17]),
        (20, [5, 10, 15, 20, 25]),
    ],
)
def test_idle_days_add_up_to_the_maximum(carry_over_max, by_day) -> None:
    day = opened_day(carry_over_max=carry_over_max)
    seen = []
    for n in range(5):
        move_to(day, NOON + n * DAY)
        seen.append(day.sheet.available)
    assert seen == by_day


@given(st.integers(0, 20), st.integers(0, 60), st.integers(1, 30))
def test_a_gap_that_nobody_opened_carries_what_was_left_before_it(spent, most, days) -> None:
    day = opened_day(PRO, carry_over_max=most)
    if spent:
        spend(day, spent)
    move_to(day, NOON + days * DAY)
    assert day.sheet.available == 20 + min(20 - spent, most)
    assert len(day.opened) == 2


def test_carried_credits_burn_before_the_days_own() -> None:
    """Both end tonight; only the rest of the day's own may go on."""
    day = opened_day(carry_over_max=5)
    move_to(day, NOON + DAY)
    spend(day, 5)
    assert lots_of(day) == {"daily": 5}
    move_to(day, NOON + 2 * DAY)
    assert lots_of(day) == {"carried": 5, "daily": 5}


def test_the_tier_with_which_a_day_ends_says_how_much_is_carried_over() -> None:
    day = opened_day(PRO, carry_over_max=0)
    day.day_catalogue = day.catalogue = tiers_that_carry(FREE=2, PRO=9)
    move_to(day, NOON + timedelta(hours=1))
    entitle(day)
    move_to(day, NOON + DAY)
    assert lots_of(day) == {"carried": 2, "daily": 5}


def test_a_withdrawn_day_lets_what_was_carried_into_it_go_on() -> None:
    day = opened_day(carry_over_max=5)
    move_to(day, NOON + DAY)
    assert day.lot is not None
    journal = begin(day, Act.REVERSAL)
    day.sheet.write(journal, day.lot, Kind.REVERSAL, Side.FREE, House.ISSUED, 5)
    day.withdrawn = True
    day.settle(day.now, ORIGIN)
    move_to(day, NOON + 2 * DAY)
    assert lots_of(day) == {"carried": 5, "daily": 5}


# What comes back after midnight.


def test_a_hold_over_midnight_that_is_released_loses_nothing() -> None:
    day = opened_day(carry_over_max=20)
    move_to(day, ALMOST_MIDNIGHT)
    held = hold(day, 5)
    move_to(day, NOON + DAY)
    assert lots_of(day) == {"daily": 5}
    release(day, held)
    assert lots_of(day) == {"carried": 5, "daily": 5}


def test_no_more_comes_back_than_could_have_been_carried() -> None:
    """2 of 5 may be carried: 1 went at midnight, so that 1 of the 4 that come back may follow."""
    day = opened_day(carry_over_max=2)
    move_to(day, ALMOST_MIDNIGHT)
    held = hold(day, 4)
    move_to(day, NOON + DAY)
    spend(day, 1)  # what was carried is spent; it counts as carried all the same
    release(day, held)
    assert lots_of(day) == {"carried": 1, "daily": 5}
    assert [e.amount for e in drafted(day, Kind.EXPIRY)][-1] == 3


def test_yesterdays_rule_limits_what_comes_back() -> None:
    """15 were held as PRO. As FREE the day would have been left 5 of them."""
    day = opened_day(PRO, carry_over_max=30)
    held = hold(day, 15)
    entitle(day)
    move_to(day, NOON + DAY)
    assert lots_of(day) == {"daily": 5}
    release(day, held)
    assert lots_of(day) == {"carried": 5, "daily": 5}


def test_over_several_midnights_each_days_maximum_counts() -> None:
    day = opened_day(PRO, carry_over_max=30)
    held = hold(day, 20)
    move_to(day, NOON + DAY)
    day.day_catalogue = tiers_that_carry(PRO=7)
    move_to(day, NOON + 2 * DAY)
    assert lots_of(day) == {"carried": 7, "daily": 20}
    release(day, held)  # the second midnight had carried as much as it may
    assert lots_of(day) == {"carried": 7, "daily": 20}
    move_to(day, NOON + 3 * DAY)
    assert lots_of(day) == {"carried": 27, "daily": 20}


def test_todays_spends_take_what_came_back_first() -> None:
    """8 were spent before the 5 came back: they are those 5 and 3 of the day's own."""
    day = opened_day(PRO, carry_over_max=5)
    move_to(day, ALMOST_MIDNIGHT)
    spend(day, 15)
    held = hold(day, 5)
    move_to(day, NOON + DAY)
    spend(day, 8)
    release(day, held)
    assert lots_of(day) == {"daily": 17}
    entitle(day)
    assert lots_of(day) == {"daily": 2}


def test_what_comes_back_repays_what_is_owed() -> None:
    day = opened_day(carry_over_max=5)
    move_to(day, ALMOST_MIDNIGHT)
    held = hold(day, 5)
    move_to(day, NOON + DAY)
    spend(day, 5)
    assert day.lot is not None
    day.sheet.write(begin(day, Act.REVERSAL), day.lot, Kind.REVERSAL, Side.DEBT, House.ISSUED, 3)
    release(day, held)
    assert (day.sheet.debt, day.sheet.available) == (0, 2)


@dataclass(eq=False)
class Life:
    """An account that holds and gets refunds, and its twin that never held or spent these."""

    held: AccountDay
    twin: AccountDay
    out: list[tuple[Callable[[], None], int]] = field(default_factory=list)
    zones: bool = True

    def both(self, act: Callable[[AccountDay], Any]) -> None:
        act(self.held)
        act(self.twin)

    def hold(self, share: int, kept: int) -> None:
        """Hold a share of what there is, of which ``kept`` quarters are captured in the end."""
        amount = self.held.sheet.available * share // 4
        taken = amount * kept // 4
        if amount:
            held = hold(self.held, amount)
            end = (
                (lambda: capture(self.held, held, taken))
                if taken
                else lambda: release(self.held, held)
            )
            self.out.append((end, amount - taken))
        if taken:
            spend(self.twin, taken)

    def refund(self, share: int) -> None:
        """Spend a share of what there is; it comes back in the end."""
        amount = self.held.sheet.available * share // 4
        if amount:
            parts = spend_parts(self.held, amount)
            self.out.append((lambda: give_back(self.held, parts), amount))

    def spend(self, share: int) -> None:
        amount = self.held.sheet.available * share // 4
        if amount:
            self.both(lambda day: spend(day, amount))

    def come_back(self, which: int) -> None:
        if self.out:
            end, _ = self.out.pop(which % len(self.out))
            end()

    def tier(self, name: str) -> None:
        givings = [] if name == "FREE" else [Giving(name)]
        self.both(lambda day: entitle(day, *givings))

    def zone(self, name: str) -> None:
        self.both(lambda day: day.change_zone(name))

    def wait(self, minutes: int) -> None:
        now = self.held.now + timedelta(minutes=minutes)
        self.both(lambda day: move_to(day, now))

    def all_comes_back(self) -> None:
        while self.out:
            self.come_back(0)


HOURS = st.sampled_from([1, 7, 60, 13 * 60, 24 * 60, 25 * 60, 49 * 60, 4 * 24 * 60])
SHARES = st.integers(0, 4)
STEPS = st.one_of(
    st.tuples(st.just("hold"), SHARES, SHARES),
    st.tuples(st.just("refund"), SHARES),
    st.tuples(st.just("spend"), SHARES),
    st.tuples(st.just("come_back"), st.integers(0, 5)),
    st.tuples(st.just("tier"), st.sampled_from(["FREE", "PRO", "ENTERPRISE"])),
    st.tuples(st.just("wait"), HOURS),
    st.tuples(st.just("wait"), HOURS),
)


TIERS_OF_A_DAY = st.sampled_from(["FREE", "PRO", "ENTERPRISE"])
TIERS = st.tuples(st.just("tier"), st.sampled_from(["FREE", "PRO"]))
# What each of these does shows only with the others around it: drawn freely they seldom meet.
ROUNDS = st.lists(
    st.tuples(
        TIERS,
        st.one_of(st.tuples(st.just("hold"), SHARES, SHARES), st.tuples(st.just("refund"), SHARES)),
        st.one_of(TIERS, st.tuples(st.just("spend"), SHARES)),
        st.tuples(st.just("wait"), st.sampled_from([60, 24 * 60, 49 * 60])),
        st.tuples(st.just("spend"), SHARES),
        st.one_of(TIERS, st.tuples(st.just("come_back"), st.integers(0, 2))),
    ),
    min_size=1,
    max_size=4,
).map(lambda rounds: [step for one in rounds for step in one])


def live(start: datetime, zone: str, most: int, steps: list[tuple[Any, ...]]) -> Life:
    life = Life(*(opened_day(now=start, zone=zone, carry_over_max=most) for _ in range(2)))
    for name, *values in steps:
        getattr(life, name)(*values)
        assert life.held.sheet.available <= life.twin.sheet.available, "nothing is gained meanwhile"
    return life


@settings(max_examples=400)
@given(
    start=st.datetimes(datetime(2024, 1, 1), datetime(2028, 11, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    zone=st.sampled_from(ZONES),
    most=MAXIMA,
    steps=st.one_of(st.lists(STEPS, max_size=14), ROUNDS, ROUNDS),
)
# A day that is 23 hours long, and one without a midnight.
@example(datetime(2025, 3, 29, 22, tzinfo=UTC), "Europe/Berlin", 4,
         [("hold", 4, 0), ("wait", 25 * 60), ("spend", 2), ("come_back", 0)])  # fmt: skip
@example(datetime(2027, 9, 5, 2, tzinfo=UTC), "America/Santiago", 20,
         [("refund", 4), ("wait", 24 * 60), ("tier", "PRO"), ("wait", 49 * 60)])  # fmt: skip
def test_a_life_with_holds_and_refunds_ends_as_the_one_without(start, zone, most, steps) -> None:
    life = live(start, zone, most, steps)
    life.all_comes_back()
    for tier, minutes in (("", 0), ("FREE", 1), ("", 24 * 60), ("PRO", 24 * 60), ("", 70 * 60)):
        if tier:
            life.tier(tier)
        life.wait(minutes)
        assert life.held.sheet.available == life.twin.sheet.available
        assert life.held.sheet.free == life.held.sheet.available
        assert not life.held.sheet.held


@settings(max_examples=300)
@given(
    MAXIMA, st.one_of(st.lists(STEPS, max_size=14), ROUNDS), st.lists(TIERS_OF_A_DAY, max_size=5)
)
def test_whatever_tiers_the_day_goes_on_to_have_a_hold_that_came_back_took_nothing(
    most, steps, tiers
) -> None:
    life = live(NOON, "UTC", most, steps)
    life.all_comes_back()
    for tier in ("", "FREE", "ENTERPRISE", *tiers):
        if tier:
            life.tier(tier)
        assert life.held.sheet.available == life.twin.sheet.available


@settings(max_examples=150)
@given(
    start=st.datetimes(datetime(2024, 1, 1), datetime(2028, 11, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    moves=st.lists(
        st.one_of(STEPS, st.tuples(st.just("zone"), st.sampled_from(ZONES))), max_size=14
    ),
    most=MAXIMA,
)
def test_however_zones_change_between_nothing_is_gained_or_lost(start, moves, most) -> None:
    life = live(start, "UTC", most, moves)
    life.all_comes_back()
    life.wait(1)
    assert life.held.sheet.available == life.twin.sheet.available


@settings(max_examples=150)
@given(st.lists(STEPS, max_size=14), MAXIMA)
def test_no_day_is_carried_into_beyond_its_maximum(steps, most) -> None:
    life = live(NOON, "UTC", most, steps)
    life.all_comes_back()
    carried = [lot for lot in life.held.sheet.lots if lot.source is LotSource.CARRIED]
    assert all(lot.granted <= most for lot in carried)
    ends = {lot.expires_at for lot in carried}
    assert len(ends) == len(carried), "one for each day"


# Acts.


def begin(day: AccountDay, act: Act) -> JournalDraft:
    return day.sheet.begin(JournalDraft(act, "test", "test", day.now))


def hold(day: AccountDay, amount: int) -> Hold:
    placed = Hold(len(day.holds) + 1, 1, amount, day.now + 60 * DAY)
    day.hold(begin(day, Act.HOLD), placed)
    return placed


def release(day: AccountDay, held: Hold) -> None:
    day.release(begin(day, Act.RELEASE), held, HoldState.RELEASED, day.now, ORIGIN)


def capture(day: AccountDay, held: Hold, amount: int) -> None:
    day.capture(begin(day, Act.CAPTURE), held, amount, ORIGIN)


def spend_parts(day: AccountDay, amount: int) -> list[tuple[Lot, int]]:
    before = len(day.sheet.drafted)
    spend(day, amount)
    return [(entry.lot, entry.amount) for _, entry in day.sheet.drafted[before:]]


def give_back(day: AccountDay, parts: list[tuple[Lot, int]]) -> None:
    """As app.reversals.draft does."""
    journal = begin(day, Act.REVERSAL)
    for lot, amount in reversed(parts):
        day.sheet.write(journal, lot, Kind.REVERSAL, House.SPENT, Side.FREE, amount)
        day.came_back(journal, [lot], day.now)
    day.settle(day.now, ORIGIN)


def lots_of(day: AccountDay) -> dict[str, int]:
    return {str(lot.source): lot.free for lot in day.sheet.spendable()}


def drafted(day: AccountDay, kind: Kind) -> list[Any]:
    return [entry for _, entry in day.sheet.drafted if entry.kind is kind]


def tiers_that_carry(**most: int) -> Any:
    text = "".join(
        f"[tiers.{name}]\ndaily_credits = {credits}\nprices = []\n"
        f"carry_over_max = {most.get(name, 0)}\n"
        for name, credits in {"FREE": 5, "PRO": 20, "ENTERPRISE": 50}.items()
    )
    return parse(text, "tiers.toml")
