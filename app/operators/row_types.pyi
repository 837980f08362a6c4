"""Rows of this package's statements. Generated: WRITE_ROWS=1 pytest tests/infrastructure/test_row_types.py"""

from datetime import datetime
from typing import Any, TypedDict

from app.infrastructure.sql import Statement

class ActsSql(TypedDict):
    record_journals: Statement[None]
    record: Statement[None]

class KeysAdd(TypedDict):
    add_api_key: Any

class KeysTakeBack(TypedDict):
    revoke_api_key: bool

class KeysSql(TypedDict):
    store_uses: Statement[None]
    add: Statement[KeysAdd]
    take_back: Statement[KeysTakeBack]

class SessionsFind(TypedDict):
    key_id: str
    created_at: datetime
    ends_at: datetime
    notice: str
    unseen: bool

class SessionsEndAll(TypedDict):
    token_hash: bytes

class SessionsCount(TypedDict):
    count: int

class SessionsSql(TypedDict):
    begin: Statement[None]
    find: Statement[SessionsFind]
    note: Statement[None]
    say: Statement[None]
    end: Statement[None]
    end_all: Statement[SessionsEndAll]
    count: Statement[SessionsCount]
    sweep: Statement[None]
