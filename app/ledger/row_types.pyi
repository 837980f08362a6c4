"""Rows of this package's statements. Generated: WRITE_ROWS=1 pytest tests/infrastructure/test_row_types.py"""

from datetime import date, datetime
from typing import Any, TypedDict

from app.infrastructure.ids import AccountNumber, EntryNumber, JournalNumber, LotNumber
from app.infrastructure.sql import Statement

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

class PostLock(TypedDict):
    id: Any
    external_id: str
    opened_at: datetime
    closed_at: datetime
    suspended_at: datetime
    joined_to: int
    last_used_at: datetime
    written_at: datetime
    free: int
    held: int
    debt: int
    tier: str
    time_zone: str
    day_on: date
    day_opening: int
    day_starts_at: datetime
    day_ends_at: datetime
    day_lot_id: LotNumber
    day_carried_lot_id: LotNumber
    day_catalogue_id: Any
    day_used_brought: int
    brought_until: datetime
    day_withdrawn: bool
    due_at: datetime

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
    lock: Statement[PostLock]
    look: Statement[PostLook]

class ReservedFindHold(TypedDict):
    id: Any
    account_id: AccountNumber
    amount: int
    captured: int
    state: str
    expires_at: datetime
    created_at: datetime
    public_id: str
    present_state: str
    label: str
    member: str
    expired: bool
    closed: bool

class ReservedHoldsOf(TypedDict):
    id: Any
    account_id: AccountNumber
    amount: int
    captured: int
    state: str
    expires_at: datetime
    created_at: datetime
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
