"""The set-based way of a run's reversal: one statement takes back thousands of openings.

It takes accounts with nothing due, no grace period ahead, nothing held and nothing owed, whose lot
had no reversal before and whose shortfall repays nothing. ``app.reversals.run`` takes the others
one by one. A property test holds the two ways to the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from app.infrastructure.db import Database
from app.infrastructure.ids import AccountNumber, JournalNumber
from app.reversals.record import ReversalOrder

# First the locks, then a statement of its own for the rest: its snapshot is taken after them.
_LOCK: Final = "SELECT FROM accounts WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE"

# $1 journals of openings, $2 policy, $3 actor, $4 reason, $5 the run's reversal, $6 accounts.
_REVERSE: Final = """
WITH clock AS MATERIALIZED (
    SELECT greatest(tallybook_now(), (SELECT floor FROM book),
                    (SELECT max(written_at) FROM accounts WHERE id = ANY($6::bigint[]))) AS now
), common AS MATERIALIZED (
    SELECT journals.id AS of_journal_id, entries.id AS entry_id, entries.amount AS requested,
           accounts.id AS account_id, accounts.free - lots.free AS free_left, accounts.day_ends_at,
           accounts.day_lot_id, lots.id AS lot_id, lots.free AS clawed,
           least(lots.lapsed, entries.amount - lots.free) AS expired,
           entries.amount - lots.free - least(lots.lapsed, entries.amount - lots.free) AS shortfall
      FROM clock, journals
      JOIN entries ON entries.journal_id = journals.id AND entries.kind = 'grant'
      JOIN accounts ON accounts.id = entries.account_id
      JOIN lots ON lots.id = entries.lot_id
     WHERE journals.id = ANY($1::bigint[]) AND accounts.closed_at IS NULL
       AND accounts.due_at > clock.now AND accounts.day_ends_at > clock.now
       AND accounts.held = 0 AND accounts.debt = 0
       AND lots.held = 0 AND lots.free <= entries.amount
       AND (lots.free = 0 OR lots.id = accounts.day_lot_id)
       AND NOT EXISTS (SELECT FROM reversals WHERE reversals.lot_id = lots.id)
       AND NOT EXISTS (SELECT FROM subscriptions
                        WHERE subscriptions.account_id = accounts.id AND tier IS NULL
                          AND grace_tier IS NOT NULL)
), decided AS MATERIALIZED (
    SELECT *, CASE WHEN shortfall = 0 OR $2 = 'write_off' THEN 'taken'
                   WHEN $2 = 'reject' THEN 'skipped'
                   WHEN free_left = 0 THEN 'taken' END AS outcome
      FROM common
), taken AS MATERIALIZED (
    SELECT *, nextval('journals_id_seq') AS journal_id,
           CASE WHEN $2 = 'debt' THEN shortfall ELSE 0 END AS owed
      FROM decided WHERE outcome = 'taken' ORDER BY account_id
), new_journals AS (
    INSERT INTO journals (id, kind, source, actor, reverses_journal_id, effective_at, recorded_at)
    OVERRIDING SYSTEM VALUE
    SELECT journal_id, 'reversal', 'api', $3, of_journal_id, now, now FROM taken, clock
), new_notes AS (
    INSERT INTO notes (journal_id, reason, answer)
    SELECT journal_id, $4, jsonb_build_object(
               'number', NULL, 'journal_id', NULL, 'of_journal_id', of_journal_id,
               'of_run_id', NULL, 'policy', $2, 'state', 'done', 'requested', requested,
               'clawed', clawed, 'held', 0, 'shortfall', shortfall, 'expired', expired,
               'carried', 0, 'journal_count', 1, 'skipped', 0, 'replayed', false, 'dry_run', false,
               'of_event_id', NULL)
      FROM taken
), new_entries AS (
    INSERT INTO entries (journal_id, account_id, lot_id, kind, debit, credit, amount, free_after,
                         held_after, debt_after, reverses_entry_id, effective_at, recorded_at)
    SELECT journal_id, account_id, lot_id, kind, debit, 'issued', amount, free_left, 0,
           debt_after, reverses, now, now
      FROM taken, clock, LATERAL (VALUES
           (1, 'reversal', 'free', clawed, 0, entry_id),
           (2, 'reversal', 'debt', owed, owed, entry_id),
           (3, 'write_off', 'written_off', shortfall - owed, 0, NULL)
           ) AS moved (step, kind, debit, amount, debt_after, reverses)
     WHERE amount > 0 ORDER BY account_id, step
), emptied AS (
    UPDATE lots SET free = 0 FROM taken WHERE lots.id = taken.lot_id AND clawed > 0
), withdrawn AS (
    UPDATE accounts SET free = free_left, debt = owed, written_at = (SELECT now FROM clock),
           day_withdrawn = accounts.day_withdrawn
               OR accounts.day_lot_id IS NOT DISTINCT FROM taken.lot_id,
           due_at = least(taken.day_ends_at,
               (SELECT min(expires_at) FROM lots
                 WHERE account_id = accounts.id AND live AND free > 0
                   AND id IS DISTINCT FROM taken.day_lot_id))
      FROM taken WHERE accounts.id = taken.account_id
), stored AS (
    INSERT INTO reversals (of_journal_id, part_of, journal_id, account_id, lot_id, entry_id, house,
                           policy, state, requested, clawed, shortfall, expired, journal_count,
                           actor, reason, created_at, finished_at)
    SELECT of_journal_id, $5, journal_id, account_id, lot_id, entry_id, 'issued', $2, 'done',
           requested, clawed, shortfall, expired, 1, $3, $4, now, now
      FROM taken, clock ORDER BY journal_id
)
SELECT of_journal_id, outcome, requested, clawed, shortfall, expired
  FROM decided WHERE outcome IS NOT NULL
"""


class Taken(msgspec.Struct, frozen=True):
    """The totals taken back; ``skipped`` are journals that the policy `reject` left unchanged."""

    journal_ids: frozenset[JournalNumber]
    skipped: frozenset[JournalNumber]
    requested: int
    clawed: int
    shortfall: int
    expired: int


async def take_back(
    database: Database,
    journal_ids: Sequence[JournalNumber],
    account_ids: Sequence[AccountNumber],
    order: ReversalOrder,
) -> Taken:
    """Reverse the common ones of these openings, inside the caller's transaction."""
    await database.join_by_index()
    await database.execute(_LOCK, list(account_ids))
    rows = await database.fetch(
        _REVERSE,
        list(journal_ids),
        str(order.policy),
        order.actor,
        order.reason,
        order.part_of,
        list(account_ids),
    )
    taken = [row for row in rows if row["outcome"] == "taken"]
    return Taken(
        frozenset(row["of_journal_id"] for row in taken),
        frozenset(row["of_journal_id"] for row in rows if row["outcome"] == "skipped"),
        sum(row["requested"] for row in taken),
        sum(row["clawed"] for row in taken),
        sum(row["shortfall"] for row in taken),
        sum(row["expired"] for row in taken),
    )
