"""Accounts, their customers, and what events claim of these."""

from __future__ import annotations

from datetime import UTC, datetime

from piccolo.columns import BigInt, BigSerial, Boolean, Date, Integer, SmallInt, Text, Timestamptz
from piccolo.columns.reference import LazyTableReference
from piccolo.table import Table

from app.tables.clock_and_catalogues import Catalogues
from app.tables.inbox import Events
from app.tables.reference import references


class Accounts(Table, tablename="accounts"):
    """The accounts: each with its balance, its tier and its running day."""

    id = BigSerial(primary_key=True)
    external_id = Text(unique=True, null=True, default=None)
    opened_at = Timestamptz(null=False, default=None)
    closed_at = Timestamptz(null=True, default=None)
    suspended_at = Timestamptz(null=True, default=None)
    joined_to = references("self", null=True)
    last_used_at = Timestamptz(null=True, default=None)
    written_at = Timestamptz(null=False, default=datetime(1970, 1, 1, tzinfo=UTC))
    free = BigInt(null=False, default=0)
    held = BigInt(null=False, default=0)
    debt = BigInt(null=False, default=0)
    tier = Text(null=False, default=None)
    time_zone = Text(null=False, default="UTC")
    day_on = Date(null=True, default=None)
    day_opening = Integer(null=False, default=1)
    day_starts_at = Timestamptz(null=True, default=None)
    day_ends_at = Timestamptz(null=True, default=None)
    day_lot_id = references(LazyTableReference("Lots", module_path="app.tables.ledger"), null=True)
    day_carried_lot_id = references(
        LazyTableReference("Lots", module_path="app.tables.ledger"), null=True
    )
    day_catalogue_id = references(Catalogues, null=True)
    day_used_brought = BigInt(null=False, default=0)
    brought_until = Timestamptz(null=True, default=None)
    day_withdrawn = Boolean(null=False, default=False)
    due_at = Timestamptz(null=False, default=None)


class Aliases(Table, tablename="aliases"):
    """Ids that accounts had before they were renamed or merged: they keep working."""

    external_id = Text(primary_key=True, null=False, default=None)
    account_id = references(Accounts)
    since = Timestamptz(null=False, default=None)


class BroughtUse(Table, tablename="brought_use"):
    """Use of the days of accounts that were joined to this one."""

    account_id = references(Accounts, primary_key=True)
    from_account_id = references(Accounts, primary_key=True)
    until_at = Timestamptz(primary_key=True, null=False, default=None)
    amount = BigInt(null=False, default=None)


class Customers(Table, tablename="customers"):
    """Stripe's customers, each tied to one account by the strongest claim."""

    id = Text(primary_key=True, null=False, default=None)
    account_id = references(Accounts, null=True)
    rank = SmallInt(null=False, default=None)
    tied_at = Timestamptz(null=False, default=None)
    left_account_id = references(Accounts, null=True)
    deleted_at = Timestamptz(null=True, default=None)
    deleted_event_id = references(Events, null=True)


class Claims(Table, tablename="claims"):
    """Each account that an event names for a customer; the tie is derived from all of them."""

    customer_id = Text(primary_key=True, null=False, default=None)
    rank = SmallInt(primary_key=True, null=False, default=None)
    object_id = Text(primary_key=True, null=False, default=None)
    external_id = Text(primary_key=True, null=False, default=None)
    first_at = Timestamptz(null=False, default=None)
    first_event_id = references(Events)
    last_at = Timestamptz(null=False, default=None)
    last_event_id = references(Events)
    stands = Boolean(null=False, default=None)
