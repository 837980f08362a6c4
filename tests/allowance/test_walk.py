"""Every day of 2024 to 2028 in a dozen zones, with the clock injected; each is opened once."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib import resources
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.allowance.entitlement import Giving
from app.allowance.zones import day_of
from app.jobs.tick import advance_clock
from app.runs.run import run_due
from tests.allowance.account_days import entitle, move_to, opened_day, spend
from tests.conftest import NOW
from tests.invariants import differences
from tests.runs.test_daily_runs import open_accounts

ZONES = (
    "Pacific/Kiritimati",
    "Pacific/Apia",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Europe/Berlin",
    "UTC",
    "America/St_Johns",
    "America/Havana",
    "America/Santiago",
    "America/New_York",
    "Etc/GMT+12",
)
FIRST, LAST = datetime(2024, 1, 1, 13, tzinfo=UTC), datetime(2028, 12, 31, 13, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
DAY = timedelta(days=1)


@cache
def rules(zone: str) -> ZoneInfo:
    """Of the wheel: the machine's own may know other laws (Morocco's and Cuba's of 2026 here)."""
    with resources.files("tzdata").joinpath("zoneinfo", *zone.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file)


def date_in(zone: str, instant: datetime) -> date:
    return instant.astimezone(rules(zone)).date()


@pytest.mark.parametrize("zone", ZONES)
def test_every_day_of_five_years_is_opened_once_at_its_first_instant(zone: str) -> None:
    day = opened_day(Giving("PRO"), now=FIRST, zone=zone)
    dates = [day.opened[0].day.on]
    assert dates == [date_in(zone, FIRST)]
    while day.now < LAST:
        assert day.day is not None
        ends_at = day.day.ends_at
        spend(day, 1 + len(dates) % 20)
        left = day.sheet.available
        for early in (ends_at - timedelta(hours=3), ends_at - MICROSECOND):
            move_to(day, max(early, day.now))
            assert (day.sheet.available, len(day.opened)) == (left, 1)
        move_to(day, ends_at)
        move_to(day, ends_at)  # a second cron
        assert (day.sheet.available, len(day.opened)) == (20, 2)
        # By another reckoning than app.allowance.zones': the date changes at this very instant.
        assert date_in(zone, ends_at) == dates[-1] + DAY
        assert date_in(zone, ends_at - MICROSECOND) == dates[-1]
        dates.append(day.day.on)
        del day.opened[0]
        day.sheet.lots = [lot for lot in day.sheet.lots if lot.live]
        day.sheet.drafted, day.sheet.journals = [], []
    assert dates[-1] >= LAST.date()
    assert dates == [dates[0] + number * DAY for number in range((dates[-1] - dates[0]).days + 1)]
    assert date(2024, 2, 29) in dates
    assert date(2028, 2, 29) in dates


@settings(max_examples=60)
@given(
    start=st.datetimes(datetime(2024, 1, 1), datetime(2028, 11, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    moves=st.lists(
        st.tuples(
            st.sampled_from([None, None, *ZONES]),
            st.integers(1, 40 * 60),
            st.sampled_from(["FREE", "PRO", "ENTERPRISE"]),
        ),
        min_size=5,
        max_size=40,
    ),
)
def test_zones_that_change_on_the_way_skip_dates_and_repeat_none(start, moves) -> None:
    """However often within a day; a date is never opened before it has begun where it is opened."""
    day = opened_day(now=start)
    now = start
    for zone, minutes, tier in moves:
        if zone is not None:
            day.change_zone(zone)
        entitle(day, *([] if tier == "FREE" else [Giving(tier)]))
        now += timedelta(minutes=minutes)
        move_to(day, now)
        assert day.day is not None
        assert day.day.starts_at <= now < day.day.ends_at
    for one in day.opened[1:]:
        assert one.day == day_of(one.time_zone, one.day.starts_at)
    for before, after in pairwise(day.opened):
        assert before.day.on < after.day.on
        assert before.day.starts_at < after.day.starts_at


# The leap day, and clocks that jump over midnight or return over it, somewhere or other.
TRANSITIONS = (
    datetime(2024, 2, 28, tzinfo=UTC),
    datetime(2024, 4, 25, tzinfo=UTC),
    datetime(2024, 9, 7, tzinfo=UTC),
    datetime(2024, 11, 2, tzinfo=UTC),
)


async def test_the_book_opens_each_day_once_at_the_transitions(api, database, book) -> None:
    await database.execute("UPDATE dev_clock SET standing_at = $1", TRANSITIONS[0] - 2 * DAY)
    for zone in ZONES:
        await open_accounts(api, 1, zone, zone.replace("/", ".").replace("+", "-"))
    for transition in TRANSITIONS:
        await database.execute("UPDATE dev_clock SET standing_at = $1", transition)
        await run_due(database, book.catalogues, "tick", 30)
        await advance_clock(book, transition + 2 * DAY)
    rows = await database.fetch(
        "SELECT * FROM daily_grants WHERE previous_on IS NOT NULL ORDER BY account_id, starts_at"
    )
    assert len(rows) == len(ZONES) * 3 * len(TRANSITIONS)
    for row in rows:
        zone, starts_at = row["time_zone"], row["starts_at"]
        assert date_in(zone, starts_at) == row["day_on"] == date_in(zone, row["ends_at"]) - DAY
        assert date_in(zone, starts_at - MICROSECOND) == row["day_on"] - DAY
    assert {row["run_id"] is None for row in rows} == {False}
    assert await database.fetchval("SELECT count(*) FROM runs WHERE state <> 'done'") == 0
    assert await differences(database) == []


def test_the_walk_goes_from_the_easternmost_to_the_westernmost() -> None:
    offsets = {NOW.astimezone(rules(zone)).utcoffset() for zone in ZONES}
    assert (max(offsets), min(offsets)) == (timedelta(hours=14), timedelta(hours=-12))
