"""Daily runs."""

from __future__ import annotations

from piccolo.columns import BigInt, BigSerial, Date, Integer, Text, Timestamptz
from piccolo.table import Table

from app.tables.clock_and_catalogues import Catalogues
from app.tables.reference import references


class Runs(Table, tablename="runs"):
    """The daily runs: one for each date and each instant at which that date starts somewhere."""

    id = BigSerial(primary_key=True)
    day_on = Date(null=False, default=None)
    wave_at = Timestamptz(null=False, default=None)
    opening = Integer(null=False, default=1)
    catalogue_id = references(Catalogues)
    state = Text(null=False, default=None)
    started_by = Text(null=False, default=None)
    started_at = Timestamptz(null=False, default=None)
    finished_at = Timestamptz(null=True, default=None)
    took_ms = BigInt(null=False, default=0)
    expected = BigInt(null=False, default=0)
    issued = BigInt(null=False, default=0)
    issued_credits = BigInt(null=False, default=0)
    expired_credits = BigInt(null=False, default=0)
    failed = BigInt(null=False, default=0)
    not_opened = BigInt(null=False, default=0)
    skipped = BigInt(null=False, default=0)
    skipped_by_use = BigInt(null=False, default=0)
    skipped_closed = BigInt(null=False, default=0)
    skipped_dormant = BigInt(null=False, default=0)
    skipped_day_over = BigInt(null=False, default=0)


class RunNotOpened(Table, tablename="run_not_opened"):
    """The past dates that accounts of a run's wave had not opened when this day was, by zone."""

    run_id = references(Runs, primary_key=True)
    time_zone = Text(primary_key=True, null=False, default=None)
    day_on = Date(primary_key=True, null=False, default=None)
    opened_by = Text(primary_key=True, null=False, default=None)
    account_count = BigInt(null=False, default=None)
