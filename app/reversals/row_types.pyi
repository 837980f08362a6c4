"""Rows of this package's statements. Generated: WRITE_ROWS=1 pytest tests/infrastructure/test_row_types.py"""

from datetime import datetime
from typing import Any, TypedDict

from app.infrastructure.ids import AccountNumber, EntryNumber, HoldNumber, JournalNumber, LotNumber, ReversalNumber
from app.infrastructure.sql import Statement

class DraftEntries(TypedDict):
    id: Any
    journal_id: JournalNumber
    account_id: AccountNumber
    lot_id: LotNumber
    amount: int
    free_after: int
    held_after: int
    debt_after: int
    hold_id: HoldNumber
    reverses_entry_id: EntryNumber
    effective_at: datetime
    recorded_at: datetime
    kind: str
    debit: str
    credit: str
    lot_source: str
    lot_ends_at: datetime
    amount_left: int

class DraftSql(TypedDict):
    entries: Statement[DraftEntries]

class OwedRepayments(TypedDict):
    id: Any
    journal_id: JournalNumber
    account_id: AccountNumber
    lot_id: LotNumber
    amount: int
    free_after: int
    held_after: int
    debt_after: int
    hold_id: HoldNumber
    reverses_entry_id: EntryNumber
    effective_at: datetime
    recorded_at: datetime
    kind: str
    debit: str
    credit: str
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
