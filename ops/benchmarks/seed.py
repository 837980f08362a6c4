"""Seed ledgers in bulk by SQL, with every trigger and constraint on, as real ones would stand."""

from __future__ import annotations

from typing import Final

import asyncpg

from ops.benchmarks.server import Ledger

CREDITS: Final = 10**12  # of each account's one lot: no bench ever exhausts it
CHUNK: Final = 200_000  # entries of one statement: what its triggers queue stays in memory
TIMEOUT_S: Final = 1_200

# Account n is named bench-n and has the lot n, granted by journal n in entry n. Nothing is due.
_ACCOUNTS: Final = """
WITH n AS MATERIALIZED (SELECT n FROM generate_series(1, $1::bigint) AS n),
accounts AS (
    INSERT INTO accounts (id, external_id, free, tier, due_at, opened_at)
    OVERRIDING SYSTEM VALUE
    SELECT n, 'bench-' || n, $2, 'FREE', '9999-12-31Z', '2026-01-01Z' FROM n
), lots AS (
    INSERT INTO lots (id, account_id, source, priority, granted_at, expires_at,
                      granted, free, live) OVERRIDING SYSTEM VALUE
    SELECT n, n, 'promotional', 50, '2026-01-01Z', '9999-12-31Z', $2, $2, true FROM n
), journals AS (
    INSERT INTO journals (id, kind, source, actor, effective_at, recorded_at)
    OVERRIDING SYSTEM VALUE
    SELECT n, 'grant', 'api', 'bench', '2026-01-01Z', '2026-01-01Z' FROM n
)
INSERT INTO entries (id, journal_id, account_id, lot_id, amount, free_after, held_after,
                     debt_after, effective_at, recorded_at, kind, debit, credit)
OVERRIDING SYSTEM VALUE
SELECT n, n, n, n, $2, $2, 0, 0, '2026-01-01Z', '2026-01-01Z', 'grant', 'issued', 'free' FROM n
"""

# Spends of 1 by the accounts in turn, a millisecond apart, each with its key, note and answer.
_SPENDS: Final = """
WITH n AS MATERIALIZED (
    SELECT n, (n - 1) % $3 + 1 AS account_id, $4 - (n - 1) / $3 AS free,
           timestamptz '2026-01-01Z' + n * interval '1 ms' AS at
      FROM generate_series($1::bigint, $2::bigint) AS n
), journals AS (
    INSERT INTO journals (id, kind, source, actor, idempotency_key, request_hash,
                          effective_at, recorded_at) OVERRIDING SYSTEM VALUE
    SELECT n, 'spend', 'api', 'bench', 'seed-' || n, sha256(n::text::bytea), at, at FROM n
), notes AS (
    INSERT INTO notes (journal_id, answer)
    SELECT n, jsonb_build_object('account_id', 'bench-' || account_id, 'amount', 1,
                                 'balance', free, 'available', free) FROM n
)
INSERT INTO entries (id, journal_id, account_id, lot_id, amount, free_after, held_after,
                     debt_after, effective_at, recorded_at, kind, debit, credit)
OVERRIDING SYSTEM VALUE
SELECT n, n, account_id, account_id, 1, free, 0, 0, at, at, 'spend', 'free', 'spent' FROM n
"""

_PROJECTIONS: Final = """
UPDATE lots SET free = last.free_after FROM (
    SELECT DISTINCT ON (account_id) account_id, free_after
      FROM entries ORDER BY account_id, id DESC) AS last WHERE lots.account_id = last.account_id;
UPDATE accounts SET free = lots.free FROM lots WHERE lots.account_id = accounts.id;
"""


async def seed(ledger: Ledger, accounts: int, entries: int) -> None:
    """This many accounts, and entries in all; the rest above the accounts' grants are spends."""
    connection = await asyncpg.connect(ledger.superuser_url, command_timeout=TIMEOUT_S)
    try:
        await connection.execute(_ACCOUNTS, accounts, CREDITS)
        for first in range(accounts + 1, entries + 1, CHUNK):
            last = min(first + CHUNK - 1, entries)
            await connection.execute(_SPENDS, first, last, accounts, CREDITS)
        await connection.execute(_PROJECTIONS)
        for table in ("accounts", "lots", "journals", "entries"):
            await connection.execute(
                f"SELECT setval('{table}_id_seq', (SELECT max(id) FROM {table}))"
            )
        # As autovacuum leaves it; and no dirty pages for the first round to write.
        await connection.execute("VACUUM (ANALYZE)")
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()
