"""Rows of this package's statements. Generated: WRITE_ROWS=1 pytest tests/infrastructure/test_row_types.py"""

from datetime import datetime
from typing import Any, TypedDict

from app.infrastructure.ids import AccountNumber
from app.infrastructure.sql import Statement

class DeliverDueEndpoints(TypedDict):
    number: int

class DeliverLockEndpoint(TypedDict):
    url: str
    ordered: bool
    failure_count: int
    now: datetime
    salts: list[bytes]

class DeliverClaim(TypedDict):
    id: Any
    endpoint_number: int
    type: str
    account_id: AccountNumber
    data: str
    effective_at: datetime
    created_at: datetime
    state: str
    attempt_count: int
    next_attempt_at: datetime
    first_attempt_at: datetime
    last_attempt_at: datetime
    last_status: int
    last_error: str
    delivered_at: datetime
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

class EndpointsFind(TypedDict):
    number: int
    id: str
    url: str
    events: list[str]
    ordered: bool
    salt: bytes
    previous_salt: bytes
    previous_until: datetime
    created_at: datetime
    deleted_at: datetime
    disabled_at: datetime
    disabled_reason: str
    failing_since: datetime
    failure_count: int
    held_until: datetime
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

class MessagesNewest(TypedDict):
    id: Any
    endpoint_number: int
    type: str
    account_id: AccountNumber
    data: str
    effective_at: datetime
    created_at: datetime
    state: str
    attempt_count: int
    next_attempt_at: datetime
    first_attempt_at: datetime
    last_attempt_at: datetime
    last_status: int
    last_error: str
    delivered_at: datetime
    endpoint_id: str
    public_account_id: str

class MessagesRedeliver(TypedDict):
    id: Any

class MessagesSql(TypedDict):
    newest: Statement[MessagesNewest]
    page: Statement[MessagesNewest]
    redeliver: Statement[MessagesRedeliver]
