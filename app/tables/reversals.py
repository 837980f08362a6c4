"""Reversals."""

from __future__ import annotations

from piccolo.columns import BigInt, BigSerial, Bytea, Text, Timestamptz
from piccolo.table import Table

from app.tables.accounts import Accounts
from app.tables.inbox import Events
from app.tables.ledger import Lots
from app.tables.reference import references
from app.tables.runs import Runs


class Reversals(Table, tablename="reversals"):
    """Each reversal of a journal, an event or a run, and what it came to."""

    id = BigSerial(primary_key=True)
    # This and the ids below that refer to nothing name rows, see 12_references.sql.
    of_journal_id = BigInt(unique=True, null=True, default=None)
    of_run_id = references(Runs, unique=True, null=True)
    of_event_id = references(Events, unique=True, null=True)
    part_of = BigInt(null=True, default=None)
    journal_id = BigInt(unique=True, null=True, default=None)
    account_id = references(Accounts, null=True)
    lot_id = references(Lots, null=True)
    entry_id = BigInt(null=True, default=None)
    house = Text(null=True, default=None)
    policy = Text(null=False, default=None)
    standing = Text(null=True, default=None)
    requested = BigInt(null=False, default=0)
    clawed = BigInt(null=False, default=0)
    held = BigInt(null=False, default=0)
    shortfall = BigInt(null=False, default=0)
    expired = BigInt(null=False, default=0)
    carried = BigInt(null=False, default=0)
    pending = BigInt(null=False, default=0)
    shortfall_reversed = BigInt(null=False, default=0)
    waived = BigInt(null=False, default=0)
    state = Text(null=False, default=None)
    journal_count = BigInt(null=False, default=0)
    skipped = BigInt(null=False, default=0)
    last_journal_id = BigInt(null=False, default=0)
    idempotency_key = Text(unique=True, null=True, default=None)
    request_hash = Bytea(null=True, default=None)
    actor = Text(null=False, default=None)
    reason = Text(null=False, default=None)
    created_at = Timestamptz(null=False, default=None)
    finished_at = Timestamptz(null=True, default=None)
