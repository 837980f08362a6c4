"""The set-based way of a run: open the days of thousands of accounts by one statement.

It takes the accounts of which nothing but the day's end is due, that hold and owe nothing and
whose tier carries nothing over; ``app.grants.day`` opens the others one by one. A property test
holds the two ways to the same rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from app.db import Database
from app.grants.catalogue import Catalogue
from app.grants.catalogues import Catalogues
from app.grants.zones import Day
from app.ledger.kinds import PRIORITY, LotSource

# 0.1 to 0.4 s a transaction on two cores; a spend that meets a chunk waits no longer than that.
CHUNK_ACCOUNTS: Final = 2_000

# First the locks, then a statement of its own for the rest: its snapshot is taken after them.
_LOCK: Final = """
SELECT id FROM accounts
 WHERE due_at <= $1 AND due_at = day_ends_at AND closed_at IS NULL AND held = 0 AND debt = 0
   AND time_zone = $2 AND day_catalogue_id = ANY($3::bigint[]) AND tier = ANY($4::text[])
   AND day_lot_id IS NOT NULL
 ORDER BY due_at, id LIMIT $5 FOR UPDATE SKIP LOCKED
"""

# A chunk is a sliver of its tables: a hash join would read all of them, once for each chunk.
_BY_INDEX: Final = "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"

_OPEN: Final = """
WITH chunk AS MATERIALIZED (
    SELECT accounts.id, accounts.free, accounts.tier, accounts.time_zone, accounts.day_on,
           accounts.day_ends_at, lots.id AS old_lot_id, lots.free AS rest, tier.credits,
           nextval('lots_id_seq') AS lot_id, nextval('journals_id_seq') AS journal_id
      FROM accounts
      JOIN lots ON lots.id = accounts.day_lot_id
      JOIN unnest($2::text[], $3::bigint[]) AS tier (name, credits) ON tier.name = accounts.tier
     WHERE accounts.id = ANY($1::bigint[])
     ORDER BY accounts.id
), clock AS MATERIALIZED (SELECT tallybook_now() AS now
), new_lots AS (
    INSERT INTO lots (id, account_id, source, priority, granted_at, expires_at, granted, free, live)
    OVERRIDING SYSTEM VALUE
    SELECT lot_id, id, 'daily', $4, $6, $7, credits, credits, true FROM chunk
), new_journals AS (
    INSERT INTO journals (id, kind, source, actor, run_id, effective_at, recorded_at)
    OVERRIDING SYSTEM VALUE
    SELECT journal_id, 'opening', 'grants', $9, $8, $6, clock.now FROM chunk, clock
), new_entries AS (
    INSERT INTO entries (journal_id, account_id, lot_id, kind, debit, credit, amount,
                         free_after, held_after, debt_after, effective_at, recorded_at)
    SELECT journal_id, id, moved.lot_id, kind, debit, credit, amount, free_after, 0, 0,
           effective_at, clock.now
      FROM chunk, clock, LATERAL (VALUES
           (1, old_lot_id, 'expiry', 'free', 'expired', rest, free - rest, day_ends_at),
           (2, chunk.lot_id, 'grant', 'issued', 'free', credits, free - rest + credits, $6)
           ) AS moved (step, lot_id, kind, debit, credit, amount, free_after, effective_at)
     WHERE amount > 0
     ORDER BY id, step
), old_lots AS (
    UPDATE lots SET lapsed = lots.lapsed + lots.free, free = 0, live = false
      FROM chunk WHERE lots.id = chunk.old_lot_id
), opened AS (
    INSERT INTO daily_grants (account_id, day_on, opening, starts_at, ends_at, time_zone, tier,
                              credits, previous_on, lot_id, run_id, recorded_at)
    SELECT id, $5, 1, $6, $7, time_zone, tier, credits, day_on, lot_id, $8, clock.now
      FROM chunk, clock
)
UPDATE accounts SET
    free = accounts.free - chunk.rest + chunk.credits, day_on = $5, day_opening = 1,
    day_starts_at = $6, day_ends_at = $7, day_lot_id = chunk.lot_id, day_catalogue_id = $10,
    day_used_brought = 0, day_withdrawn = false,
    due_at = least($7::timestamptz,
        (SELECT min(grace_ends_at) FROM subscriptions
          WHERE account_id = accounts.id AND tier IS NULL AND grace_ends_at > accounts.due_at),
        (SELECT min(expires_at) FROM lots
          WHERE account_id = accounts.id AND live AND free > 0 AND id <> chunk.old_lot_id))
  FROM chunk WHERE accounts.id = chunk.id
"""


async def open_days(
    database: Database, catalogues: Catalogues, time_zone: str, day: Day, run_id: int, actor: str
) -> int:
    """Open one chunk's days in one transaction; how many there were, 0 where none is left."""
    present_id, present = await catalogues.present(database)
    carrying_nothing = await _catalogues_without_carry(database, catalogues)
    credits = {tier.name: tier.daily_credits for tier in present.tiers}
    async with database.transaction():
        await database.execute(_BY_INDEX)
        rows = await database.fetch(
            _LOCK, day.starts_at, time_zone, carrying_nothing, list(credits), CHUNK_ACCOUNTS
        )
        if rows:
            await _open(
                database, [row["id"] for row in rows], credits, day, run_id, actor, present_id
            )
    return len(rows)


async def _open(
    database: Database, ids: list[int], credits: Mapping[str, int], day: Day, run_id: int,
    actor: str, catalogue_id: int,
) -> None:  # fmt: skip
    await database.execute(
        _OPEN, ids, list(credits), list(credits.values()), PRIORITY[LotSource.DAILY],
        day.on, day.starts_at, day.ends_at, run_id, actor, catalogue_id,
    )  # fmt: skip


async def _catalogues_without_carry(database: Database, catalogues: Catalogues) -> list[int]:
    numbers = [row["id"] for row in await database.fetch("SELECT id FROM catalogues")]
    parsed = {number: await catalogues.of(database, number) for number in numbers}
    return [number for number, catalogue in parsed.items() if not _carries(catalogue)]


def _carries(catalogue: Catalogue) -> bool:
    return any(tier.carry_over_max for tier in catalogue.tiers)
