"""Rows of this package's statements. Generated: WRITE_ROWS=1 pytest tests/infrastructure/test_row_types.py"""

from datetime import datetime
from typing import Any, TypedDict

from app.infrastructure.ids import AccountNumber
from app.infrastructure.sql import Statement

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

class ReconcileSubscriptions(TypedDict):
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

class StoreLockGoing(TypedDict):
    id: Any
    hour_at: datetime
    started_by: str
    dry_run: bool
    since_at: datetime
    started_at: datetime
    finished_at: datetime
    leased_until: datetime
    part: str
    reached: str
    events_taken: int
    compared: int
    payments: int
    recognized: int
    mended: int
    waiting: int
    unmended: int
    not_compared: int
    notes: list[str]

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
    lock_going: Statement[StoreLockGoing]
    begin_hourly: Statement[StoreLockGoing]
    lease: Statement[None]
    save: Statement[None]
    release: Statement[None]
    sight: Statement[None]
    unlisted: Statement[StoreUnlisted]
    fetched: Statement[None]
    recognized: Statement[StoreRecognized]
    taken_over: Statement[StoreTakenOver]
    compared_once: Statement[StoreComparedOnce]
