"""The start and end of a local day, in every zone and over every clock change."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cache, lru_cache
from importlib import resources
from zoneinfo import ZoneInfo

import msgspec

from app.errors import UnknownZoneError

_ONE_DAY = timedelta(days=1)
_ONE_SECOND = timedelta(seconds=1)

# A run at one instant asks for three dates in each of some 600 zones; a spend asks for today.
_DAYS_CACHED_MAX = 8_192


# The accounts whose day of this date starts at this instant: what one run opens.
Wave = tuple[date, datetime]


class Day(msgspec.Struct, frozen=True):
    """The half-open range of instants, in UTC, that an account in some zone calls one date."""

    on: date
    starts_at: datetime
    ends_at: datetime


@cache
def zone_names() -> frozenset[str]:
    """Return the names that tzdata ships.

    zoneinfo.available_timezones() is not used: it reads the machine's folders first, so it knows
    names that another machine does not ("localtime" here). "Factory" means that nobody set a zone.
    """
    listed = resources.files("tzdata").joinpath("zones").read_text(encoding="ascii")
    return frozenset(listed.split()) - {"Factory"}


def known_zone(name: str) -> bool:
    """Return whether this is an exact IANA name; paths, "posixrules" and other spellings
    are not.
    """
    return name in zone_names()


def day_of(zone: str, instant: datetime) -> Day:
    """Return the day that runs at the instant: the last date that has started by then.

    If clocks fall back over midnight, the local date returns to one that has ended. The day does
    not, so dates only ascend. Raises UnknownZoneError: tzdata may drop a name.
    """
    assert instant.tzinfo is not None, "an instant without a zone means another one everywhere"
    on = instant.astimezone(_rules(zone)).date()
    while starts_at(zone, on + _ONE_DAY) <= instant:
        on += _ONE_DAY
    return _day(zone, on)


def first_start_of_later_date(zone: str, on: date, after: datetime) -> Day:
    """Return the first day of ``zone`` that is later than ``on`` and starts at or after ``after``.

    A change of zone takes effect at the start of that day. The running day ``on`` lasts until
    then, at most 50 hours in all (from UTC+14 to UTC-12), and no date is opened twice.
    """
    candidate = max(on + _ONE_DAY, day_of(zone, after).on)
    while starts_at(zone, candidate) < after:
        candidate += _ONE_DAY
    # A date that the zone skips starts together with the next one; only the next one is real.
    return day_of(zone, starts_at(zone, candidate))


@lru_cache(maxsize=_DAYS_CACHED_MAX)
def starts_at(zone: str, on: date) -> datetime:
    """Return the first instant, in UTC, whose local date is ``on`` or later.

    This is not always midnight. In Havana, Santiago, Cairo and Beirut clocks jump over it in
    spring. Apia skipped the whole of 2011-12-30, which starts and ends at the start of the 31st.
    """
    rules = _rules(zone)
    midnight = datetime.combine(on, time.min)
    # fold=0 is the earlier of two midnights if clocks fall back over one.
    start = midnight.replace(tzinfo=rules).astimezone(UTC)
    if start.astimezone(rules).replace(tzinfo=None) == midnight:
        return start
    return _end_of_gap(rules, midnight)


def _end_of_gap(rules: tzinfo, midnight: datetime) -> datetime:
    """Return the instant at which clocks jump over this midnight.

    Found by bisection, since zoneinfo does not list its transitions. A jump may begin before
    midnight (Toronto 1919: from 23:30), so midnight by the old offset may be too late.
    """
    # By the old offset midnight is at or after the jump; by the new one it is before.
    late = midnight.replace(tzinfo=rules, fold=0).astimezone(UTC)
    early = midnight.replace(tzinfo=rules, fold=1).astimezone(UTC)
    while late - early > _ONE_SECOND:
        middle = (early + (late - early) / 2).replace(microsecond=0)
        if middle.astimezone(rules).replace(tzinfo=None) < midnight:
            early = middle
        else:
            late = middle
    return late


@lru_cache(maxsize=_DAYS_CACHED_MAX)
def _day(zone: str, on: date) -> Day:
    return Day(on, starts_at(zone, on), starts_at(zone, on + _ONE_DAY))


@cache
def _rules(zone: str) -> tzinfo:
    """Read the zone from the tzdata wheel only, so that two machines open the same days."""
    if not known_zone(zone):
        raise UnknownZoneError(
            f"{zone!r} is no IANA time zone here; PUT the account another.", time_zone=zone
        )
    with resources.files("tzdata").joinpath("zoneinfo", *zone.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=zone)
