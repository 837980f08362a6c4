"""Rows of this package's statements. Generated: WRITE_ROWS=1 pytest tests/infrastructure/test_row_types.py"""

from datetime import date, datetime
from typing import Any, TypedDict

from app.infrastructure.ids import AccountNumber, LotNumber
from app.infrastructure.sql import Statement
from app.tables.row_types import AccountsRow

class DayUseUses(TypedDict):
    from_account_id: AccountNumber
    until_at: datetime
    amount: int

class DayUseCounting(TypedDict):
    coalesce: int

class DayUseBroughtWith(TypedDict):
    amount: int

class DayUseSql(TypedDict):
    uses: Statement[DayUseUses]
    move: Statement[None]
    add: Statement[None]
    counting: Statement[DayUseCounting]
    shift_own: Statement[None]
    brought_with: Statement[DayUseBroughtWith]
    count_less: Statement[None]

class JoinSql(TypedDict):
    may_join: Statement[None]
    take_over_use: Statement[None]
    end_joined: Statement[None]

class NamesIsAnothersCustomer(TypedDict):
    exists: bool

class NamesTakeName(TypedDict):
    external_id: str

class NamesCustomers(TypedDict):
    id: str

class NamesLeftBehind(TypedDict):
    left_account_id: AccountNumber

class NamesSql(TypedDict):
    is_anothers_customer: Statement[NamesIsAnothersCustomer]
    add_alias: Statement[None]
    take_name: Statement[NamesTakeName]
    move_aliases: Statement[None]
    customers: Statement[NamesCustomers]
    left_behind: Statement[NamesLeftBehind]
    left_no_more: Statement[None]

class OpenFind(TypedDict):
    account_id: AccountNumber

class OpenLockNamed(AccountsRow):
    public_ids: list[str]

class OpenInsert(TypedDict):
    id: Any

class OpenSql(TypedDict):
    find: Statement[OpenFind]
    lock_named: Statement[OpenLockNamed]
    wait_and_lock_named: Statement[OpenLockNamed]
    is_a_customers: Statement[None]
    known: Statement[OpenFind]
    insert: Statement[OpenInsert]
    tie: Statement[None]

class PageLinksNamed(TypedDict):
    id: Any
    opened_at: datetime

class PageLinksLedTo(TypedDict):
    present: AccountNumber
    opened_at: datetime
    now: datetime

class PageLinksSql(TypedDict):
    named: Statement[PageLinksNamed]
    led_to: Statement[PageLinksLedTo]

class StandingLastDay(TypedDict):
    day_on: date
    starts_at: datetime
    opening: int
    lot_id: LotNumber
    carried_lot_id: LotNumber

class StandingSql(TypedDict):
    close: Statement[None]
    open_again: Statement[None]
    suspend: Statement[None]
    last_day: Statement[StandingLastDay]

class TiesCustomer(TypedDict):
    account_id: AccountNumber
    tie_rank: int
    deleted_at: datetime
    deleted_event_id: str
    tied_id: str
    customer_id: str
    rank: int
    object_id: str
    external_id: str
    first_at: datetime
    first_event_id: str
    last_at: datetime
    last_event_id: str
    stands: bool
    catalogue_id: Any
    now: datetime

class TiesPlaced(TypedDict):
    id: str
    account_id: AccountNumber
    state: str

class TiesSql(TypedDict):
    customer: Statement[TiesCustomer]
    placed: Statement[TiesPlaced]

class ViewRead(AccountsRow):
    public_id: str
    aliases: list[Any]
    now: datetime
    newest_catalogue_id: Any
    live_lots: list[Any]
    received: list[Any]
    tied: list[str]

class ViewReadNamed(TypedDict):
    asked: str
    id: Any
    external_id: str
    opened_at: datetime
    closed_at: datetime
    suspended_at: datetime
    joined_to: AccountNumber
    last_used_at: datetime
    written_at: datetime
    free: int
    held: int
    debt: int
    tier: str
    time_zone: str
    day_on: date
    day_opening: int
    day_starts_at: datetime
    day_ends_at: datetime
    day_lot_id: LotNumber
    day_carried_lot_id: LotNumber
    day_catalogue_id: Any
    day_used_brought: int
    brought_until: datetime
    day_withdrawn: bool
    due_at: datetime
    public_id: str
    aliases: list[Any]
    now: datetime
    newest_catalogue_id: Any
    live_lots: list[Any]
    received: list[Any]
    tied: list[str]

class ViewNamed(TypedDict):
    asked: str
    id: Any
    external_id: str
    opened_at: datetime
    closed_at: datetime
    suspended_at: datetime
    joined_to: AccountNumber
    last_used_at: datetime
    written_at: datetime
    free: int
    held: int
    debt: int
    tier: str
    time_zone: str
    day_on: date
    day_opening: int
    day_starts_at: datetime
    day_ends_at: datetime
    day_lot_id: LotNumber
    day_carried_lot_id: LotNumber
    day_catalogue_id: Any
    day_used_brought: int
    brought_until: datetime
    day_withdrawn: bool
    due_at: datetime

class ViewSql(TypedDict):
    read: Statement[ViewRead]
    read_named: Statement[ViewReadNamed]
    named: Statement[ViewNamed]
