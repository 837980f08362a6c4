"""Rows of this package's statements. Generated: WRITE_ROWS=1 pytest tests/infrastructure/test_row_types.py"""

from datetime import datetime
from typing import Any, TypedDict

from app.infrastructure.sql import Statement
from app.tables.row_types import PurchasesRow

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

class StoreSql(TypedDict):
    lock: Statement[StoreLock]
    add: Statement[None]
    charges_of: Statement[StoreChargesOf]
    intent_of: Statement[StoreIntentOf]
    facts_of: Statement[StoreFactsOf]
    newest_of_kind: Statement[StoreFactsOf]
    event_of: Statement[StoreEventOf]
    pins_of: Statement[StorePinsOf]
    purchase: Statement[PurchasesRow]
    insert: Statement[None]
    keep: Statement[None]
