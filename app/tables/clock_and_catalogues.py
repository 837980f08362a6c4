"""The book's clock and epoch, and the applied catalogues."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from piccolo.columns import BigSerial, Boolean, Integer, Interval, Text, Timestamptz
from piccolo.table import Table


class DevClock(Table, tablename="dev_clock"):
    """The time that a book goes by; empty in production, where it is the database's own."""

    only_row = Boolean(primary_key=True, null=False, default=True)
    standing_at = Timestamptz(null=True, default=None)
    ahead = Interval(null=False, default=timedelta(0))


class Book(Table, tablename="book"):
    """The book itself."""

    only_row = Boolean(primary_key=True, null=False, default=True)
    epoch = Integer(null=False, default=1)
    floor = Timestamptz(null=False, default=datetime(1970, 1, 1, tzinfo=UTC))
    pepper_check = Text(null=True, default=None)


class Catalogues(Table, tablename="catalogues"):
    """Each catalogue of tiers that was applied, as it was read; the newest is in force."""

    id = BigSerial(primary_key=True)
    content = Text(null=False, default=None)
    applied_at = Timestamptz(null=False, default=None)
    applied_by = Text(null=False, default=None)
