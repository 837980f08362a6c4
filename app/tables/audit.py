"""Verifications, usage by day, alerts."""

from __future__ import annotations

from piccolo.columns import JSONB, BigInt, BigSerial, Boolean, Date, Integer, Text, Timestamptz
from piccolo.table import Table

from app.tables.ledger import Holds, Journals
from app.tables.reference import references


class Verifications(Table, tablename="verifications"):
    """The result of each whole `ledger verify`."""

    id = BigSerial(primary_key=True)
    finished_at = Timestamptz(null=False, default=None)
    check_count = Integer(null=False, default=None)
    row_count = BigInt(null=False, default=None)
    difference_count = BigInt(null=False, default=None)


class AskedVerifications(Table, tablename="asked_verifications"):
    """A verification that the console was asked for, and how far it is."""

    id = BigSerial(primary_key=True)
    asked_by = Text(null=False, default=None)
    started_at = Timestamptz(null=False, default=None)
    beat_at = Timestamptz(null=False, default=None)
    finished_at = Timestamptz(null=True, default=None)
    check_count = Integer(null=False, default=None)
    checks = JSONB(null=False, default="[]")
    error = Text(null=True, default=None)


class UsageDays(Table, tablename="usage_days"):
    """Credits by day, tier, label and member: the sums of entries up to usage_fold.entry_id."""

    day_on = Date(primary_key=True, null=False, default=None)
    tier = Text(primary_key=True, null=False, default=None)
    label = Text(primary_key=True, null=False, default=None)
    member = Text(primary_key=True, null=False, default=None)
    granted = BigInt(null=False, default=0)
    purchased = BigInt(null=False, default=0)
    refunded = BigInt(null=False, default=0)
    spent = BigInt(null=False, default=0)
    returned = BigInt(null=False, default=0)
    expired = BigInt(null=False, default=0)
    reversed = BigInt(null=False, default=0)
    adjusted = BigInt(null=False, default=0)
    transferred = BigInt(null=False, default=0)
    use_reversed = BigInt(null=False, default=0)


class UsageTotals(Table, tablename="usage_totals"):
    """The counts of usage by day and tier, over all accounts."""

    day_on = Date(primary_key=True, null=False, default=None)
    tier = Text(primary_key=True, null=False, default=None)
    granted = BigInt(null=False, default=0)
    purchased = BigInt(null=False, default=0)
    refunded = BigInt(null=False, default=0)
    spent = BigInt(null=False, default=0)
    returned = BigInt(null=False, default=0)
    expired = BigInt(null=False, default=0)
    reversed = BigInt(null=False, default=0)
    adjusted = BigInt(null=False, default=0)
    transferred = BigInt(null=False, default=0)
    use_reversed = BigInt(null=False, default=0)


class UsageFold(Table, tablename="usage_fold"):
    """The last entry that usage_days and usage_totals count."""

    only_row = Boolean(primary_key=True, null=False, default=True)
    entry_id = BigInt(null=False, default=0)
    alerted_to = BigInt(null=False, default=0)


class Alerts(Table, tablename="alerts"):
    """Alerts on accounts: crossings of a level, unusual use, leaked holds, disputed gifts."""

    id = BigSerial(primary_key=True)
    kind = Text(null=False, default=None)
    account_id = BigInt(null=False, default=None)
    tier = Text(null=False, default=None)
    day_on = Date(null=True, default=None)
    journal_id = references(Journals, null=True)
    hold_id = references(Holds, null=True)
    customer_id = Text(null=True, default=None)
    threshold = BigInt(null=False, default=None)
    value = BigInt(null=False, default=None)
    effective_at = Timestamptz(null=False, default=None)
    raised_at = Timestamptz(null=False, default=None)


class AlertCounts(Table, tablename="alert_counts"):
    """The number of alerts of each kind."""

    kind = Text(primary_key=True, null=False, default=None)
    alert_count = BigInt(null=False, default=None)
