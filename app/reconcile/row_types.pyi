"""Rows of this package's statements. Generated: WRITE_ROWS=1 pytest tests/infrastructure/test_row_types.py"""

from typing import Any, TypedDict

from app.infrastructure.sql import Statement
from app.tables.row_types import ReconciliationsRow, SubscriptionsRow

class MissingPaymentsKept(TypedDict):
    object_id: str
    body: str

class MissingPaymentsPurchases(TypedDict):
    session_id: str
    payment_key: str
    pack: str
    credits: int

class MissingPaymentsBought(TypedDict):
    name: str

class MissingPaymentsSql(TypedDict):
    kept: Statement[MissingPaymentsKept]
    purchases: Statement[MissingPaymentsPurchases]
    bought: Statement[MissingPaymentsBought]

class ReconcileVerdict(TypedDict):
    verdict: str
    verdict_reason: str

class ReconcileSubscriptions(SubscriptionsRow):
    named: str
    collection_paused: bool

class ReconcileCustomers(TypedDict):
    id: str
    deleted: bool
    named: str

class ReconcileNewestSnapshot(TypedDict):
    payload: bytes

class ReconcileQueued(TypedDict):
    id: str

class ReconcileSql(TypedDict):
    received: Statement[None]
    verdict: Statement[ReconcileVerdict]
    subscriptions: Statement[ReconcileSubscriptions]
    customers: Statement[ReconcileCustomers]
    newest_snapshot: Statement[ReconcileNewestSnapshot]
    queued: Statement[ReconcileQueued]

class StoreBegin(TypedDict):
    id: Any

class StoreUnlisted(TypedDict):
    id: str

class StoreRecognized(TypedDict):
    count: int

class StoreTakenOver(TypedDict):
    tier: str
    subscriptions: int

class StoreComparedOnce(TypedDict):
    exists: bool

class StoreSql(TypedDict):
    begin: Statement[StoreBegin]
    lock_going: Statement[ReconciliationsRow]
    begin_hourly: Statement[ReconciliationsRow]
    lease: Statement[None]
    save: Statement[None]
    release: Statement[None]
    sight: Statement[None]
    unlisted: Statement[StoreUnlisted]
    fetched: Statement[None]
    recognized: Statement[StoreRecognized]
    taken_over: Statement[StoreTakenOver]
    compared_once: Statement[StoreComparedOnce]
