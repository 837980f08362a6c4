"""Local days in zones that jump over midnight, return over it, or skip a whole date."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.allowance.zones import day_of, first_start_of_later_date, known_zone, starts_at, zone_names
from app.errors import UnknownZoneError

ZONES = (
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "Etc/GMT+12",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Africa/Cairo",
    "America/Santiago",
    "America/Havana",
    "Asia/Beirut",
    "Europe/Berlin",
    "America/New_York",
    "UTC",
    "America/St_Johns",
)
ONE_MICROSECOND = timedelta(microseconds=1)

zones = st.sampled_from(ZONES)
instants = st.datetimes(
    min_value=datetime(2024, 1, 1),  # noqa: DTZ001 -- hypothesis wants naive bounds
    max_value=datetime(2028, 12, 31),  # noqa: DTZ001
    timezones=st.just(UTC),
)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize("zone", ZONES)
def test_days_partition_the_years_2024_to_2028_with_ascending_dates(zone: str) -> None:
    day = day_of(zone, utc("2024-01-01"))
    while day.starts_at < utc("2029-01-01"):
        after = day_of(zone, day.ends_at)
        assert timedelta(hours=22) <= day.ends_at - day.starts_at <= timedelta(hours=26)
        assert after.starts_at == day.ends_at
        assert after.on == day.on + timedelta(days=1)
        assert day_of(zone, day.ends_at - ONE_MICROSECOND) == day
        day = after


@given(zones, instants)
@example("Pacific/Apia", utc("2011-12-30T10:00"))
@example("America/St_Johns", utc("2007-11-04T02:45"))
@example("America/Toronto", utc("1919-03-31T04:30"))
@example("America/Sitka", utc("1867-10-19T12:00"))
@example("Asia/Manila", utc("1844-12-31T12:00"))
def test_every_instant_lies_in_its_day(zone: str, instant: datetime) -> None:
    day = day_of(zone, instant)
    assert day.starts_at <= instant < day.ends_at
    assert day_of(zone, day.starts_at) == day == day_of(zone, day.ends_at - ONE_MICROSECOND)
    assert day_of(zone, day.ends_at).on > day.on
    assert day_of(zone, day.starts_at - ONE_MICROSECOND).on < day.on


@given(zones, instants, instants)
def test_a_later_instant_never_has_an_earlier_date(
    zone: str, one: datetime, other: datetime
) -> None:
    early, late = sorted((one, other))
    assert day_of(zone, early).on <= day_of(zone, late).on


@pytest.mark.parametrize(
    ("zone", "on", "start"),
    [
        ("UTC", date(2026, 3, 1), "2026-03-01T00:00"),
        ("Europe/Berlin", date(2026, 3, 29), "2026-03-28T23:00"),
        ("Europe/Berlin", date(2026, 3, 30), "2026-03-29T22:00"),
        ("Pacific/Kiritimati", date(2026, 1, 1), "2025-12-31T10:00"),
        ("Etc/GMT+12", date(2026, 1, 1), "2026-01-01T12:00"),
        # Spring: clocks jump from 00:00 to 01:00, so the day starts at one o'clock.
        ("America/Havana", date(2025, 3, 9), "2025-03-09T05:00"),
        ("America/Santiago", date(2025, 9, 7), "2025-09-07T04:00"),
        ("Africa/Cairo", date(2025, 4, 25), "2025-04-24T22:00"),
        ("Asia/Beirut", date(2025, 3, 30), "2025-03-29T22:00"),
        # Autumn: from 24:00 back to 23:00 the date has not begun; from 01:00 back to 00:00 it has.
        ("America/Santiago", date(2025, 4, 6), "2025-04-06T04:00"),
        ("Africa/Cairo", date(2025, 10, 31), "2025-10-30T22:00"),
        ("America/Havana", date(2025, 11, 2), "2025-11-02T04:00"),
        # From 00:01 back to 23:01 of the day before: begun at the first midnight.
        ("America/St_Johns", date(2007, 11, 4), "2007-11-04T02:30"),
        # From 23:30 to 00:30: the jump itself begins the day.
        ("America/Toronto", date(1919, 3, 31), "1919-03-31T04:30"),
        # The 30th never was: it starts when the 31st does.
        ("Pacific/Apia", date(2011, 12, 29), "2011-12-29T10:00"),
        ("Pacific/Apia", date(2011, 12, 30), "2011-12-30T10:00"),
        ("Pacific/Apia", date(2011, 12, 31), "2011-12-30T10:00"),
        # Dates that came twice begin at their first coming.
        ("America/Sitka", date(1867, 10, 19), "1867-10-18T09:01:13"),
    ],
)
def test_a_date_starts_at_its_first_existing_instant(zone: str, on: date, start: str) -> None:
    assert starts_at(zone, on) == utc(start)


def test_apia_goes_from_the_29th_to_the_31st_without_an_empty_day() -> None:
    last = day_of("Pacific/Apia", utc("2011-12-30T09:59:59"))
    first = day_of("Pacific/Apia", last.ends_at)
    assert (last.on, first.on) == (date(2011, 12, 29), date(2011, 12, 31))
    assert first.ends_at - first.starts_at == timedelta(days=1)


def test_a_day_once_begun_is_not_left_when_clocks_return_over_midnight() -> None:
    # 2007-11-04T02:31Z is 23:01 of the 3rd in St. John's, for the second time.
    assert day_of("America/St_Johns", utc("2007-11-04T02:31:30")).on == date(2007, 11, 4)


def test_a_new_zone_takes_effect_at_the_first_start_of_a_later_date() -> None:
    day = first_start_of_later_date("Asia/Tokyo", date(2026, 5, 4), utc("2026-05-04T12:00"))
    assert (day.on, day.starts_at) == (date(2026, 5, 5), utc("2026-05-04T15:00"))


def test_a_zone_where_tomorrow_has_begun_waits_for_the_date_after() -> None:
    day = first_start_of_later_date("Pacific/Kiritimati", date(2026, 5, 4), utc("2026-05-04T11:00"))
    assert (day.on, day.starts_at) == (date(2026, 5, 6), utc("2026-05-05T10:00"))


def test_going_west_lengthens_the_running_day_up_to_50_hours() -> None:
    running = day_of("Pacific/Kiritimati", utc("2026-05-03T10:00"))
    day = first_start_of_later_date("Etc/GMT+12", running.on, running.starts_at)
    assert day.on == running.on + timedelta(days=1)
    assert day.starts_at - running.starts_at == timedelta(hours=50)


def test_a_new_zone_never_names_a_date_that_it_skips() -> None:
    day = first_start_of_later_date("Pacific/Apia", date(2011, 12, 29), utc("2011-12-30T00:00"))
    assert (day.on, day.starts_at) == (date(2011, 12, 31), utc("2011-12-30T10:00"))


@given(zones, zones, instants)
def test_a_change_of_zone_keeps_dates_ascending_and_misses_no_start(
    old: str, new: str, instant: datetime
) -> None:
    running = day_of(old, instant)
    day = first_start_of_later_date(new, running.on, instant)
    assert day.on > running.on
    assert instant <= day.starts_at <= running.starts_at + timedelta(hours=50)
    before = day_of(new, day.starts_at - ONE_MICROSECOND)
    assert before.on <= running.on or before.starts_at < instant


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "America/Argentina/Ushuaia", "GMT"])
def test_iana_names_are_known(name: str) -> None:
    assert known_zone(name)
    assert day_of(name, utc("2026-05-04")).starts_at.tzinfo is UTC


@pytest.mark.parametrize(
    "name",
    [
        "",
        "posixrules",
        "localtime",
        "Factory",
        "/etc/localtime",
        "../zones",
        "Europe",
        "utc",
        "europe/berlin",
        "Europe/Berlin ",
        "Europe/Berlin\x00",
        "posix/UTC",
        "zone.tab",
        "UTC+2",
    ],
)
def test_paths_and_other_spellings_are_no_zones(name: str) -> None:
    assert not known_zone(name)
    with pytest.raises(UnknownZoneError):
        day_of(name, utc("2026-05-04"))


def test_every_listed_zone_can_tell_its_day() -> None:
    assert len(zone_names()) > 500
    for name in zone_names():
        assert day_of(name, utc("2026-05-04T12:00")).starts_at <= utc("2026-05-04T12:00")
