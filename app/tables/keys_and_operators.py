"""API keys, and what operators did."""

from __future__ import annotations

from piccolo.columns import JSONB, Array, BigSerial, Boolean, Bytea, Text, Timestamptz
from piccolo.table import Table

from app.tables.accounts import Accounts
from app.tables.inbox import Events
from app.tables.ledger import Journals
from app.tables.reference import references
from app.tables.runs import Runs


class ApiKeys(Table, tablename="api_keys"):
    """The API keys, by their hash."""

    id = Text(primary_key=True, null=False, default=None)
    name = Text(null=False, default=None)
    scopes = Array(base_column=Text(), null=False, default=None)
    secret_hash = Bytea(null=False, default=None)
    created_at = Timestamptz(null=False, default=None)
    expires_at = Timestamptz(null=True, default=None)
    revoked_at = Timestamptz(null=True, default=None)
    networks = Array(base_column=Text(), null=False, default=None)


class KeyUses(Table, tablename="key_uses"):
    """When each key was last used, to the minute."""

    key_id = references(ApiKeys, null=False, primary_key=True)
    last_used_at = Timestamptz(null=False, default=None)


class ConsoleSessions(Table, tablename="console_sessions"):
    """Sessions of the console, by the cookie's hash."""

    token_hash = Bytea(primary_key=True, null=False, default=None)
    key_id = references(ApiKeys, null=False)
    created_at = Timestamptz(null=False, default=None)
    last_seen_at = Timestamptz(null=False, default=None)
    ends_at = Timestamptz(null=False, default=None)
    notice = JSONB(null=True, default=None)


class OperatorActs(Table, tablename="operator_acts"):
    """The acts of operators, each with a reason."""

    id = BigSerial(primary_key=True)
    actor = Text(null=False, default=None)
    act = Text(null=False, default=None)
    reason = Text(null=True, default=None)
    subject = Text(null=True, default=None)
    account_id = references(Accounts, null=True)
    journal_id = references(Journals, null=True)
    event_id = references(Events, null=True)
    run_id = references(Runs, null=True)
    at = Timestamptz(null=False, default=None)
    idempotency_key = Text(unique=True, null=True, default=None)
    request_hash = Bytea(null=True, default=None)


class ErasedKeys(Table, tablename="erased_keys"):
    """Idempotency keys of accounts that were erased, as keyed hashes."""

    key_hash = Bytea(primary_key=True, null=False, default=None)
    of_operator = Boolean(primary_key=True, null=False, default=None)
    request_hash = Bytea(null=False, default=None)
    journal_id = references(Journals, null=True)
    act_id = references(OperatorActs, null=True)
