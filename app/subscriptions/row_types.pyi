"""Rows of this package's statements. Generated: WRITE_ROWS=1 pytest tests/infrastructure/test_row_types.py"""

from datetime import datetime
from typing import Any, TypedDict

from app.infrastructure.ids import AccountNumber
from app.infrastructure.sql import Statement

class StoreRead(TypedDict):
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
    folded_to: datetime
    bodies: list[str]

class StoreCustomerOf(TypedDict):
    customer_id: str

class StoreFactsOf(TypedDict):
    array_agg: list[str]

class StoreNewestPayloads(TypedDict):
    id: str
    payload: bytes

class StoreSql(TypedDict):
    read: Statement[StoreRead]
    keep_and_read: Statement[StoreRead]
    keep: Statement[None]
    upsert: Statement[None]
    keep_and_upsert: Statement[None]
    add_transition: Statement[None]
    customer_of: Statement[StoreCustomerOf]
    facts_of: Statement[StoreFactsOf]
    newest_payloads: Statement[StoreNewestPayloads]
