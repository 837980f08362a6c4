"""Accounts whose day is over, made in bulk by SQL, and the floor of opening their next one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg

from app.infrastructure import clock
from app.infrastructure.db import Database
from app.runs.bulk import CHUNK_ACCOUNTS
from ops.benchmarks.seed import settle
from ops.benchmarks.server import Ledger

CREDITS: Final = 5
TIMEOUT_S: Final = 1_200
DAY: Final = timedelta(days=1)
SEEDED_ON: Final = datetime(2026, 1, 1, tzinfo=UTC)

# Account n is named bench-n and has the lot n, granted by journal n in entry n.
_SEED: Final = """
WITH n AS MATERIALIZED (SELECT n FROM generate_series(1, $1::bigint) AS n),
lots AS (
    INSERT INTO lots (id, account_id, source, priority, granted_at, expires_at, granted, free, live)
    OVERRIDING SYSTEM VALUE
    SELECT n, n, 'daily', 200, $3, $4, $2::bigint, $2::bigint, true FROM n
), journals AS (
    INSERT INTO journals (id, kind, source, actor, effective_at, recorded_at)
    OVERRIDING SYSTEM VALUE
    SELECT n, 'opening', 'grants', 'bench', $3, $3 FROM n
), entries AS (
    INSERT INTO entries (id, journal_id, account_id, lot_id, amount, free_after, held_after,
                         debt_after, effective_at, recorded_at, kind, debit, credit)
    OVERRIDING SYSTEM VALUE
    SELECT n, n, n, n, $2::bigint, $2::bigint, 0, 0, $3, $3, 'grant', 'issued', 'free' FROM n
), days AS (
    INSERT INTO daily_grants (account_id, day_on, opening, starts_at, ends_at, time_zone, tier,
                              credits, lot_id, recorded_at)
    SELECT n, ($3 AT TIME ZONE 'UTC')::date, 1, $3, $4, 'UTC', 'FREE', $2::bigint, n, $3 FROM n
)
INSERT INTO accounts (id, external_id, free, tier, day_on, day_starts_at, day_ends_at, day_lot_id,
                      day_catalogue_id, due_at, opened_at)
OVERRIDING SYSTEM VALUE
SELECT n, 'bench-' || n, $2::bigint, 'FREE', ($3 AT TIME ZONE 'UTC')::date, $3, $4, n,
       (SELECT max(id) FROM catalogues), $4, $3 FROM n
"""

# The rows that a run writes, of accounts $1 to $2, by one statement that decides nothing: it asks
# neither what is due nor who is entitled to what, passes no locked row, and trusts that all have
# one lot, hold nothing and owe nothing.
_FLOOR: Final = """
WITH chunk AS MATERIALIZED (
    SELECT accounts.id, lots.id AS old_lot_id, lots.free AS rest, accounts.day_on,
           nextval('lots_id_seq') AS lot_id, nextval('journals_id_seq') AS journal_id
      FROM accounts JOIN lots ON lots.id = accounts.day_lot_id
     WHERE accounts.id BETWEEN $1 AND $2
), new_lots AS (
    INSERT INTO lots (id, account_id, source, priority, granted_at, expires_at, granted, free, live)
    OVERRIDING SYSTEM VALUE
    SELECT lot_id, id, 'daily', 200, $4, $5, $3::bigint, $3::bigint, true FROM chunk
), new_journals AS (
    INSERT INTO journals (id, kind, source, actor, run_id, effective_at, recorded_at)
    OVERRIDING SYSTEM VALUE
    SELECT journal_id, 'opening', 'grants', 'bench', $6, $4, $4 FROM chunk
), new_entries AS (
    INSERT INTO entries (journal_id, account_id, lot_id, kind, debit, credit, amount,
                         free_after, held_after, debt_after, effective_at, recorded_at)
    SELECT journal_id, id, moved.lot_id, kind, debit, credit, amount, free_after, 0, 0, $4, $4
      FROM chunk, LATERAL (VALUES
           (1, old_lot_id, 'expiry', 'free', 'expired', rest, 0),
           (2, chunk.lot_id, 'grant', 'issued', 'free', $3::bigint, $3::bigint)
           ) AS moved (step, lot_id, kind, debit, credit, amount, free_after)
), old_lots AS (
    UPDATE lots SET lapsed = lots.lapsed + lots.free, free = 0, live = false
      FROM chunk WHERE lots.id = chunk.old_lot_id
), opened AS (
    INSERT INTO daily_grants (account_id, day_on, opening, starts_at, ends_at, time_zone, tier,
                              credits, previous_on, lot_id, run_id, recorded_at)
    SELECT id, ($4 AT TIME ZONE 'UTC')::date, 1, $4, $5, 'UTC', 'FREE', $3::bigint, day_on,
           lot_id, $6, $4
      FROM chunk
)
UPDATE accounts SET free = $3::bigint, day_on = ($4 AT TIME ZONE 'UTC')::date, day_starts_at = $4,
       day_ends_at = $5, day_lot_id = chunk.lot_id, due_at = $5
  FROM chunk WHERE accounts.id = chunk.id
"""
_RUN: Final = """
INSERT INTO runs (day_on, wave_at, catalogue_id, state, started_by, started_at)
SELECT ($1 AT TIME ZONE 'UTC')::date, $1, max(id), 'done', 'floor', $1 FROM catalogues
RETURNING id
"""


async def seed(ledger: Ledger, accounts: int) -> None:
    """This many accounts on SEEDED_ON, all of it theirs to spend still."""
    connection = await asyncpg.connect(ledger.superuser_url, command_timeout=TIMEOUT_S)
    try:
        # Seeded without the foreign keys' looks; they stand for what is measured.
        await connection.execute("SET session_replication_role = replica")
        await connection.execute(_SEED, accounts, CREDITS, SEEDED_ON, SEEDED_ON + DAY)
        await settle(connection)
    finally:
        await connection.close()


async def tidy(ledger: Ledger) -> None:
    """What a day leaves to be vacuumed and written is done with: it is not what comes next."""
    connection = await asyncpg.connect(ledger.superuser_url, command_timeout=TIMEOUT_S)
    try:
        await settle(connection)
    finally:
        await connection.close()


async def move_to_day(database: Database, number: int) -> None:
    """Let the book's clock run on from just after midnight, so many days after the seeding."""
    await clock.stand(database, SEEDED_ON + number * DAY + timedelta(seconds=1))
    await clock.run_on(database)


async def open_by_floor(database: Database, accounts: int, number: int) -> None:
    """Open the day with raw SQL, in chunks that each are a transaction."""
    starts_at = SEEDED_ON + number * DAY
    run_id = await database.fetchval(_RUN, starts_at)
    for first in range(1, accounts + 1, CHUNK_ACCOUNTS):  # commits are as many as the run's
        last = min(accounts, first + CHUNK_ACCOUNTS - 1)
        await database.execute(_FLOOR, first, last, CREDITS, starts_at, starts_at + DAY, run_id)
