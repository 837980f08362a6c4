"""Rows of this package's statements. Generated: WRITE_ROWS=1 pytest tests/infrastructure/test_row_types.py"""

from datetime import date, datetime
from typing import Any, TypedDict

from app.infrastructure.ids import AccountNumber, EntryNumber, JournalNumber, LotNumber
from app.infrastructure.sql import Statement

class LoadGivings(TypedDict):
    id: str
    account_id: AccountNumber
    tier: str
    grace_tier: str
    grace_ends_at: datetime
    failing_since: datetime
    catalogue_id: Any

class LoadBrought(TypedDict):
    account_id: AccountNumber
    subscription_id: str
    from_account_id: AccountNumber
    until_at: datetime
    amount: int

class LoadSql(TypedDict):
    givings: Statement[LoadGivings]
    brought: Statement[LoadBrought]

class LoadMoreDaysSince(TypedDict):
    day_on: date
    lot_id: LotNumber
    carried_lot_id: LotNumber
    carry_over_max: int
    previous_allowed: int
    expires_at: datetime

class LoadMoreSql(TypedDict):
    days_since: Statement[LoadMoreDaysSince]

class StoreWrite(TypedDict):
    journals: list[JournalNumber]
    lots: list[LotNumber]
    entries: list[EntryNumber]

class StoreSql(TypedDict):
    write: Statement[StoreWrite]
