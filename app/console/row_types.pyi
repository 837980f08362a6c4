"""Rows of this package's statements. Generated: WRITE_ROWS=1 pytest tests/infrastructure/test_row_types.py"""

from datetime import date, datetime
from typing import Any, TypedDict

from app.infrastructure.ids import AccountNumber, JournalNumber, RunNumber
from app.infrastructure.sql import Statement
from app.tables.row_types import CataloguesRow, OperatorActsRow, TransitionsRow

class AccountBalances(TypedDict):
    account_id: AccountNumber
    recorded_at: datetime
    balance: int

class AccountBefore(TypedDict):
    account_id: AccountNumber
    balance: int

class AccountGranted(TypedDict):
    id: Any
    granted: int

class AccountSql(TypedDict):
    balances: Statement[AccountBalances]
    before: Statement[AccountBefore]
    transitions: Statement[TransitionsRow]
    acts: Statement[OperatorActsRow]
    granted: Statement[AccountGranted]

class AccountsPresent(TypedDict):
    public_id: str

class AccountsNamed(TypedDict):
    is_event: bool
    id: str

class AccountsBeginSo(TypedDict):
    external_id: str

class AccountsSql(TypedDict):
    present: Statement[AccountsPresent]
    named: Statement[AccountsNamed]
    begin_so: Statement[AccountsBeginSo]

class CatalogueVersions(TypedDict):
    id: Any
    applied_at: datetime
    applied_by: str
    run_count: int
    first_on: date
    last_on: date

class CatalogueBefore(TypedDict):
    id: Any
    content: str

class CatalogueSql(TypedDict):
    versions: Statement[CatalogueVersions]
    version: Statement[CataloguesRow]
    before: Statement[CatalogueBefore]

class KeysListed(TypedDict):
    id: str
    name: str
    scopes: list[str]
    networks: list[str]
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime
    last_used_at: datetime

class KeysSql(TypedDict):
    listed: Statement[KeysListed]

class OperatorActsNewest(OperatorActsRow):
    told_reason: str
    public_id: str

class OperatorActsGoing(TypedDict):
    id: Any
    of_run_id: RunNumber
    reason: str
    actor: str
    journal_count: int

class OperatorActsSql(TypedDict):
    newest: Statement[OperatorActsNewest]
    going: Statement[OperatorActsGoing]

class TodayVerdicts(TypedDict):
    verdict: str
    events: int

class TodayAlerts(TypedDict):
    id: Any
    kind: str
    tier: str
    threshold: int
    value: int
    effective_at: datetime
    raised_at: datetime
    journal_id: JournalNumber
    public_id: str

class TodayFolded(TypedDict):
    day_on: date
    tier: str
    granted: int
    spent: int
    expired: int

class TodaySql(TypedDict):
    verdicts: Statement[TodayVerdicts]
    alerts: Statement[TodayAlerts]
    folded: Statement[TodayFolded]
