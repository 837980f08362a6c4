"""Rows of this package's statements. Generated: WRITE_ROWS=1 pytest tests/infrastructure/test_row_types.py"""

from datetime import datetime
from typing import TypedDict

from app.infrastructure.sql import Statement
from app.tables.row_types import SubscriptionsRow

class StoreRead(SubscriptionsRow):
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
