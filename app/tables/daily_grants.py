"""The days of accounts as they were opened."""

from __future__ import annotations

from piccolo.columns import BigInt, Boolean, Date, Integer, Text, Timestamptz
from piccolo.table import Table


class DailyGrants(Table, tablename="daily_grants"):
    """Each account-day as it was opened: exactly once, by its primary key."""

    # It and the ids below name rows, see 12_references.sql.
    account_id = BigInt(primary_key=True, null=False, default=None)
    day_on = Date(primary_key=True, null=False, default=None)
    opening = Integer(primary_key=True, null=False, default=None)
    starts_at = Timestamptz(null=False, default=None)
    ends_at = Timestamptz(null=False, default=None)
    time_zone = Text(null=False, default=None)
    tier = Text(null=False, default=None)
    credits = BigInt(null=False, default=None)
    previous_on = Date(null=True, default=None)
    after_dormancy = Boolean(null=False, default=False)
    lot_id = BigInt(null=False, default=None)
    carried_lot_id = BigInt(null=True, default=None)
    carry_over_max = BigInt(null=False, default=0)
    previous_allowed = BigInt(null=False, default=0)
    run_id = BigInt(null=True, default=None)
    recorded_at = Timestamptz(null=False, default=None)
