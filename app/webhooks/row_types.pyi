"""Rows of this package's statements. Generated: WRITE_ROWS=1 pytest tests/infrastructure/test_row_types.py"""

from datetime import datetime
from typing import Any, TypedDict

from app.infrastructure.ids import AccountNumber
from app.infrastructure.sql import Statement

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

class NoEffectRead(TypedDict):
    id: str
    account_id: AccountNumber
    customer_id: str
    moved_at: datetime
    created_at: datetime
    updated_at: datetime
    state: str
    status: str
    price_id: str
    price_ids: list[str]
    period_end_at: datetime
    billing_cycle: str
    cancel_at_period_end: bool
    cancel_at: datetime
    tier: str
    grace_tier: str
    grace_ends_at: datetime
    failing_since: datetime
    catalogue_id: Any
    last_event_id: str
    last_event_at: datetime
    settled: str
    settled_to: datetime
    settled_catalogue_id: Any
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
