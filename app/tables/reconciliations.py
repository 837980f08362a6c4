"""Comparisons with Stripe."""

from __future__ import annotations

from piccolo.columns import Array, BigInt, BigSerial, Boolean, Text, Timestamptz
from piccolo.table import Table

from app.tables.reference import references
from app.tables.subscriptions import Subscriptions


class Reconciliations(Table, tablename="reconciliations"):
    """Each comparison with Stripe's own lists: how far it is, and what it found."""

    id = BigSerial(primary_key=True)
    hour_at = Timestamptz(unique=True, null=True, default=None)
    started_by = Text(null=False, default=None)
    dry_run = Boolean(null=False, default=None)
    since_at = Timestamptz(null=False, default=None)
    started_at = Timestamptz(null=False, default=None)
    finished_at = Timestamptz(null=True, default=None)
    leased_until = Timestamptz(null=False, default=None)
    part = Text(null=False, default="events")
    reached = Text(null=True, default=None)
    events_taken = BigInt(null=False, default=0)
    compared = BigInt(null=False, default=0)
    payments = BigInt(null=False, default=0)
    recognized = BigInt(null=False, default=0)
    mended = BigInt(null=False, default=0)
    waiting = BigInt(null=False, default=0)
    unmended = BigInt(null=False, default=0)
    not_compared = BigInt(null=False, default=0)
    notes = Array(base_column=Text(), null=False, default=list)


class Sightings(Table, tablename="sightings"):
    """The last reconciliation in which Stripe listed each subscription."""

    subscription_id = references(Subscriptions, primary_key=True)
    reconciliation_id = references(Reconciliations)


class FetchedEvents(Table, tablename="fetched_events"):
    """Events that a reconciliation fetched since no webhook brought them."""

    event_id = Text(primary_key=True, null=False, default=None)
    reconciliation_id = references(Reconciliations)
