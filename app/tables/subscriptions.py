"""Subscriptions, their facts and their transitions."""

from __future__ import annotations

from piccolo.columns import JSONB, Array, BigInt, BigSerial, Boolean, Integer, Text, Timestamptz
from piccolo.table import Table

from app.tables.accounts import Accounts, Customers
from app.tables.clock_and_catalogues import Catalogues
from app.tables.inbox import Events
from app.tables.reference import references


class Facts(Table, tablename="facts"):
    """Facts about a subscription, one for each event, in one form for all of Stripe's versions."""

    event_id = references(Events, primary_key=True)
    reading = Integer(primary_key=True, null=False, default=1)
    subscription_id = Text(null=False, default=None)
    occurred_at = Timestamptz(null=False, default=None)
    body = JSONB(null=False, default=None)


class Subscriptions(Table, tablename="subscriptions"):
    """The subscriptions as their facts derive them: state, Stripe's status beside it, and tier."""

    id = Text(primary_key=True, null=False, default=None)
    account_id = references(Accounts, null=True)
    customer_id = references(Customers)
    moved_at = Timestamptz(null=True, default=None)
    created_at = Timestamptz(null=False, default=None)
    updated_at = Timestamptz(null=False, default=None)
    state = Text(null=False, default=None)
    status = Text(null=True, default=None)
    price_id = Text(null=True, default=None)
    price_ids = Array(base_column=Text(), null=False, default=list)
    period_end_at = Timestamptz(null=True, default=None)
    billing_cycle = Text(null=True, default=None)
    cancel_at_period_end = Boolean(null=False, default=False)
    cancel_at = Timestamptz(null=True, default=None)
    tier = Text(null=True, default=None)
    grace_tier = Text(null=True, default=None)
    grace_ends_at = Timestamptz(null=True, default=None)
    failing_since = Timestamptz(null=True, default=None)
    catalogue_id = references(Catalogues)
    last_event_id = references(Events, null=True)
    last_event_at = Timestamptz(null=True, default=None)
    settled = JSONB(null=True, default=None)
    settled_to = Timestamptz(null=True, default=None)
    settled_catalogue_id = references(Catalogues, null=True)


class MovedUse(Table, tablename="moved_use"):
    """Use of the days of accounts that a subscription left."""

    subscription_id = references(Subscriptions, primary_key=True)
    from_account_id = references(Accounts, primary_key=True)
    until_at = Timestamptz(primary_key=True, null=False, default=None)
    amount = BigInt(null=False, default=None)


class Transitions(Table, tablename="transitions"):
    """Each step of a subscription's state machine."""

    id = BigSerial(primary_key=True)
    subscription_id = references(Subscriptions)
    from_state = Text(null=True, default=None)
    to_state = Text(null=False, default=None)
    trigger = Text(null=False, default=None)
    event_id = references(Events)
    effective_at = Timestamptz(null=False, default=None)
    recorded_at = Timestamptz(null=False, default=None)
