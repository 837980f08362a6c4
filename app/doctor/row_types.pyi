"""Rows of this package's statements. Generated: WRITE_ROWS=1 pytest tests/infrastructure/test_row_types.py"""

from typing import Any, TypedDict

from app.infrastructure.sql import Statement

class ReplicaServer(TypedDict):
    system_id: Any
    in_recovery: bool
    feedback: bool

class ReplicaWaits(TypedDict):
    names: str
    commit: str

class ReplicaSql(TypedDict):
    server: Statement[ReplicaServer]
    waits: Statement[ReplicaWaits]
