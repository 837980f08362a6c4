"""Rows of this package's statements. Generated: WRITE_ROWS=1 pytest tests/infrastructure/test_row_types.py"""

from datetime import date, datetime
from typing import Any, TypedDict

from app.infrastructure.ids import AccountNumber, JournalNumber
from app.infrastructure.sql import Statement
from app.tables.row_types import AlertsRow

class AlertsMovements(TypedDict):
    account_id: AccountNumber
    low: bool
    depleted: bool
    journal_id: JournalNumber
    recorded_at: datetime
    balance: int
    change: int
    undoes: int
    day_on: date
    tier: str

class AlertsRaiseCrossings(TypedDict):
    kind: str
    account_id: AccountNumber
    tier: str
    threshold: int
    value: int

class AlertsPage(AlertsRow):
    public_account_id: str

class AlertsSql(TypedDict):
    movements: Statement[AlertsMovements]
    raise_crossings: Statement[AlertsRaiseCrossings]
    raise_unusual_use: Statement[AlertsRaiseCrossings]
    raise_hold_leaked: Statement[AlertsRaiseCrossings]
    page: Statement[AlertsPage]

class FoldChunkEnd(TypedDict):
    max: int

class FoldDifferences(TypedDict):
    format: str

class FoldSql(TypedDict):
    chunk_end: Statement[FoldChunkEnd]
    fold: Statement[None]
    forget: Statement[None]
    differences: Statement[FoldDifferences]

class ReportOfAll(TypedDict):
    present_id: Any
    day_on: date
    tier: str
    label: str
    member: str
    granted: int
    purchased: int
    refunded: int
    spent: int
    returned: int
    expired: int
    reversed: int
    adjusted: int
    transferred: int
    use_reversed: int

class ReportNextAccounts(TypedDict):
    id: Any

class ReportNames(TypedDict):
    account_id: AccountNumber
    public_id: str

class ReportSql(TypedDict):
    of_all: Statement[ReportOfAll]
    of_all_tiers: Statement[ReportOfAll]
    of_accounts: Statement[ReportOfAll]
    next_accounts: Statement[ReportNextAccounts]
    names: Statement[ReportNames]
