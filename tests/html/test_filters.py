"""How numbers, changes, instants and lengths of time are written."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from app.html import filters

AT = datetime(2026, 11, 27, 23, 30, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "told"),
    [(0, "0"), (1_234_567, "1,234,567"), (-1_000, "\N{MINUS SIGN}1,000"), (None, "\N{EN DASH}")],
)
def test_numbers_have_separators(value: int | None, told: str) -> None:
    assert filters.number(value) == told


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (5, '<span class="change up">+5</span>'),
        (-5_000, '<span class="change down">\N{MINUS SIGN}5,000</span>'),
        (0, '<span class="change even">0</span>'),
    ],
)
def test_changes_are_signed(value: int, told: str) -> None:
    assert filters.change(value) == told


def test_an_instant_has_utc_beside_it_and_the_other_date_where_it_differs() -> None:
    assert filters.in_zone(AT, ZoneInfo("Europe/Berlin")) == (
        '<time datetime="2026-11-27T23:30:05Z">28 Nov 2026, 00:30 '
        '<span class="utc">27 Nov, 23:30 UTC</span></time>'
    )
    assert filters.in_zone(AT, ZoneInfo("America/New_York"), seconds=True) == (
        '<time datetime="2026-11-27T23:30:05Z">27 Nov 2026, 18:30:05 '
        '<span class="utc">23:30:05 UTC</span></time>'
    )


def test_in_utc_an_instant_is_told_once() -> None:
    told = '<time datetime="2026-11-27T23:30:05Z">27 Nov 2026, 23:30 UTC</time>'
    assert filters.in_zone(AT, UTC) == told


def test_the_last_instant_is_never() -> None:
    assert filters.in_zone(datetime(9999, 12, 31, tzinfo=UTC), UTC) == "<span>never</span>"


@pytest.mark.parametrize(
    ("length", "told"),
    [
        (0.35, "350 ms"),
        (59, "59 s"),
        (timedelta(hours=2, minutes=5, seconds=40), "2 h 5 min"),
        (timedelta(hours=2), "2 h"),
        (timedelta(days=1, hours=1, minutes=59), "1 day 1 h"),
        (timedelta(days=3, minutes=4), "3 days"),
        (timedelta(seconds=-90), "\N{MINUS SIGN}1 min 30 s"),
    ],
)
def test_lengths_have_two_units_at_most(length: timedelta | float, told: str) -> None:
    assert filters.duration(length) == told


def test_how_long_ago_and_in_how_long() -> None:
    assert filters.since(AT - timedelta(hours=2, minutes=50), AT) == "2 h ago"
    assert filters.since(AT + timedelta(days=3), AT) == "in 3 days"
    assert filters.since(AT, AT) == "now"


def test_days_months_counts_and_sizes() -> None:
    assert filters.day(date(2026, 1, 3)) == "3 Jan 2026"
    assert filters.month(date(2026, 1, 3)) == "January 2026"
    assert filters.plural(1, "credit") == "1 credit"
    assert filters.plural(2_000, "entry", "entries") == "2,000 entries"
    assert [filters.data_size(n) for n in (999, 15_600, 1_250_000)] == ["999 B", "16 kB", "1.2 MB"]
