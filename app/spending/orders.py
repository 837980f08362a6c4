"""The order of a spend, and its result."""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from app.errors import TallybookError
from app.infrastructure.ids import EntryNumber, JournalNumber
from app.ledger.idempotency import RequestKey


class SpendOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Credits to spend from one account, under a key."""

    account_id: str
    amount: int
    actor: str
    key: RequestKey
    reason: str | None = None
    metadata: dict[str, str] | None = None
    label: str | None = None
    member: str | None = None


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """A spend's journal; ``replayed`` if an earlier request made it."""

    journal_id: JournalNumber
    account_id: str
    amount: int
    balance: int
    available: int
    entry_ids: tuple[EntryNumber, ...]
    replayed: bool


class AccountTaken(msgspec.Struct, frozen=True):
    """Somebody else has the account's lock: nothing was done, the order is to be tried again."""


ACCOUNT_TAKEN: Final = AccountTaken()
Result: TypeAlias = Spent | TallybookError | AccountTaken
