"""Rows of this package's statements. Generated: WRITE_ROWS=1 pytest tests/infrastructure/test_row_types.py"""

from datetime import datetime
from typing import Any, TypedDict

from app.infrastructure.ids import AccountNumber, EntryNumber, JournalNumber, LotNumber
from app.infrastructure.sql import Statement
from app.tables.row_types import AccountsRow, HoldsRow

class IdempotencyLockOperatorsKeys(TypedDict):
    pg_advisory_xact_lock: Any

class IdempotencyApplicationsAnswers(TypedDict):
    answers: str
    erased: list[bytes]

class IdempotencyErasedAnswers(TypedDict):
    jsonb_agg: str

class IdempotencyErased(TypedDict):
    key: str
    key_hash: bytes
    of_operator: bool
    request_hash: bytes
    journal_id: JournalNumber
    act_id: Any

class IdempotencySql(TypedDict):
    lock_operators_keys: Statement[IdempotencyLockOperatorsKeys]
    applications_answers: Statement[IdempotencyApplicationsAnswers]
    erased_answers: Statement[IdempotencyErasedAnswers]
    erased: Statement[IdempotencyErased]
    operators_answers: Statement[IdempotencyErasedAnswers]

class PostLook(TypedDict):
    now: datetime
    answers: str
    erased: list[bytes]
    id: Any
    account_id: AccountNumber
    source: str
    priority: int
    granted_at: datetime
    expires_at: datetime
    granted: int
    lapsed: int
    moved: int
    refunded: int
    free: int
    held: int
    live: bool

class PostSql(TypedDict):
    lock: Statement[AccountsRow]
    look: Statement[PostLook]

class ReservedFindHold(HoldsRow):
    public_id: str
    present_state: str
    label: str
    member: str
    expired: bool
    closed: bool

class ReservedHoldsOf(HoldsRow):
    public_id: str
    present_state: str

class ReservedSql(TypedDict):
    find_hold: Statement[ReservedFindHold]
    holds_of: Statement[ReservedHoldsOf]

class StatementWrite(TypedDict):
    journals: list[JournalNumber]
    lots: list[LotNumber]
    entries: list[EntryNumber]

class StatementSql(TypedDict):
    write: Statement[StatementWrite]
