"""Payments for packs, and what of them went back."""

from __future__ import annotations

from piccolo.columns import JSONB, BigInt, BigSerial, Boolean, Text, Timestamptz
from piccolo.table import Table

from app.tables.accounts import Accounts
from app.tables.inbox import Events
from app.tables.ledger import Journals, Lots
from app.tables.reference import references


class MoneyFacts(Table, tablename="money_facts"):
    """Facts about a payment, one for each event, in one form for all versions of Stripe's API."""

    event_id = references(Events, primary_key=True)
    kind = Text(primary_key=True, null=False, default=None)
    object_id = Text(primary_key=True, null=False, default=None)
    payment_intent = Text(null=True, default=None)
    charge_id = Text(null=True, default=None)
    occurred_at = Timestamptz(null=False, default=None)
    body = JSONB(null=False, default=None)


class Backings(Table, tablename="backings"):
    """The money behind a purchased lot: what of the lot went back with it, and what is frozen."""

    id = BigSerial(primary_key=True)
    account_id = references(Accounts)
    lot_id = references(Lots, unique=True)
    credits = BigInt(null=False, default=None)
    closed = Boolean(null=False, default=False)
    gift = Boolean(null=False, default=False)
    payer_debt = BigInt(null=False, default=0)
    taken = BigInt(null=False, default=0)
    clawed = BigInt(null=False, default=0)
    pending = BigInt(null=False, default=0)
    forgone = BigInt(null=False, default=0)
    shortfall = BigInt(null=False, default=0)
    shortfall_reversed = BigInt(null=False, default=0)
    to_freeze = BigInt(null=False, default=0)
    frozen = BigInt(null=False, default=0)


class Purchases(Table, tablename="purchases"):
    """Each payment for a pack, with the lot that it opened."""

    payment_key = Text(primary_key=True, null=False, default=None)
    session_id = Text(unique=True, null=False, default=None)
    payment_intent = Text(null=True, default=None)
    backing_id = references(Backings, unique=True)
    journal_id = references(Journals, unique=True)
    event_id = references(Events)
    customer_id = Text(null=True, default=None)
    pack = Text(null=False, default=None)
    credits = BigInt(null=False, default=None)
    paid = BigInt(null=False, default=None)
    currency = Text(null=True, default=None)
    opened_at = Timestamptz(null=False, default=None)


class MoneyBack(Table, tablename="money_back"):
    """Each refund and dispute of a purchase once, and whether it counts."""

    kind = Text(primary_key=True, null=False, default=None)
    id = Text(primary_key=True, null=False, default=None)
    payment_key = references(Purchases)
    amount = BigInt(null=False, default=None)
    standing = Text(null=False, default=None)
