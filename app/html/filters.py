"""Write numbers, changes, instants, days and durations for pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any, Final, TypeVar

import jinja2
from markupsafe import Markup

from app.infrastructure import ids

MINUS: Final = "\N{MINUS SIGN}"
NOTHING: Final = "\N{EN DASH}"  # where there is no value
_NEVER_YEAR: Final = 9999  # the last instant stands for never


def number(value: int | None) -> str:
    """A whole number with separators: ``1,234,567``; a dash for None."""
    if value is None:
        return NOTHING
    return f"{MINUS if value < 0 else ''}{abs(value):,}"


def change(value: int | None) -> Markup:
    """A signed change, ``+20`` or ``-5``, with a class for its direction."""
    if value is None:
        return Markup("<span>{}</span>").format(NOTHING)
    sign = "+" if value > 0 else ""
    way = "up" if value > 0 else "down" if value < 0 else "even"
    return Markup('<span class="change {}">{}</span>').format(way, sign + number(value))


def in_zone(at: datetime, zone: tzinfo, *, seconds: bool = False) -> Markup:
    """An instant in a zone, with UTC beside where that differs; `never` for the last instant."""
    if at.year == _NEVER_YEAR:
        return Markup("<span>{}</span>").format("never")
    there, utc = at.astimezone(zone), at.astimezone(UTC)
    clock = "%H:%M:%S" if seconds else "%H:%M"
    beside = Markup("")
    if there.utcoffset():
        other = "" if there.date() == utc.date() else f"{day(utc.date(), year=False)}, "
        beside = Markup(' <span class="utc">{}</span>').format(f"{other}{utc:{clock}} UTC")
    shown = f"{day(there.date())}, {there:{clock}}" + ("" if beside else " UTC")
    iso = utc.isoformat(timespec="seconds").replace("+00:00", "Z")
    return Markup('<time datetime="{}">{}{}</time>').format(iso, shown, beside)


@jinja2.pass_context
def moment(context: jinja2.runtime.Context, at: datetime | None, *, seconds: bool = False) -> str:
    """As `in_zone`, in the page's zone; a dash for None."""
    return NOTHING if at is None else in_zone(at, context["zone"], seconds=seconds)


def day(on: date | None, *, year: bool = True) -> str:
    """A date, ``3 Nov 2026``."""
    if on is None:
        return NOTHING
    return f"{on.day} {on:%b %Y}" if year else f"{on.day} {on:%b}"


def month(on: date) -> str:
    """A month, ``November 2026``."""
    return f"{on:%B %Y}"


def duration(length: timedelta | float | None) -> str:
    """A length of time in at most two units: ``350 ms``, ``2 h 5 min``, ``3 days 4 h``."""
    if length is None:
        return NOTHING
    seconds = length.total_seconds() if isinstance(length, timedelta) else float(length)
    if abs(seconds) < 1:
        return f"{round(seconds * 1000)} ms"
    whole = abs(round(seconds))
    days, rest = divmod(whole, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, left = divmod(rest, 60)
    parts = (
        (days, "day" if days == 1 else "days"),
        *((hours, "h"), (minutes, "min"), (left, "s")),
    )
    first = next(index for index, (count, _) in enumerate(parts) if count)
    told = " ".join(f"{count} {unit}" for count, unit in parts[first : first + 2] if count)
    return MINUS + told if seconds < 0 else told


def since(at: datetime, now: datetime) -> str:
    """Return the time since or until an instant in one unit: ``2 h ago``, ``in 3 days``."""
    seconds = (at - now).total_seconds()
    if abs(seconds) < 1:
        return "now"
    count, unit = duration(abs(seconds)).split(" ")[:2]
    return f"in {count} {unit}" if seconds > 0 else f"{count} {unit} ago"


def plural(count: int, one: str, many: str | None = None) -> str:
    """A count with its noun: ``1 credit``, ``2,000 credits``."""
    return f"{number(count)} {one if count == 1 else many or one + 's'}"


def data_size(size: int) -> str:
    """A size in bytes, kB or MB."""
    if size < 1_000:
        return f"{size} B"
    return f"{size / 1_000:,.0f} kB" if size < 1_000_000 else f"{size / 1_000_000:,.1f} MB"


_Number = TypeVar("_Number", bound=int)


def public_id(number: _Number | None, prefix: ids.Prefix[_Number]) -> str:
    """The public id of a row's number, such as ``jrn_000000000001a``; a dash for None."""
    return NOTHING if number is None else ids.public(prefix, number)


FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "number": number,
    "id": public_id,
    "change": change,
    "moment": moment,
    "day": day,
    "month": month,
    "duration": duration,
    "since": since,
    "plural": plural,
    "data_size": data_size,
}
