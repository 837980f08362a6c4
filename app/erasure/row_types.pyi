"""Rows of this package's statements. Generated: WRITE_ROWS=1 pytest tests/infrastructure/test_row_types.py"""

from typing import Any, TypedDict

from app.infrastructure.ids import JournalNumber
from app.infrastructure.sql import Statement
from app.tables.row_types import UsageDaysRow

class EraseBegin(TypedDict):
    set_config: str

class EraseOwners(TypedDict):
    id: Any

class EraseNames(TypedDict):
    external_ids: list[Any]
    customer_ids: list[str]

class EraseEvents(TypedDict):
    id: str
    verdict_reason: str
    error: str
    payload: bytes
    body_ids: list[Any]
    bodies: list[bytes]

class EraseDeliveries(TypedDict):
    id: Any
    reason: str

class EraseFacts(TypedDict):
    event_id: str
    reading: int
    body: str

class EraseMoneyFacts(TypedDict):
    event_id: str
    kind: str
    object_id: str
    body: str

class EraseKeys(TypedDict):
    key: str
    request_hash: bytes
    of_operator: bool
    journal_id: JournalNumber
    act_id: Any

class EraseOldEvents(TypedDict):
    id: str
    number: int
    payload: bytes

class EraseSql(TypedDict):
    begin: Statement[EraseBegin]
    owners: Statement[EraseOwners]
    names: Statement[EraseNames]
    events: Statement[EraseEvents]
    write_event: Statement[None]
    write_body: Statement[None]
    deliveries: Statement[EraseDeliveries]
    write_delivery: Statement[None]
    facts: Statement[EraseFacts]
    write_fact: Statement[None]
    money_facts: Statement[EraseMoneyFacts]
    write_money_fact: Statement[None]
    rename_claims: Statement[None]
    rename_accounts: Statement[None]
    rename_aliases: Statement[None]
    journals: Statement[EraseOwners]
    keys: Statement[EraseKeys]
    write_erased_keys: Statement[None]
    erase_journals_keys: Statement[None]
    erase_acts_keys: Statement[None]
    erase_notes: Statement[None]
    erase_members: Statement[None]
    erase_reversals: Statement[None]
    erase_acts: Statement[None]
    members_use: Statement[UsageDaysRow]
    move_use: Statement[None]
    drop_empty_use: Statement[None]
    old_events: Statement[EraseOldEvents]
    scrub_event: Statement[None]
