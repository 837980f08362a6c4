"""Spend: all or nothing, never below zero, once for a key, with what is due posted first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec

from app.accounts.open import lock_named, unknown
from app.allowance import load
from app.allowance.load import Drawable
from app.allowance.origin import Origin
from app.allowance.store import store_drawn
from app.book import Book
from app.errors import AccountSuspendedError, KeyReusedError, TallybookError
from app.infrastructure.ids import AccountNumber, EntryNumber, JournalNumber
from app.ledger import idempotency
from app.ledger.idempotency import StoredAnswer
from app.ledger.kinds import Act
from app.ledger.sheet import JournalDraft
from app.spending.orders import ACCOUNT_TAKEN, AccountTaken, Result, SpendOrder, Spent
from app.spending.plain import spend_plain

Drafted: TypeAlias = JournalDraft | StoredAnswer | TallybookError | AccountTaken


async def spend(book: Book, orders: Sequence[SpendOrder]) -> list[Result]:
    """Carry out the orders, a result for each, in order: the plain ones first, by one statement.

    A refusal leaves nothing behind but what was due anyway, which is kept. Accounts that somebody
    else has locked are passed over, so that they delay no other.
    Raises asyncpg.UniqueViolationError when a key was taken meanwhile through another account; the
    plain ones stand then.
    """
    results: list[Result | None] = [*await spend_plain(book.database, orders)]
    rest = [order for order, result in zip(orders, results, strict=True) if result is None]
    others = iter(await spend_by_sheet(book, rest) if rest else ())
    return [next(others) if result is None else result for result in results]


async def spend_by_sheet(
    book: Book, orders: Sequence[SpendOrder], *, waiting: bool = False
) -> list[Result]:
    """Carry out any orders in one transaction, a result for each, in order.

    Accounts that somebody else has locked are passed over, unless it is ``waiting``: then they are
    waited for, and asyncpg.LockNotAvailableError is raised after the lock timeout.
    Raises asyncpg.UniqueViolationError when a key was taken meanwhile through another account.
    """
    async with book.database.transaction():
        numbers, taken, accounts, answers = await _lock(book, orders, waiting=waiting)
        drafting = _Drafting(accounts, answers)
        drafted = [
            ACCOUNT_TAKEN
            if order.account_id in taken
            else drafting.draft(order, numbers.get(order.account_id))
            for order in orders
        ]
        await store_drawn(book.database, accounts.values())
    replays = drafting.replays(drafted)
    return [_spent(*one) for one in zip(orders, drafted, replays, strict=True)]


class _Drafting:
    """Drafts orders one after another on the locked accounts, once for each key."""

    def __init__(
        self, accounts: Mapping[AccountNumber, Drawable], answers: Mapping[str, StoredAnswer]
    ) -> None:
        self._accounts = accounts
        self._answers = answers
        self._drafts: dict[str, JournalDraft] = {}

    def draft(self, order: SpendOrder, number: AccountNumber | None) -> Drafted:
        """The order's journal, the answer stored under its key, or the refusal."""
        key = order.key
        try:
            stored = self._answers.get(key.key)
            # An account that was erased is known by the key alone.
            if number is None and (stored is None or not stored.erased):
                return unknown(order.account_id)
            if stored is not None:
                return idempotency.same_request(key, stored)
            assert number is not None
            if key.key in self._drafts:
                return self._again(order, self._drafts[key.key])
            journal = self._drafts[key.key] = _draw(order, self._accounts[number])
        except TallybookError as error:
            return error
        return journal

    def _again(self, order: SpendOrder, drafted: JournalDraft) -> JournalDraft:
        if order.key.request_hash != drafted.request_hash:
            raise KeyReusedError(
                "This Idempotency-Key stands for another spend of the same batch.",
                idempotency_key=order.key.key,
            )
        return drafted

    @staticmethod
    def replays(drafted: Sequence[Drafted]) -> list[bool]:
        """Return which results repeat an earlier one."""
        seen: set[int] = set()
        replays = []
        for one in drafted:
            replays.append(isinstance(one, StoredAnswer) or id(one) in seen)
            seen.add(id(one))
        return replays


async def _lock(
    book: Book, orders: Sequence[SpendOrder], *, waiting: bool
) -> tuple[
    dict[str, AccountNumber], set[str], dict[AccountNumber, Drawable], dict[str, StoredAnswer]
]:
    """Lock the accounts, then read what stands under the keys: earlier holders have committed.

    Repeats when a join came between finding and locking, since its target has everything now.
    """
    origin = Origin("due", orders[0].actor)
    keys = [order.key for order in orders]
    while True:
        rows, taken = await lock_named(
            book, [order.account_id for order in orders], waiting=waiting
        )
        accounts, answers = await load.to_draw(book.database, book.catalogues, rows, keys, origin)
        if all(row["joined_to"] is None for row in rows):
            numbers = {public_id: row["id"] for row in rows for public_id in row["public_ids"]}
            return numbers, taken, accounts, answers


def _draw(order: SpendOrder, account: Drawable) -> JournalDraft:
    sheet = account.sheet
    if account.suspended:
        raise AccountSuspendedError(f"Account {order.account_id!r} is suspended.")
    journal = JournalDraft(
        act=Act.SPEND,
        source="api",
        actor=order.actor,
        effective_at=sheet.now,
        reason=order.reason,
        metadata=order.metadata,
        label=order.label,
        member=order.member,
        idempotency_key=order.key.key,
        request_hash=order.key.request_hash,
    )
    sheet.spend(journal, order.amount, account.next_grant_at)
    journal.answer = {
        "account_id": account.row["external_id"] or order.account_id,
        "amount": order.amount,
        "balance": sheet.balance,
        "available": sheet.available,
    }
    # A row less for nearly every spend: what is due is posted, so all that is free is available.
    journal.answer_follows = (
        journal.answer["account_id"] == order.account_id and sheet.available == sheet.free
    )
    sheet.begin(journal)
    return journal


def _spent(order: SpendOrder, one: Drafted, replayed: bool) -> Result:
    if isinstance(one, TallybookError | AccountTaken):
        return one
    if isinstance(one, StoredAnswer):
        # The key's request has the path of the first, and so the id in it.
        answer = {"account_id": order.account_id, **one.answer}
        return _answer(one.journal_id, answer, one.entry_ids, replayed=True)
    assert one.number is not None
    assert one.answer is not None
    return _answer(one.number, one.answer, tuple(one.entry_numbers), replayed=replayed)


def _answer(
    number: JournalNumber,
    answer: dict[str, object],
    entry_ids: tuple[EntryNumber, ...],
    *,
    replayed: bool,
) -> Spent:
    return msgspec.convert(
        {**answer, "journal_id": number, "entry_ids": entry_ids, "replayed": replayed}, Spent
    )
