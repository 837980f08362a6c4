"""Rows of this package's statements. Generated: WRITE_ROWS=1 pytest tests/infrastructure/test_row_types.py"""

from typing import TypedDict

from app.infrastructure.sql import Statement

class CheckedDatabaseServer(TypedDict):
    version: str
    version_number: int
    in_recovery: bool
    encoding: str
    shows_virtual_transactions: bool

class CheckedDatabaseSettings(TypedDict):
    name: str
    setting: str
    reset_val: str
    backend_pid: int

class CheckedDatabaseSql(TypedDict):
    server: Statement[CheckedDatabaseServer]
    settings: Statement[CheckedDatabaseSettings]
