"""Rows of this package's statements. Generated: WRITE_ROWS=1 pytest tests/infrastructure/test_row_types.py"""

from datetime import datetime
from typing import Any, TypedDict

from app.infrastructure.ids import BackingNumber, JournalNumber
from app.infrastructure.sql import Statement

class StoreLock(TypedDict):
    pg_advisory_xact_lock: Any

class StoreChargesOf(TypedDict):
    charge_id: str

class StoreIntentOf(TypedDict):
    payment_intent: str

class StoreFactsOf(TypedDict):
    body: str

class StoreEventOf(TypedDict):
    occurred_at: datetime
    body: str

class StorePinsOf(TypedDict):
    of_event_id: str
    standing: str

class StorePurchase(TypedDict):
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

class StoreSql(TypedDict):
    lock: Statement[StoreLock]
    add: Statement[None]
    charges_of: Statement[StoreChargesOf]
    intent_of: Statement[StoreIntentOf]
    facts_of: Statement[StoreFactsOf]
    newest_of_kind: Statement[StoreFactsOf]
    event_of: Statement[StoreEventOf]
    pins_of: Statement[StorePinsOf]
    purchase: Statement[StorePurchase]
    insert: Statement[None]
    keep: Statement[None]
