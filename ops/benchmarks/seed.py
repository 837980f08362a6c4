"""Seed ledgers in bulk by SQL; they end with every index, trigger and constraint in place."""

from __future__ import annotations

from typing import Final

import asyncpg

from ops.benchmarks.server import Ledger

CREDITS: Final = 10**12  # of each account's one lot: no bench ever exhausts it
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

# Entries $1 to $2: spends of 1 by the $3 accounts in turn, a millisecond apart, each by its journal
# with its key, note and answer.
_SPENDS: Final = """
SELECT n, (n - 1) % $3::bigint + 1 AS account_id, $4::bigint - (n - 1) / $3::bigint AS free,
       timestamptz '2026-01-01Z' + n * interval '1 ms' AS at
  FROM generate_series($1::bigint, $2::bigint) AS n
"""
_JOURNALS: Final = f"""
INSERT INTO journals (id, kind, source, actor, idempotency_key, request_hash,
                      effective_at, recorded_at) OVERRIDING SYSTEM VALUE
SELECT n, 'spend', 'api', 'bench', 'seed-' || n, sha256(n::text::bytea), at, at
  FROM ({_SPENDS}) AS spend
"""
_NOTES: Final = f"""
INSERT INTO notes (journal_id, answer)
SELECT n, jsonb_build_object('account_id', 'bench-' || account_id, 'amount', 1,
                             'balance', free, 'available', free) FROM ({_SPENDS}) AS spend
"""
_ENTRIES: Final = f"""
INSERT INTO entries (id, journal_id, account_id, lot_id, amount, free_after, held_after,
                     debt_after, effective_at, recorded_at, kind, debit, credit)
OVERRIDING SYSTEM VALUE
SELECT n, n, account_id, account_id, 1, free, 0, 0, at, at, 'spend', 'free', 'spent'
  FROM ({_SPENDS}) AS spend
"""

# As pg_restore loads: foreign keys and secondary indexes come after the rows, all at once and
# checked, which takes a third of the time. (statement that drops, statement that makes)
_PUT_ASIDE: Final = """
SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname),
       format('ALTER TABLE %s ADD CONSTRAINT %I %s',
              conrelid::regclass, conname, pg_get_constraintdef(oid))
  FROM pg_constraint
 WHERE contype = 'f' AND conrelid IN ('journals'::regclass, 'notes'::regclass, 'entries'::regclass)
UNION ALL
SELECT format('DROP INDEX %s', indexrelid::regclass), pg_get_indexdef(indexrelid)
  FROM pg_index
 WHERE indrelid IN ('journals'::regclass, 'notes'::regclass, 'entries'::regclass)
   AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
"""

_PROJECTIONS: Final = """
UPDATE lots SET free = (SELECT free_after FROM entries WHERE entries.account_id = lots.account_id
                         ORDER BY entries.id DESC LIMIT 1);
UPDATE accounts SET free = lots.free FROM lots WHERE lots.account_id = accounts.id;
"""


async def seed(ledger: Ledger, accounts: int, entries: int) -> None:
    """This many accounts, and entries in all; the rest above the accounts' grants are spends."""
    connection = await asyncpg.connect(
        ledger.superuser_url,
        command_timeout=TIMEOUT_S,
        server_settings={"maintenance_work_mem": "256MB", "work_mem": "128MB"},
    )
    try:
        await connection.execute(_ACCOUNTS, accounts, CREDITS)
        if entries > accounts:
            await _add_spends(connection, accounts, entries)
        await settle(connection)
    finally:
        await connection.close()


async def settle(connection: asyncpg.Connection) -> None:
    """Let the sequences go on after the seeded rows, and leave the first round nothing to tidy."""
    for table in ("accounts", "lots", "journals", "entries"):
        await connection.execute(f"SELECT setval('{table}_id_seq', (SELECT max(id) FROM {table}))")
    # As autovacuum leaves it, and no dirty pages for the first round to write.
    await connection.execute("VACUUM (ANALYZE)")
    await connection.execute("CHECKPOINT")


async def _add_spends(connection: asyncpg.Connection, accounts: int, entries: int) -> None:
    aside = await connection.fetch(_PUT_ASIDE)
    for drop, _ in aside:
        await connection.execute(drop)
    # Nor are the rows looked for that each names: all are there.
    await connection.execute("SET session_replication_role = replica")
    for statement in (_JOURNALS, _NOTES, _ENTRIES):
        await connection.execute(statement, accounts + 1, entries, accounts, CREDITS)
    await connection.execute("SET session_replication_role = origin")
    for _, make in reversed(aside):  # the indexes first
        await connection.execute(make)
    await connection.execute(_PROJECTIONS)
