"""Stripe's events and their deliveries."""

from __future__ import annotations

from piccolo.columns import BigSerial, Boolean, Bytea, Integer, Text, Timestamptz
from piccolo.table import Table

from app.tables.reference import references


class Events(Table, tablename="events"):
    """Stripe's events as received, once each, with the newest verdict on their effects."""

    id = Text(primary_key=True, null=False, default=None)
    number = BigSerial()
    type = Text(null=False, default=None)
    api_version = Text(null=True, default=None)
    livemode = Boolean(null=False, default=None)
    created_at = Timestamptz(null=False, default=None)
    received_at = Timestamptz(null=False, default=None)
    payload = Bytea(null=False, default=None)
    verdict = Text(null=False, default=None)
    verdict_reason = Text(null=False, default=None)
    subscription_id = Text(null=True, default=None)
    customer_id = Text(null=True, default=None)
    attempt_count = Integer(null=False, default=0)
    next_attempt_at = Timestamptz(null=True, default=None)
    error = Text(null=True, default=None)
    delivery_count = Integer(null=False, default=1)


class Deliveries(Table, tablename="deliveries"):
    """The verdict of each delivery of an event, and of each later try of its effects."""

    id = BigSerial(primary_key=True)
    event_id = references(Events)
    received_at = Timestamptz(null=False, default=None)
    verdict = Text(null=False, default=None)
    reason = Text(null=False, default=None)


class EventBodies(Table, tablename="event_bodies"):
    """Other bytes of an event that was parked."""

    id = BigSerial(primary_key=True)
    event_id = references(Events)
    received_at = Timestamptz(null=False, default=None)
    payload = Bytea(null=False, default=None)
