"""Rows of this package's statements. Generated: WRITE_ROWS=1 pytest tests/infrastructure/test_row_types.py"""

from datetime import datetime
from typing import Any, TypedDict

from app.infrastructure.ids import AccountNumber, JournalNumber, ReversalNumber
from app.infrastructure.sql import Statement
from app.tables.row_types import EntriesRow

class DraftEntries(EntriesRow):
    lot_source: str
    lot_ends_at: datetime
    amount_left: int

class DraftSql(TypedDict):
    entries: Statement[DraftEntries]

class OwedRepayments(EntriesRow):
    amount_left: int

class OwedSql(TypedDict):
    repayments: Statement[OwedRepayments]

class PartiesParties(TypedDict):
    id: Any

class PartiesSql(TypedDict):
    parties: Statement[PartiesParties]

class PreviewTotal(TypedDict):
    journal_count: int
    requested: int
    clawed: int
    held: int
    expired: int
    short: int

class PreviewByAccount(TypedDict):
    journal_id: JournalNumber
    public_account_id: str
    reversal_id: ReversalNumber
    requested: int
    clawed: int
    held: int
    shortfall: int
    expired: int

class PreviewSql(TypedDict):
    total: Statement[PreviewTotal]
    by_account: Statement[PreviewByAccount]

class ReturnsJournals(TypedDict):
    id: Any
    account_id: AccountNumber
    label: str
    member: str

class ReturnsHasHold(TypedDict):
    exists: bool

class ReturnsSql(TypedDict):
    journals: Statement[ReturnsJournals]
    has_hold: Statement[ReturnsHasHold]
