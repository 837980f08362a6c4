"""Rows of this package's statements. Generated: WRITE_ROWS=1 pytest tests/infrastructure/test_row_types.py"""

from datetime import datetime
from typing import Any, TypedDict

from app.infrastructure.sql import Statement
from app.tables.row_types import WebhookEndpointsRow, WebhookMessagesRow

class DeliverDueEndpoints(TypedDict):
    number: int

class DeliverLockEndpoint(TypedDict):
    url: str
    ordered: bool
    failure_count: int
    now: datetime
    salts: list[bytes]

class DeliverClaim(WebhookMessagesRow):
    public_account_id: str

class DeliverFails(TypedDict):
    failing_s: float
    failure_count: int

class DeliverDisable(TypedDict):
    id: str
    tell_endpoints: Any

class DeliverSql(TypedDict):
    due_endpoints: Statement[DeliverDueEndpoints]
    lock_endpoint: Statement[DeliverLockEndpoint]
    claim: Statement[DeliverClaim]
    record: Statement[None]
    release: Statement[None]
    answers: Statement[None]
    fails: Statement[DeliverFails]
    hold: Statement[None]
    disable: Statement[DeliverDisable]

class EndpointsLock(TypedDict):
    pg_advisory_xact_lock: Any

class EndpointsFind(WebhookEndpointsRow):
    also_signs_until: datetime
    pending_count: int

class EndpointsUpdate(TypedDict):
    number: int

class EndpointsSql(TypedDict):
    lock: Statement[EndpointsLock]
    find: Statement[EndpointsFind]
    insert: Statement[None]
    update: Statement[EndpointsUpdate]
    roll: Statement[EndpointsUpdate]
    delete: Statement[EndpointsUpdate]

class MessagesNewest(WebhookMessagesRow):
    endpoint_id: str
    public_account_id: str

class MessagesRedeliver(TypedDict):
    id: Any

class MessagesSql(TypedDict):
    newest: Statement[MessagesNewest]
    page: Statement[MessagesNewest]
    redeliver: Statement[MessagesRedeliver]
