"""Reversals as stored: the order, the progress, and that each thing is reversed once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import orjson

from app.allowance.day import AccountDay
from app.errors import ReversalUnknownError
from app.infrastructure import ids
from app.infrastructure.db import Database, Record
from app.infrastructure.ids import JournalNumber, ReversalNumber, RunNumber
from app.ledger import idempotency
from app.ledger.clawbacks import Policy
from app.ledger.idempotency import RequestKey
from app.ledger.sheet import JournalDraft
from app.operators import acts

if TYPE_CHECKING:
    from app.reversals.parties import Undone


class ReversalOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An operator's order; ``key`` is None for a part of a run's reversal."""

    reason: str
    policy: Policy
    actor: str
    key: RequestKey | None
    part_of: int | None = None

    @property
    def by(self) -> acts.Operator:
        """Return who asks, and why."""
        return acts.Operator(actor=self.actor, reason=self.reason)


class Reversed(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a reversal; numbers are None in a dry run."""

    number: ReversalNumber | None
    journal_id: JournalNumber | None
    of_journal_id: JournalNumber | None
    of_run_id: RunNumber | None
    policy: str
    state: str
    requested: int
    clawed: int
    held: int
    shortfall: int
    expired: int
    carried: int = 0
    journal_count: int = 1
    skipped: int = 0
    replayed: bool = False
    dry_run: bool = False
    of_event_id: str | None = None


async def store(
    database: Database,
    day: AccountDay,
    header: JournalDraft,
    undone: Undone,
    planned: Reversed,
    order: ReversalOrder,
) -> ReversalNumber:
    """Store the reversal's own row; its UNIQUE constraint makes the reversal happen once.

    The reversal of a return has a part for each lot, and one for what is owed again.
    """
    clawback = undone.clawbacks[0] if undone.clawbacks and not undone.of_return else None
    number: ReversalNumber = await database.fetchval(
        """INSERT INTO reversals (of_journal_id, part_of, journal_id, account_id, lot_id, entry_id,
               house, policy, state, requested, clawed, held, shortfall, expired, carried,
               journal_count, pending, actor, reason, created_at, finished_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'done', $9, $10, $11, $12, $13, $14, 1, $15, $16,
                   $17, $18, $18) RETURNING id""",
        planned.of_journal_id,
        order.part_of,
        header.number,
        day.sheet.account_id,
        clawback.lot.number if clawback else None,
        clawback.entry_id if clawback else None,
        str(clawback.house) if clawback else None,
        str(order.policy),
        planned.requested,
        planned.clawed,
        planned.held,
        planned.shortfall,
        planned.expired,
        planned.carried,
        clawback.pending if clawback else 0,
        order.actor,
        order.reason,
        day.now,
    )
    if undone.of_return:
        await _store_parts(database, day, undone, order, number)
    if order.part_of is None:
        await acts.record(
            database,
            acts.OperatorAct.REVERSAL,
            order.by,
            subject=ids.public(ids.REVERSAL, number),
            account_id=day.sheet.account_id,
            journal_id=header.number,
        )
    return number


async def _store_parts(
    database: Database,
    day: AccountDay,
    undone: Undone,
    order: ReversalOrder,
    number: ReversalNumber,
) -> None:
    parts: list[tuple[object, ...]] = [
        (None, entry_id, "spent", owed + expired, owed, 0, 0, expired, 0)
        for entry_id, owed, expired in undone.owed
    ]
    parts += [
        (
            one.lot.number,
            one.entry_id,
            str(one.house),
            one.requested,
            one.clawed,
            one.held,
            one.shortfall,
            one.expired,
            one.pending,
        )
        for one in undone.clawbacks
    ]
    await database.execute(
        """INSERT INTO reversals (part_of, account_id, policy, state, journal_count, actor, reason,
                  created_at, finished_at, lot_id, entry_id, house, requested, clawed, held,
                  shortfall, expired, pending)
           SELECT $1, $2, $3, 'done', 0, $4, $5, $6, $6, part.*
             FROM unnest($7::bigint[], $8::bigint[], $9::text[], $10::bigint[], $11::bigint[],
                         $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[]) AS part""",
        number,
        day.sheet.account_id,
        str(order.policy),
        order.actor,
        order.reason,
        day.now,
        *([part[column] for part in parts] for column in range(9)),
    )


async def store_event(
    database: Database,
    day: AccountDay,
    header: JournalDraft,
    planned: Reversed,
    order: ReversalOrder,
    standing: str,
) -> ReversalNumber:
    """Store the row of an event's reversal; ``standing`` is what its money counts as from
    now on.
    """
    number: ReversalNumber = await database.fetchval(
        """INSERT INTO reversals (of_event_id, standing, journal_id, account_id, policy, state,
               requested, clawed, held, shortfall, expired, journal_count, actor, reason,
               created_at, finished_at)
           VALUES ($1, $2, $3, $4, $5, 'done', $6, $7, $8, $9, $10, 1, $11, $12, $13, $13)
           RETURNING id""",
        planned.of_event_id,
        standing,
        header.number,
        day.sheet.account_id,
        str(order.policy),
        planned.requested,
        planned.clawed,
        planned.held,
        planned.shortfall,
        planned.expired,
        order.actor,
        order.reason,
        day.now,
    )
    await acts.record(
        database,
        acts.OperatorAct.REVERSAL,
        order.by,
        subject=ids.public(ids.REVERSAL, number),
        account_id=day.sheet.account_id,
        journal_id=header.number,
        event_id=planned.of_event_id,
    )
    return number


async def first_answer(
    database: Database,
    key: RequestKey | None,
    *,
    journal_id: JournalNumber | None = None,
    event_id: str | None = None,
) -> Reversed | None:
    """Return the first answer for this thing or under this key, or None.

    Call it after the account's lock. Raises KeyReusedError.
    """
    if key is not None:
        stored = await idempotency.stored_for_operator(database, key)
        if stored is not None:
            first = _replay(stored.answer, stored.journal_id)
            number = await database.fetchval(
                "SELECT id FROM reversals WHERE journal_id = $1", stored.journal_id
            )
            return msgspec.structs.replace(first, number=number)
    row = await database.fetchrow(
        """SELECT reversals.id, journal_id, answer::text FROM reversals
             JOIN notes USING (journal_id) WHERE of_journal_id = $1 OR of_event_id = $2""",
        journal_id,
        event_id,
    )
    if row is None:
        return None
    first = _replay(orjson.loads(row["answer"]), row["journal_id"])
    return msgspec.structs.replace(first, number=row["id"])


def _replay(answer: dict[str, object], journal_id: JournalNumber) -> Reversed:
    first = msgspec.convert(answer, Reversed)
    return msgspec.structs.replace(first, journal_id=journal_id, replayed=True)


async def find(database: Database, number: ReversalNumber | None) -> Reversed:
    """Return a reversal with its progress; raise ReversalUnknownError if there is none."""
    row = await database.fetchrow("SELECT * FROM reversals WHERE id = $1", number or 0)
    if row is None:
        raise ReversalUnknownError("There is no such reversal.")
    return of_row(row)


def of_row(row: Record) -> Reversed:
    """Return the answer of a reversal's row."""
    return Reversed(
        number=row["id"],
        journal_id=row["journal_id"],
        of_journal_id=row["of_journal_id"],
        of_run_id=row["of_run_id"],
        policy=row["policy"],
        state=row["state"],
        requested=row["requested"],
        clawed=row["clawed"],
        held=row["held"],
        shortfall=row["shortfall"],
        expired=row["expired"],
        carried=row["carried"],
        journal_count=row["journal_count"],
        skipped=row["skipped"],
        of_event_id=row["of_event_id"],
    )
