"""Reverse a whole run: account by account in resumable chunks, with one policy for all."""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec

from app import ids, operator_acts
from app.accounts.book import Book
from app.accounts.reversals import ReversalOrder, Reversed, find, store
from app.accounts.reverse import answer as answer_of
from app.accounts.reverse import draft
from app.db import Database, Record
from app.errors import KeyReusedError, RunUnknownError, ShortfallError
from app.grants import load
from app.grants.day import AccountDay, Origin
from app.ledger import idempotency
from app.ledger.claws import Policy
from app.ledger.idempotency import RequestKey

CHUNK_ACCOUNTS: Final = 200


async def reverse_run(
    book: Book, run_id: int | None, order: ReversalOrder, *, dry_run: bool, within_s: float
) -> Reversed:
    """Take back what a run granted; what is not done within ``within_s`` the tick goes on with.

    A second time it returns the first's answer. Raises RunUnknownError, KeyReusedError.
    """
    database = book.database
    if run_id is None or not await database.fetchval("SELECT true FROM runs WHERE id = $1", run_id):
        raise RunUnknownError("There is no such run.")
    if dry_run:
        return await _dry_run(book, run_id, order)
    number, replayed = await _begin(database, run_id, order)
    await go_on(book, number, within_s)
    return msgspec.structs.replace(await find(database, number), replayed=replayed)


async def _begin(database: Database, run_id: int, order: ReversalOrder) -> tuple[int, bool]:
    key = order.key
    assert key is not None, "a run is reversed under a key"
    await _check_key(database, key)
    async with database.transaction():
        number = await database.fetchval(
            """INSERT INTO reversals (of_run_id, policy, state, idempotency_key, request_hash,
                                      actor, reason, created_at, journal_count)
               VALUES ($1, $2, 'going', $3, $4, $5, $6, tallybook_now(), 0)
               ON CONFLICT (of_run_id) DO NOTHING RETURNING id""",
            run_id, str(order.policy), key.key, key.request_hash, order.actor, order.reason,
        )  # fmt: skip
        if number is not None:
            await operator_acts.record(
                database, operator_acts.OperatorAct.REVERSAL, order.by,
                subject=ids.public(ids.REVERSAL, number), run_id=run_id,
            )  # fmt: skip
            return number, False
    first = await database.fetchval("SELECT id FROM reversals WHERE of_run_id = $1", run_id)
    return first, True


async def _check_key(database: Database, key: RequestKey) -> None:
    stored = (await idempotency.stored(database, [key.key])).get(key.key)
    if stored is not None:
        idempotency.same_request(key, stored)
    used = await database.fetchval(
        "SELECT request_hash FROM reversals WHERE idempotency_key = $1", key.key
    )
    if used is not None and used != key.request_hash:
        raise KeyReusedError("This Idempotency-Key was used for another request.")


async def go_on(book: Book, number: int, within_s: float) -> bool:
    """Reverse chunk after chunk, each in a transaction of its own; whether it is done."""
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + within_s
    row = await book.database.fetchrow("SELECT * FROM reversals WHERE id = $1", number)
    assert row is not None
    while row["state"] == "going" and loop.time() < ends_at:
        async with book.database.transaction():
            count = await _chunk(book, row)
            await _count(book.database, number, done=count == 0)
        if count == 0:
            return True
    return bool(row["state"] == "done")


async def resume(book: Book, within_s: float) -> None:
    """Go on with the reversals that are under way."""
    for row in await book.database.fetch("SELECT id FROM reversals WHERE state = 'going'"):
        await go_on(book, row["id"], within_s)


_NEXT: Final = """
SELECT journals.*, entries.account_id FROM journals
  JOIN entries ON entries.journal_id = journals.id AND entries.kind = 'grant'
  JOIN accounts ON accounts.id = entries.account_id AND accounts.joined_to IS NULL
 WHERE journals.run_id = $1 AND journals.kind = 'opening' AND journals.id > $2
   AND NOT EXISTS (SELECT FROM reversals WHERE of_journal_id = journals.id)
 ORDER BY journals.id LIMIT $3
"""


async def _chunk(book: Book, run_reversal: Record) -> int:
    """Reverse some of the run's journals; how many were looked at."""
    database = book.database
    # One chunk of a run's reversal at a time: the request's and the tick's do not race.
    locked = await database.fetchrow(
        "SELECT last_journal_id FROM reversals WHERE id = $1 FOR UPDATE", run_reversal["id"]
    )
    assert locked is not None
    rows = await database.fetch(
        _NEXT, run_reversal["of_run_id"], locked["last_journal_id"], CHUNK_ACCOUNTS
    )
    order = ReversalOrder(
        reason=run_reversal["reason"],
        policy=Policy(run_reversal["policy"]),
        actor=run_reversal["actor"],
        key=None,
        part_of=run_reversal["id"],
    )
    days = await load.lock(database, book.catalogues, [row["account_id"] for row in rows])
    skipped = 0
    for row in rows:
        skipped += await _reverse_one(database, days[row["account_id"]], row, order)
    if rows:
        await database.execute(
            "UPDATE reversals SET last_journal_id = $2, skipped = skipped + $3 WHERE id = $1",
            run_reversal["id"], rows[-1]["id"], skipped,
        )  # fmt: skip
    return len(rows)


async def _reverse_one(
    database: Database, day: AccountDay, row: Record, order: ReversalOrder
) -> int:
    """Reverse one account's opening; 1 where the policy `reject` skipped it."""
    day.post_due(Origin("due", order.actor))
    await load.store(database, [day])
    try:
        header, undone = await draft(database, day, row, order)
    except ShortfallError:
        day.sheet.forget()  # what was drafted for it is not written
        return 1
    result = answer_of(row["id"], order, undone)
    header.answer = msgspec.to_builtins(result)
    await load.store(database, [day])
    await store(database, day, header, undone.claw, result, order)
    return 0


async def _count(database: Database, number: int, *, done: bool) -> None:
    await database.execute(
        """UPDATE reversals SET (requested, clawed, held, shortfall, expired, journal_count) = (
               SELECT coalesce(sum(requested), 0), coalesce(sum(clawed), 0),
                      coalesce(sum(held), 0), coalesce(sum(shortfall), 0),
                      coalesce(sum(expired), 0), count(*)
                 FROM reversals AS part WHERE part.part_of = $1),
               state = CASE WHEN $2 THEN 'done' ELSE 'going' END,
               finished_at = CASE WHEN $2 THEN tallybook_now() END
            WHERE id = $1""",
        number, done,
    )  # fmt: skip


async def _dry_run(book: Book, run_id: int, order: ReversalOrder) -> Reversed:
    """What it would come to, of the lots as they stand; nothing is locked for it."""
    total = await book.database.fetchrow(
        """WITH granted AS (
               SELECT entries.amount, lots.free, lots.held, lots.lapsed FROM journals
                 JOIN entries ON entries.journal_id = journals.id AND entries.kind = 'grant'
                 JOIN accounts ON accounts.id = entries.account_id AND accounts.joined_to IS NULL
                 JOIN lots ON lots.id = entries.lot_id
                WHERE journals.run_id = $1 AND journals.kind = 'opening'
                  AND NOT EXISTS (SELECT FROM reversals WHERE of_journal_id = journals.id)
           ), clawed AS (
               SELECT *, least(free, amount) AS clawed FROM granted
           ), held_back AS (
               SELECT *, least(held, amount - clawed) AS held_back FROM clawed
           ), ended AS (
               SELECT *, least(lapsed, amount - clawed - held_back) AS expired FROM held_back)
           SELECT count(*) AS journal_count, coalesce(sum(amount), 0)::bigint AS requested,
                  coalesce(sum(clawed), 0)::bigint AS clawed,
                  coalesce(sum(held_back), 0)::bigint AS held,
                  coalesce(sum(expired), 0)::bigint AS expired,
                  count(*) FILTER (WHERE amount > clawed + held_back + expired) AS short
             FROM ended""",
        run_id,
    )
    assert total is not None
    rejected = total["short"] if order.policy is Policy.REJECT else 0
    taken = total["clawed"] + total["held"] + total["expired"]
    return Reversed(
        number=None, journal_id=None, of_journal_id=None, of_run_id=run_id,
        policy=str(order.policy), state="done", requested=total["requested"],
        clawed=total["clawed"], held=total["held"], expired=total["expired"],
        shortfall=total["requested"] - taken, journal_count=total["journal_count"] - rejected,
        skipped=rejected, dry_run=True,
    )  # fmt: skip
