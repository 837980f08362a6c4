"""The explanation of a day or a month: sums from opening to closing, and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from app.allowance.zones import day_of, starts_at
from app.audit.entries import account_numbers
from app.audit.horizon import Horizons
from app.audit.roll_forward import RollForward, roll_forward
from app.errors import AccountUnknownError, RefusedError
from app.infrastructure import sql
from app.infrastructure.db import Database
from app.infrastructure.ids import JournalNumber

if TYPE_CHECKING:
    from app.audit import row_types


MOVES_MAX: Final = 200
FIRST: Final = date(2000, 1, 1)
LAST: Final = date(9000, 1, 1)
_MICROSECOND: Final = timedelta(microseconds=1)
_SQL: Final[row_types.WhySql] = sql.beside(__file__)


class SpentFor(msgspec.Struct, frozen=True):
    """Credits spent for a label, and those of them that came back later; None is the use without a
    label.
    """

    label: str | None
    spent: int
    came_back: int


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """One journal that changed the balance and is not a spend."""

    journal_id: JournalNumber
    kind: str
    change: int
    at: datetime
    actor: str
    reason: str | None
    event_id: str | None
    reverses_journal_id: JournalNumber | None


class Correction(msgspec.Struct, frozen=True, kw_only=True):
    """The credits that one journal took back or gave back, and who asked for it."""

    kind: str
    change: int
    at: datetime
    actor: str
    reason: str | None


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """A day or a month of one account, in the account's own zone."""

    account_id: str
    time_zone: str
    on: date  # the first date
    days: int
    going_on: bool  # true until the day or month has ended
    flows: RollForward
    spent_for: list[SpentFor]
    moves: list[Move]
    corrections: list[Correction]
    truncated: bool  # later moves are left out
    sentences: list[str]


async def why(
    database: Database, horizons: Horizons, public_id: str, on: date | None, month: date | None
) -> Why:
    """Return what happened to an account's credits on a date, or in the month that begins then.

    Without both it is the account's today. Raises AccountUnknownError, RefusedError.
    """
    numbers = list(await account_numbers(database, public_id))
    if not numbers:
        raise AccountUnknownError(f"No account has the id {public_id!r}.", account_id=public_id)
    if on is not None and month is not None:
        raise RefusedError("Ask for a day or for a month.")
    zone: str = await database.fetchval(
        "SELECT time_zone FROM accounts WHERE id = ANY($1::bigint[]) AND joined_to IS NULL", numbers
    )
    complete_to = (await horizons.find(database)).complete_to
    first = month or on or day_of(zone, complete_to).on
    if not FIRST <= first <= LAST:
        raise RefusedError(f"No account has a day on {first}.")
    after = _next_month(first) if month else first + timedelta(days=1)
    start, end = starts_at(zone, first), starts_at(zone, after)
    known_to = complete_to + _MICROSECOND
    flows = await roll_forward(
        database, horizons, min(start, known_to), min(end, known_to), public_id
    )
    asked = {"account_ids": numbers, "start": flows.start, "end": flows.end}
    spent = await database.fetch(_SQL["spent"](**asked))
    moves = await database.fetch(_SQL["moves"](**asked, limit=MOVES_MAX + 1))
    corrected = await database.fetch(_SQL["corrections"](**asked, limit=MOVES_MAX))
    told = Why(
        account_id=public_id,
        time_zone=zone,
        on=first,
        days=(after - first).days,
        going_on=end > known_to,
        flows=flows,
        spent_for=[SpentFor(row["label"], row["spent"], row["came_back"]) for row in spent],
        moves=[_move(row) for row in moves[:MOVES_MAX]],
        corrections=[_correction(row) for row in corrected],
        truncated=len(moves) > MOVES_MAX,
        sentences=[],
    )
    said = list(sentences(told))
    if told.going_on and await database.fetchval(_SQL["later"](**asked)):
        # Under a standing clock, what is recorded at its instant is complete once the clock moves
        # on.
        said.append("More was recorded at this very instant: ask again when the clock has gone on.")
    return msgspec.structs.replace(told, sentences=said)


def _next_month(first: date) -> date:
    return (first.replace(day=1) + timedelta(days=32)).replace(day=1)


def _move(row: row_types.WhyMoves) -> Move:
    return Move(
        journal_id=row["journal_id"],
        kind=row["kind"],
        change=row["change"],
        at=row["recorded_at"],
        actor=row["actor"],
        reason=row["reason"],
        event_id=row["event_id"],
        reverses_journal_id=row["reverses_journal_id"],
    )


def _correction(row: row_types.WhyCorrections) -> Correction:
    return Correction(
        kind=row["kind"],
        change=row["change"],
        at=row["recorded_at"],
        actor=row["actor"],
        reason=row["reason"],
    )


def sentences(told: Why) -> Iterator[str]:
    """Return sentences about the opening balance, the movements, the corrections, and the end."""
    flows, when = told.flows, f"{told.on:%Y-%m}" if told.days > 1 else f"{told.on}"
    yield f"{when} ({told.time_zone}) began with {_credits(flows.opening)}."
    for amount, said in (
        (flows.granted, "{} came as grants."),
        (flows.purchased, "{} were bought."),
        (-flows.refunded, "{} came back of money that was disputed and won."),
        (flows.transferred, "{} came from accounts that were joined to this one."),
    ):
        if amount > 0:
            yield said.format(_credits(amount))
    if flows.spent:
        yield f"{_credits(flows.spent, 'spent')}: {_spent_for(told.spent_for)}."
    for amount, said in (
        (flows.returned, "{} came back of spends."),
        (flows.expired, "{} expired unused, as a day's credits do at its end."),
        (flows.refunded, "{} went with money that was refunded or disputed."),
        (-flows.transferred, "{} moved to the account that this one was joined to."),
    ):
        if amount > 0:
            yield said.format(_credits(amount))
    yield from _corrections(told)
    ended = "Up to now that leaves" if told.going_on else "That left"
    owed = ", which are owed" if flows.closing < 0 else ""
    yield f"{ended} {_credits(flows.closing)}{owed}."


def _corrections(told: Why) -> Iterator[str]:
    left = {"reversal": told.flows.reversed, "adjustment": told.flows.adjusted}
    for one in told.corrections:
        left[one.kind] -= one.change
        reason = f', "{one.reason}"' if one.reason else ""
        by = f"by {one.actor} on {one.at:%Y-%m-%d at %H:%M} UTC"
        yield f"{_corrected(one.kind, one.change)} {by}{reason}."
    for kind, change in left.items():
        if change:
            yield f"{_corrected(kind, change)} by later acts, all in all."


def _corrected(kind: str, change: int) -> str:
    done = {"reversal": ("given back", "taken back"), "adjustment": ("added", "taken")}
    return _credits(abs(change), done[kind][change < 0])


def _spent_for(parts: Sequence[SpentFor]) -> str:
    return ", ".join(f"{one.spent:,} for {one.label or 'nothing that was named'}" for one in parts)


def _credits(amount: int, done: str | None = None) -> str:
    one = abs(amount) == 1
    verb = f" {'was' if one else 'were'} {done}" if done else ""
    return f"{amount:,} {'credit' if one else 'credits'}{verb}"
