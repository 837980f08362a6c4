"""The floor of a spend: one durable SQL statement, and pgbench running it."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Final

from app.embedded.postgres import find_binaries
from ops.benchmarks.server import Ledger

CONNECTIONS: Final = 16
THREADS: Final = 2
END_S_MAX: Final = 60

# What a spend does at the least, on the same tables with the same indexes, triggers and checks:
# lock the account's row by changing it, where nothing is due and enough is free; draw from the
# lot that burns first; leave the journal under a unique key, the note with its answer, and the
# entry with the balance after. The entry's id is drawn under the lock.
#
# What it does not do, so that no ledger could run it as it stands: it knows its account's
# internal id; it draws on one lot only; where a day, a grace or a hold is due it spends nothing
# instead of posting that; it tells refusals by no row and not why; a replayed key is an error
# instead of the first answer; it hashes no request; reads the wall clock, not the book's; and its
# snapshot is older than its lock, so that it may miss a lot granted while it waited.
SPEND: Final = """
WITH account AS (
    UPDATE accounts SET free = free - 1
     WHERE id = {account} AND due_at > now() AND closed_at IS NULL AND free >= 1
    RETURNING id, external_id, free, held, debt
), lot AS (
    UPDATE lots SET free = lots.free - 1 FROM account
     WHERE lots.id = (SELECT id FROM lots AS live
                       WHERE live.account_id = account.id AND live.live
                         AND live.free >= 1 AND live.expires_at > now()
                       ORDER BY priority, expires_at, granted_at, id LIMIT 1)
    RETURNING lots.id
), journal AS (
    INSERT INTO journals (kind, source, actor, idempotency_key, request_hash,
                          effective_at, recorded_at)
    SELECT 'spend', 'api', 'bench', gen_random_uuid()::text, '\\x{hash}'::bytea,
           clock_timestamp(), clock_timestamp()
      FROM account, lot
    RETURNING id, recorded_at
), note AS (
    INSERT INTO notes (journal_id, answer)
    SELECT journal.id, jsonb_build_object('account_id', account.external_id, 'amount', 1,
                                          'balance', account.free, 'available', account.free)
      FROM journal, account
)
INSERT INTO entries (journal_id, account_id, lot_id, amount, free_after, held_after, debt_after,
                     effective_at, recorded_at, kind, debit, credit)
SELECT journal.id, account.id, lot.id, 1, account.free, account.held, account.debt,
       journal.recorded_at, journal.recorded_at, 'spend', 'free', 'spent'
  FROM account, lot, journal
RETURNING id, journal_id, free_after
"""


def spend_statement(account: str) -> str:
    """The statement for an account's internal id, given as a parameter's name."""
    return SPEND.format(account=account, hash="5a" * 32)


async def pgbench(
    ledger: Ledger, folder: Path, accounts: tuple[int, int], warm_up_s: float, round_s: float
) -> float:
    """Spends a second over 16 connections, on accounts drawn uniformly from this range."""
    script = folder / "spend.sql"
    first, last = accounts
    # \\gset fails where a spend wrote nothing: no floor is made of refusals.
    script.write_text(
        f"\\set account random({first}, {last})\n{spend_statement(':account')} \\gset\n"
    )
    if warm_up_s:
        await _run(ledger, script, warm_up_s)
    return await _run(ledger, script, round_s)


async def _run(ledger: Ledger, script: Path, seconds: float) -> float:
    """Whole seconds: pgbench knows no others."""
    whole = max(1, round(seconds))
    process = await asyncio.create_subprocess_exec(
        str(find_binaries() / "pgbench"), "--no-vacuum", "--protocol=prepared",
        f"--client={CONNECTIONS}", f"--jobs={THREADS}", f"--time={whole}",
        f"--file={script}", ledger.application_url,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        said, _ = await asyncio.wait_for(process.communicate(), whole + END_S_MAX)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    found = re.search(r"^tps = ([0-9.]+) ", said.decode(), re.MULTILINE)
    if process.returncode != 0 or found is None:
        raise RuntimeError(f"pgbench failed:\n{said.decode()}")
    return float(found[1])
