"""Journals, entries, lots and holds."""

from __future__ import annotations

from piccolo.columns import JSONB, BigInt, BigSerial, Boolean, Bytea, SmallInt, Text, Timestamptz
from piccolo.table import Table

from app.tables.accounts import Accounts
from app.tables.reference import references


class Journals(Table, tablename="journals"):
    """One act in the ledger: who, why, when, from which source, and the earlier act it reverses."""

    id = BigSerial(primary_key=True)
    kind = Text(null=False, default=None)
    source = Text(null=False, default=None)
    actor = Text(null=False, default=None)
    event_id = Text(null=True, default=None)  # it and the next two name rows, see 12_references.sql
    run_id = BigInt(null=True, default=None)
    reverses_journal_id = BigInt(null=True, default=None)
    idempotency_key = Text(null=True, default=None)
    request_hash = Bytea(null=True, default=None)
    label = Text(null=True, default=None)
    member = Text(null=True, default=None)
    effective_at = Timestamptz(null=False, default=None)
    recorded_at = Timestamptz(null=False, default=None)


class Notes(Table, tablename="notes"):
    """A journal's free text, metadata and stored answer: apart, so that they can be erased."""

    journal_id = BigInt(primary_key=True, default=None)  # names a row, see 12_references.sql
    reason = Text(null=True, default=None)
    metadata = JSONB(null=True, default=None)
    answer = JSONB(null=True, default=None)


class Lots(Table, tablename="lots"):
    """The rest of each grant or purchase; the sums of its entries."""

    id = BigSerial(primary_key=True)
    account_id = references(Accounts)
    source = Text(null=False, default=None)
    priority = SmallInt(null=False, default=None)
    granted_at = Timestamptz(null=False, default=None)
    expires_at = Timestamptz(null=False, default=None)
    granted = BigInt(null=False, default=None)
    lapsed = BigInt(null=False, default=0)
    moved = BigInt(null=False, default=0)
    refunded = BigInt(null=False, default=0)
    free = BigInt(null=False, default=None)
    held = BigInt(null=False, default=0)
    live = Boolean(null=False, default=None)


class MovedLots(Table, tablename="moved_lots"):
    """The lot that goes on in place of one whose account was joined to another."""

    lot_id = references(Lots, primary_key=True)
    to_lot_id = references(Lots, unique=True)
    moved_at = Timestamptz(null=False, default=None)


class Holds(Table, tablename="holds"):
    """Credits that are reserved until a deadline, and how much of them was captured."""

    id = BigSerial(primary_key=True)
    account_id = references(Accounts)
    amount = BigInt(null=False, default=None)
    captured = BigInt(null=False, default=0)
    state = Text(null=False, default=None)
    expires_at = Timestamptz(null=False, default=None)
    created_at = Timestamptz(null=False, default=None)


class Entries(Table, tablename="entries"):
    """The ledger: positive amounts from a debit to a credit side, each in a lot of one account."""

    id = BigSerial(primary_key=True)
    # It and the ids below name rows, see 12_references.sql.
    journal_id = BigInt(null=False, default=None)
    account_id = BigInt(null=False, default=None)
    lot_id = BigInt(null=False, default=None)
    amount = BigInt(null=False, default=None)
    free_after = BigInt(null=False, default=None)
    held_after = BigInt(null=False, default=None)
    debt_after = BigInt(null=False, default=None)
    hold_id = BigInt(null=True, default=None)
    reverses_entry_id = BigInt(null=True, default=None)
    effective_at = Timestamptz(null=False, default=None)
    recorded_at = Timestamptz(null=False, default=None)
    kind = Text(null=False, default=None)
    debit = Text(null=False, default=None)
    credit = Text(null=False, default=None)
