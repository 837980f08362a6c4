"""Reverse a whole run: in resumable chunks, with one policy for all.

One statement takes the common accounts of a chunk (``app.reversals.run_bulk``). The others are
reversed one by one, as single journals are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import asyncpg
import msgspec
import structlog

from app.allowance import load
from app.allowance.origin import Origin
from app.allowance.store import store_days
from app.book import Book
from app.errors import (
    NotReversibleError,
    RunUnknownError,
    ShortfallError,
    TallybookError,
)
from app.infrastructure import ids
from app.infrastructure.db import Database, Record
from app.infrastructure.ids import NO_ROW, AccountNumber, JournalNumber, ReversalNumber, RunNumber
from app.ledger import idempotency
from app.ledger.clawbacks import Policy
from app.operators import acts
from app.reversals import draft, run_bulk, withdraw_empty
from app.reversals.journal import answer as answer_of
from app.reversals.parties import Parties, lock, parties_of, write
from app.reversals.preview import preview
from app.reversals.record import ReversalOrder, Reversed, find, store
from app.runs import run_row

log = structlog.get_logger(__name__)

# What a chunk looks at, and how many of those it takes one by one: both about a third of a second.
CHUNK_ACCOUNTS: Final = 2_000
SINGLE_ACCOUNTS: Final = 100

# journals, requested, clawed, held, shortfall, expired
Sums = tuple[int, int, int, int, int, int]


async def reverse_run(
    book: Book, run_id: RunNumber | None, order: ReversalOrder, *, dry_run: bool, within_s: float
) -> Reversed:
    """Take back what a run granted; the tick continues with what is not done within ``within_s``.

    A second call returns the first answer. Raises RunUnknownError, NotReversibleError while the
    run is still going, KeyReusedError.
    """
    database = book.database
    left = await run_row.left(database, run_id or RunNumber(NO_ROW))
    if run_id is None or left is None:
        raise RunUnknownError("There is no such run.")
    if dry_run:
        _refuse_going(left)
        return await preview(book, run_id, order)
    number, replayed = await _begin(database, run_id, order)
    await go_on(book, number, within_s)
    return msgspec.structs.replace(await find(database, number), replayed=replayed)


async def _begin(
    database: Database, run_id: RunNumber, order: ReversalOrder
) -> tuple[ReversalNumber, bool]:
    key = order.key
    assert key is not None, "a run is reversed under a key"
    async with database.transaction():
        await idempotency.stored_for_operator(database, key)
        left = await run_row.lock_settled(database, run_id)
        first = await database.fetchval("SELECT id FROM reversals WHERE of_run_id = $1", run_id)
        if first is not None:
            return first, True
        _refuse_going(left)
        number: ReversalNumber = await database.fetchval(
            """INSERT INTO reversals (of_run_id, policy, state, idempotency_key, request_hash,
                                      actor, reason, created_at, journal_count)
               VALUES ($1, $2, 'going', $3, $4, $5, $6, tallybook_now(), 0) RETURNING id""",
            run_id,
            str(order.policy),
            key.key,
            key.request_hash,
            order.actor,
            order.reason,
        )
        await acts.record(
            database,
            acts.OperatorAct.REVERSAL,
            order.by,
            subject=ids.public(ids.REVERSAL, number),
            run_id=run_id,
        )
    return number, False


def _refuse_going(left: int) -> None:
    if left:
        raise NotReversibleError(
            f"The run is still going, with {left} to come: it may be taken back when it has come "
            "to all, at the latest when its day is over. `GET /api/v1/runs/{id}` tells."
        )


async def go_on(book: Book, number: ReversalNumber, within_s: float) -> bool:
    """Reverse chunk after chunk, each in a transaction of its own; return whether it is done."""
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + within_s
    row = await book.database.fetchrow("SELECT * FROM reversals WHERE id = $1", number)
    assert row is not None
    while row["state"] == "going" and loop.time() < ends_at:
        async with book.database.transaction():
            if await _chunk(book, row) == 0:
                break
    after = 0
    while row["state"] == "going" and loop.time() < ends_at:
        async with book.database.transaction():
            await _lock(book.database, number)
            withdrawn_to = await withdraw_empty.chunk(book, row, after)
            if withdrawn_to is None:
                await _finish(book.database, number)
                return True
            after = withdrawn_to
    return bool(row["state"] == "done")


async def resume(book: Book, within_s: float) -> None:
    """Continue the unfinished reversals."""
    for row in await book.database.fetch("SELECT id FROM reversals WHERE state = 'going'"):
        await go_on(book, row["id"], within_s)


_NEXT: Final = """
SELECT journals.*, entries.account_id, coalesce(accounts.joined_to, accounts.id) AS present_id
  FROM journals
  JOIN entries ON entries.journal_id = journals.id AND entries.kind = 'grant'
  JOIN accounts ON accounts.id = entries.account_id
 WHERE journals.run_id = $1 AND journals.kind = 'opening' AND journals.id > $2
   AND NOT EXISTS (SELECT FROM reversals WHERE of_journal_id = journals.id)
 ORDER BY journals.id LIMIT $3
"""


# Journals of the run ($1) between $2 and $3 that were not looked at ($4): ids come before commits.
_LATE: Final = """
SELECT min(id) FROM journals
 WHERE run_id = $1 AND kind = 'opening' AND id > $2 AND id <= $3 AND id <> ALL($4::bigint[])
   AND NOT EXISTS (SELECT FROM reversals WHERE of_journal_id = journals.id)
   AND EXISTS (SELECT FROM entries WHERE journal_id = journals.id AND kind = 'grant')
"""


async def _lock(database: Database, number: ReversalNumber) -> int:
    """Lock one chunk of a run's reversal: the request and the tick do not work at once."""
    last: int = await database.fetchval(
        "SELECT last_journal_id FROM reversals WHERE id = $1 FOR UPDATE", number
    )
    return last


async def _next(database: Database, run_id: RunNumber, after: int) -> list[Record]:
    rows = await database.fetch(_NEXT, run_id, after, CHUNK_ACCOUNTS)
    if not rows:  # also of the chunks of the run that are under way: a tick may have begun it again
        await run_row.lock_settled(database, run_id)
        rows = await database.fetch(_NEXT, run_id, after, CHUNK_ACCOUNTS)
    return rows


async def _chunk(book: Book, run_reversal: Record) -> int:
    """Reverse some of the run's journals; return how many were looked at."""
    database, run_id = book.database, run_reversal["of_run_id"]
    after = await _lock(database, run_reversal["id"])
    rows = await _next(database, run_id, after)
    if not rows:
        return 0
    order = ReversalOrder(
        reason=run_reversal["reason"],
        policy=Policy(run_reversal["policy"]),
        actor=run_reversal["actor"],
        key=None,
        part_of=run_reversal["id"],
    )
    taken = await run_bulk.take_back(
        database, [row["id"] for row in rows], sorted(_involved(rows)), order
    )
    others = [row for row in rows if row["id"] not in taken.journal_ids | taken.skipped]
    # Where they are many the next chunk begins at the first that this one leaves: what it has
    # taken behind that one is no longer looked for, and what it skipped there is counted then.
    last = others[SINGLE_ACCOUNTS]["id"] - 1 if len(others) > SINGLE_ACCOUNTS else rows[-1]["id"]
    singly, skipped = await _one_by_one(book, others[:SINGLE_ACCOUNTS], order)
    # A run that a tick began again: what it committed since is gone back to.
    await run_row.lock_settled(database, run_id)
    late = await database.fetchval(_LATE, run_id, after, last, [row["id"] for row in rows])
    last = last if late is None else late - 1
    skipped_count = sum(1 for journal_id in taken.skipped | skipped if journal_id <= last)
    await _progress(database, run_reversal["id"], last, skipped_count, [_sums(taken), *singly])
    return len(rows)


def _involved(rows: Sequence[Record]) -> set[AccountNumber]:
    """Return the accounts of these journals, and those that they were joined to."""
    return {row[column] for row in rows for column in ("account_id", "present_id")}


async def _one_by_one(
    book: Book, rows: Sequence[Record], order: ReversalOrder
) -> tuple[list[Sums], set[JournalNumber]]:
    """Reverse these on sheets; return their numbers, and the journals that were skipped."""
    done: list[Sums] = []
    skipped: set[JournalNumber] = set()
    if not rows:
        return done, skipped
    days = await load.lock(book.database, book.catalogues, _involved(rows))
    for row in rows:
        parties = parties_of(days, row["account_id"])
        if parties is None:  # its other was taken before, or it was joined since it was looked up
            parties = await lock(book.database, book.catalogues, [row["account_id"]])
        for day in parties.days:  # as it stands after this it is to be read anew
            days.pop(day.sheet.account_id, None)
        try:
            async with book.database.transaction():  # a savepoint: one costs no other its reversal
                done.append(_sums_of(await _reverse_one(book.database, parties, row, order)))
        except ShortfallError:
            skipped.add(row["id"])
        except (asyncpg.IntegrityConstraintViolationError, TallybookError):
            log.exception("account_not_reversed", account=row["account_id"])
            skipped.add(row["id"])
    return done, skipped


async def _reverse_one(
    database: Database, parties: Parties, row: Record, order: ReversalOrder
) -> Reversed:
    """Reverse one account's opening; raise ShortfallError if the policy is `reject`."""
    day = parties.present
    day.post_due(Origin("due", order.actor))
    await store_days(database, [day])
    header, undone = await draft.draft(database, parties, row, order)
    result = answer_of(row["id"], order, undone)
    header.answer = msgspec.to_builtins(result)
    await write(database, parties, undone)
    await store(database, day, header, undone, result, order)
    return result


def _sums_of(one: Reversed) -> Sums:
    return (1, one.requested, one.clawed, one.held, one.shortfall, one.expired)


def _sums(taken: run_bulk.Taken) -> Sums:
    count = len(taken.journal_ids)
    return (count, taken.requested, taken.clawed, 0, taken.shortfall, taken.expired)


async def _progress(
    database: Database,
    number: ReversalNumber,
    last_journal_id: JournalNumber,
    skipped: int,
    done: Sequence[Sums],
) -> None:
    """Add a chunk's numbers: counting all parts again would cost more with each chunk."""
    await database.execute(
        """UPDATE reversals SET last_journal_id = $2, skipped = skipped + $3,
                  journal_count = journal_count + $4, requested = requested + $5,
                  clawed = clawed + $6, held = held + $7, shortfall = shortfall + $8,
                  expired = expired + $9
            WHERE id = $1""",
        number,
        last_journal_id,
        skipped,
        *(sum(column) for column in zip(*done, strict=True)),
    )


async def _finish(database: Database, number: ReversalNumber) -> None:
    """Finish: count once more from the parts, since held credits may have changed."""
    await database.execute(
        """UPDATE reversals SET (requested, clawed, held, shortfall, expired, journal_count) = (
               SELECT coalesce(sum(requested), 0), coalesce(sum(clawed), 0),
                      coalesce(sum(held), 0), coalesce(sum(shortfall), 0),
                      coalesce(sum(expired), 0), count(*)
                 FROM reversals AS part WHERE part.part_of = $1),
               state = 'done', finished_at = tallybook_now()
            WHERE id = $1 AND state = 'going'""",
        number,
    )
