"""A customer's view of the account: use by day and label, lots, and statements.

An answer says when, what kind of thing, what label, how much; it names no actor, reason or event.
A statement goes by the time of recording, like a bank's, in the account's own zone. Its lines lead
from its opening to its closing balance.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from app.allowance.zones import day_of, starts_at
from app.infrastructure import sql
from app.infrastructure.db import Database
from app.infrastructure.ids import AccountNumber

if TYPE_CHECKING:
    from app.audit import row_types


DAYS_OF_USE: Final = 30
LABELS_MAX: Final = 6  # labels that have a colour of their own; the others share one
LOTS_MAX: Final = 50
_PAGE: Final = 5_000
_SQL: Final[row_types.StatementSql] = sql.beside(__file__)


class UseOfLabel(msgspec.Struct, frozen=True):
    """Credits used for a label by day, less those that came back later; None stands for all other
    labels.
    """

    label: str | None
    named: bool  # false is the use without a label
    by_day: list[int]


class Use(msgspec.Struct, frozen=True):
    """The days up to today with their use, the most used label first."""

    days: list[date]
    labels: list[UseOfLabel]

    @property
    def total(self) -> int:
        """Return the total over all labels."""
        return sum(sum(one.by_day) for one in self.labels)


class LotLeft(msgspec.Struct, frozen=True, kw_only=True):
    """A lot that is not empty: its free and held credits, and how much of the original amount is
    gone.
    """

    source: str
    free: int
    held: int
    gone: int
    expires_at: datetime


class LotsLeft(msgspec.Struct, frozen=True):
    """The first lots in the order of burning, and the sum of the others."""

    shown: list[LotLeft]
    others: int
    others_free: int


class StatementDay(msgspec.Struct, frozen=True, kw_only=True):
    """A day on which the balance changed: by what, and the balance at its end."""

    day_on: date
    received: int
    bought: int
    used: int
    given_back: int
    expired: int
    other: int
    closing: int


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """A month: opening + received + bought - used + given_back - expired + other = closing."""

    month: date
    going_on: bool
    opening: int
    closing: int
    days: list[StatementDay]


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One act of one kind, and the balance after it."""

    at: datetime
    kind: str
    source: str
    label: str | None
    change: int
    balance: int


async def use(database: Database, number: AccountNumber, zone: str, now: datetime) -> Use:
    """The use of the last days of this account, today included."""
    today = day_of(zone, now).on
    first = today - timedelta(days=DAYS_OF_USE - 1)
    rows = await database.fetch(
        _SQL["used"](number=number, start=starts_at(zone, first), zone=zone, most=LABELS_MAX)
    )
    days = [first + timedelta(days=index) for index in range(DAYS_OF_USE)]
    places = {on: index for index, on in enumerate(days)}
    labels: dict[tuple[int, str | None, bool], list[int]] = {}
    for row in rows:
        key = (row["place"], row["label"], row["named"])
        by_day = labels.setdefault(key, [0] * DAYS_OF_USE)
        if row["day_on"] in places:
            by_day[places[row["day_on"]]] += row["used"]
    return Use(
        days, [UseOfLabel(label, named, by_day) for (_, label, named), by_day in labels.items()]
    )


async def lots(database: Database, number: AccountNumber, now: datetime) -> LotsLeft:
    """Return the lots as posted, in the order in which a spend uses them."""
    rows = await database.fetch(_SQL["lots_left"](number=number, now=now, limit=LOTS_MAX))
    return LotsLeft(
        [
            LotLeft(
                source=row["source"],
                free=row["free"],
                held=row["held"],
                gone=max(0, row["granted"] - row["free"] - row["held"]),
                expires_at=row["expires_at"],
            )
            for row in rows
        ],
        rows[0]["others"] if rows else 0,
        rows[0]["others_free"] if rows else 0,
    )


def months(zone: str, opened_at: datetime, now: datetime, most: int) -> list[date]:
    """Return the months that have a statement, newest first."""
    first = day_of(zone, opened_at).on.replace(day=1)
    month = day_of(zone, now).on.replace(day=1)
    found: list[date] = []
    while month >= first and len(found) < most:
        found.append(month)
        month = (month - timedelta(days=1)).replace(day=1)
    return found


async def statement(
    database: Database, number: AccountNumber, zone: str, month: date, now: datetime
) -> Statement:
    """Return the statement of the month that begins on this date."""
    start, end = _bounds(zone, month)
    async with database.snapshot():
        opening = await _opening(database, number, start)
        rows = await database.fetch(_SQL["by_day"](number=number, start=start, end=end, zone=zone))
    days, balance = [], opening
    for row in rows:
        balance += row["change"]
        days.append(_day(row, balance))
    return Statement(month=month, going_on=now < end, opening=opening, closing=balance, days=days)


async def lines(
    database: Database, number: AccountNumber, zone: str, month: date
) -> AsyncGenerator[list[Line], None]:
    """Yield the acts of a month, in order, some thousand at a time.

    Entries of one act and kind are one line, however many lots they changed.
    """
    start, end = _bounds(zone, month)
    balance = await _opening(database, number, start)
    after_at, after_journal = start, 0
    # Rows never change, and new ones come later: no snapshot is needed for a slow reader.
    while rows := await database.fetch(
        _SQL["acts"](
            number=number,
            start=start,
            end=end,
            after_at=after_at,
            after_journal=after_journal,
            limit=_PAGE,
        )
    ):
        part = []
        for row in rows:
            balance += row["change"]
            if row["change"]:
                part.append(_line(row, balance))
        yield part
        after_at, after_journal = rows[-1]["recorded_at"], rows[-1]["journal_id"]


async def _opening(database: Database, number: AccountNumber, start: datetime) -> int:
    opening: int = await database.fetchval(_SQL["opening"](number=number, start=start))
    return opening


def _bounds(zone: str, month: date) -> tuple[datetime, datetime]:
    after = (month.replace(day=1) + timedelta(days=32)).replace(day=1)
    return starts_at(zone, month), starts_at(zone, after)


def _day(row: row_types.StatementByDay, closing: int) -> StatementDay:
    known = {
        "received": row["received"],
        "bought": row["bought"],
        "used": row["used"],
        "given_back": row["given_back"],
        "expired": row["expired"],
    }
    signed = row["received"] + row["bought"] - row["used"] + row["given_back"] - row["expired"]
    return StatementDay(
        day_on=row["day_on"], **known, other=row["change"] - signed, closing=closing
    )


def _line(row: row_types.StatementActs, balance: int) -> Line:
    return Line(
        at=row["recorded_at"],
        kind=row["kind"],
        source=row["source"],
        label=row["label"],
        change=row["change"],
        balance=balance,
    )


def sums(days: Sequence[StatementDay]) -> dict[str, int]:
    """Return the sums of a statement's columns."""
    columns = ("received", "bought", "used", "given_back", "expired", "other")
    return {name: sum(getattr(one, name) for one in days) for name in columns}
