"""Rows of this package's statements. Generated: WRITE_ROWS=1 pytest tests/infrastructure/test_row_types.py"""

from datetime import datetime
from typing import Any, TypedDict

from app.infrastructure.ids import AccountNumber
from app.infrastructure.sql import Statement
from app.tables.row_types import SubscriptionsRow

class CustomerNamesSnapshots(TypedDict):
    id: str
    created: bool
    created_at: datetime

class CustomerNamesSql(TypedDict):
    snapshots: Statement[CustomerNamesSnapshots]

class InboxInsertRuled(TypedDict):
    event_id: str

class InboxBodies(TypedDict):
    payload: bytes

class InboxAttempts(TypedDict):
    attempt_count: int

class InboxDue(TypedDict):
    id: str

class InboxNextAttemptAt(TypedDict):
    min: datetime

class InboxSql(TypedDict):
    insert: Statement[None]
    insert_ruled: Statement[InboxInsertRuled]
    count_copy: Statement[None]
    keep_other_bytes: Statement[None]
    bodies: Statement[InboxBodies]
    rule: Statement[None]
    queue: Statement[None]
    claim_try: Statement[None]
    attempts: Statement[InboxAttempts]
    fail: Statement[None]
    due: Statement[InboxDue]
    next_attempt_at: Statement[InboxNextAttemptAt]

class NoEffectLock(TypedDict):
    locked: bool

class NoEffectRead(SubscriptionsRow):
    known: bool
    claimed: bool
    tied_to: AccountNumber
    tie_rank: int
    deleted_at: datetime
    tied_id: str
    bodies: list[str]
    present_catalogue_id: Any
    now: datetime

class NoEffectSql(TypedDict):
    lock: Statement[NoEffectLock]
    read: Statement[NoEffectRead]

class ReplayLock(TypedDict):
    verdict: str
    verdict_reason: str

class ReplayNewest(TypedDict):
    max: datetime

class ReplayNextParked(TypedDict):
    received_at: datetime
    id: str

class ReplaySql(TypedDict):
    lock: Statement[ReplayLock]
    newest: Statement[ReplayNewest]
    next_parked: Statement[ReplayNextParked]
