"""Webhooks that we send: the endpoints, and their messages."""

from __future__ import annotations

from piccolo.columns import (
    JSONB,
    Array,
    BigInt,
    BigSerial,
    Boolean,
    Bytea,
    Integer,
    SmallInt,
    Text,
    Timestamptz,
)
from piccolo.table import Table

from app.tables.reference import references


class WebhookEndpoints(Table, tablename="webhook_endpoints"):
    """The addresses that are told of what happens."""

    number = BigSerial(primary_key=True)
    id = Text(null=False, default=None)
    url = Text(null=False, default=None)
    events = Array(base_column=Text(), null=True, default=None)
    ordered = Boolean(null=False, default=None)
    salt = Bytea(null=False, default=None)
    previous_salt = Bytea(null=True, default=None)
    previous_until = Timestamptz(null=True, default=None)
    created_at = Timestamptz(null=False, default=None)
    deleted_at = Timestamptz(null=True, default=None)
    disabled_at = Timestamptz(null=True, default=None)
    disabled_reason = Text(null=True, default=None)
    failing_since = Timestamptz(null=True, default=None)
    failure_count = BigInt(null=False, default=0)
    held_until = Timestamptz(null=True, default=None)


class WebhookMessages(Table, tablename="webhook_messages"):
    """One message for one endpoint, and where its delivery stands."""

    id = BigSerial(primary_key=True)
    endpoint_number = references(WebhookEndpoints)
    type = Text(null=False, default=None)
    account_id = BigInt(null=True, default=None)
    data = JSONB(null=False, default=None)
    effective_at = Timestamptz(null=False, default=None)
    created_at = Timestamptz(null=False, default=None)
    state = Text(null=False, default="pending")
    attempt_count = Integer(null=False, default=0)
    next_attempt_at = Timestamptz(null=False, default=None)
    first_attempt_at = Timestamptz(null=True, default=None)
    last_attempt_at = Timestamptz(null=True, default=None)
    last_status = SmallInt(null=True, default=None)
    last_error = Text(null=True, default=None)
    delivered_at = Timestamptz(null=True, default=None)
