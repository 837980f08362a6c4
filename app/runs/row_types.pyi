"""Rows of this package's statements. Generated: WRITE_ROWS=1 pytest tests/infrastructure/test_row_types.py"""

from datetime import date, datetime
from typing import Any, TypedDict

from app.infrastructure.sql import Statement

class BulkNext(TypedDict):
    id: Any

class BulkOpen(TypedDict):
    previous_on: date
    account_count: int
    credits: int
    expired: int

class BulkSql(TypedDict):
    next: Statement[BulkNext]
    lock_next: Statement[BulkNext]
    open: Statement[BulkOpen]

class CataloguePreviewKinds(TypedDict):
    key: str
    price_ids: list[str]
    state: str
    status: str
    tier: str
    grace_tier: str

class CataloguePreviewRunning(TypedDict):
    catalogue_id: Any

class CataloguePreviewMoves(TypedDict):
    before: str
    after: str
    accounts: int
    credits_before: int
    credits_after: int
    example: str
    another: str

class CataloguePreviewPrices(TypedDict):
    price: str
    subscription_count: int

class CataloguePreviewSql(TypedDict):
    kinds: Statement[CataloguePreviewKinds]
    running: Statement[CataloguePreviewRunning]
    moves: Statement[CataloguePreviewMoves]
    prices: Statement[CataloguePreviewPrices]

class DormancyZones(TypedDict):
    name: str

class DormancyCount(TypedDict):
    count: int

class DormancySql(TypedDict):
    skip: Statement[None]
    wake: Statement[None]
    zones: Statement[DormancyZones]
    count: Statement[DormancyCount]

class PlanPlan(TypedDict):
    next_on: date
    next_at: datetime
    zones: list[str]
    tier: str
    closed: bool
    dormant: bool
    account_count: int
    issued: int
    expired: int
    carried: int
    not_opened: int

class PlanSql(TypedDict):
    plan: Statement[PlanPlan]
