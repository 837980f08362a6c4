"""Rows of this package's statements. Generated: WRITE_ROWS=1 pytest tests/infrastructure/test_row_types.py"""

from datetime import datetime
from typing import Any, TypedDict

from app.infrastructure.ids import AccountNumber, BackingNumber, JournalNumber
from app.infrastructure.sql import Statement

class AskedBegin(TypedDict):
    id: Any

class AskedNewest(TypedDict):
    id: Any
    asked_by: str
    started_at: datetime
    finished_at: datetime
    check_count: int
    checks: str
    error: str
    done_count: int
    difference_count: int

class AskedVerdict(TypedDict):
    id: Any
    finished_at: datetime
    check_count: int
    row_count: int
    difference_count: int

class AskedSql(TypedDict):
    bury: Statement[None]
    begin: Statement[AskedBegin]
    note: Statement[None]
    beat: Statement[None]
    finish: Statement[None]
    newest: Statement[AskedNewest]
    verdict: Statement[AskedVerdict]

class DerivedSubscriptions(TypedDict):
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
    deleted_at: datetime
    deleted_event_id: str
    bodies: list[str]

class DerivedPurchases(TypedDict):
    payment_key: str
    session_id: str
    payment_intent: str
    backing_id: BackingNumber
    journal_id: JournalNumber
    event_id: str
    customer_id: str
    pack: str
    credits: int
    paid: int
    currency: str
    opened_at: datetime
    parts: str

class DerivedSessionFacts(TypedDict):
    body: str

class DerivedSql(TypedDict):
    subscriptions: Statement[DerivedSubscriptions]
    purchases: Statement[DerivedPurchases]
    session_facts: Statement[DerivedSessionFacts]

class MonthRuns(TypedDict):
    runs: int
    going: int
    failed: int
    not_opened: int

class MonthEvents(TypedDict):
    parked: int
    queued: int

class MonthBook(TypedDict):
    epoch: int
    now: datetime
    catalogue_id: Any

class MonthSql(TypedDict):
    runs: Statement[MonthRuns]
    events: Statement[MonthEvents]
    book: Statement[MonthBook]

class RestoreSkipIds(TypedDict):
    setval: int

class RestoreBeginEpoch(TypedDict):
    epoch: int

class RestoreSql(TypedDict):
    skip_ids: Statement[RestoreSkipIds]
    begin_epoch: Statement[RestoreBeginEpoch]

class StructureStructure(TypedDict):
    what: str
    definition: str

class StructureSql(TypedDict):
    structure: Statement[StructureStructure]
