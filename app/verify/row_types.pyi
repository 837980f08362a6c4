"""Rows of this package's statements. Generated: WRITE_ROWS=1 pytest tests/infrastructure/test_row_types.py"""

from datetime import datetime
from typing import Any, TypedDict

from app.infrastructure.sql import Statement
from app.tables.row_types import PurchasesRow, SubscriptionsRow, VerificationsRow

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

class AskedSql(TypedDict):
    bury: Statement[None]
    begin: Statement[AskedBegin]
    note: Statement[None]
    beat: Statement[None]
    finish: Statement[None]
    newest: Statement[AskedNewest]
    verdict: Statement[VerificationsRow]

class DerivedSubscriptions(SubscriptionsRow):
    deleted_at: datetime
    deleted_event_id: str
    bodies: list[str]

class DerivedPurchases(PurchasesRow):
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
