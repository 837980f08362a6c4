"""Reversals."""

from __future__ import annotations

from piccolo.columns import BigInt, BigSerial, Bytea, Text, Timestamptz
from piccolo.table import Table

from app.tables.accounts import Accounts
from app.tables.inbox import Events
from app.tables.ledger import Entries, Journals, Lots
from app.tables.reference import references
from app.tables.runs import Runs


class Reversals(Table, tablename="reversals"):
    """Each reversal of a journal, an event or a run, and what it came to."""

    id = BigSerial(primary_key=True)
    of_journal_id = references(Journals, unique=True, null=True)
    of_run_id = references(Runs, unique=True, null=True)
    of_event_id = references(Events, unique=True, null=True)
    part_of = references("self", null=True)
    journal_id = references(Journals, unique=True, null=True)
    account_id = references(Accounts, null=True)
    lot_id = references(Lots, null=True)
    entry_id = references(Entries, null=True)
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
