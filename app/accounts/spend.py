"""Spend: all or nothing, never below zero, once for a key, with what is due posted first."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from app.accounts.book import Book
from app.accounts.open import require
from app.errors import TallybookError
from app.grants import load
from app.grants.day import Origin
from app.grants.load import Drawable
from app.ledger import idempotency
from app.ledger.idempotency import RequestKey, StoredAnswer
from app.ledger.kinds import Act
from app.ledger.sheet import JournalDraft


class SpendOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for: so many credits of one account, under a key."""

    account_id: str
    amount: int
    actor: str
    key: RequestKey
    reason: str | None = None
    metadata: dict[str, object] | None = None


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """A journal that stands; ``replayed`` where an earlier request made it."""

    journal_id: int
    account_id: str
    amount: int
    balance: int
    available: int
    entry_ids: tuple[int, ...]
    replayed: bool


async def spend(book: Book, orders: Sequence[SpendOrder]) -> list[Spent | TallybookError]:
    """Carry out the orders in one transaction, a result for each.

    A refusal leaves nothing behind but what was due anyway, which is kept.
    """
    async with book.database.transaction():
        numbers = [await _number(book, order) for order in orders]
        known = {number for number in numbers if isinstance(number, int)}
        origin = Origin("due", orders[0].actor)
        accounts = await load.lock_to_draw(book.database, book.catalogues, known, origin)
        answers = await idempotency.stored(book.database, [order.key.key for order in orders])
        drafted = [
            number if isinstance(number, TallybookError)
            else _draft(order, accounts[number], answers)
            for order, number in zip(orders, numbers, strict=True)
        ]  # fmt: skip
        await load.store_drawn(book.database, accounts.values())
    return [_spent(order, one) for order, one in zip(orders, drafted, strict=True)]


async def _number(book: Book, order: SpendOrder) -> int | TallybookError:
    try:
        return await require(book, order.account_id)
    except TallybookError as error:
        return error


def _draft(
    order: SpendOrder, account: Drawable, answers: dict[str, StoredAnswer]
) -> JournalDraft | StoredAnswer | TallybookError:
    try:
        if order.key.key in answers:
            return idempotency.same_request(order.key, answers[order.key.key])
        return _draw(order, account)
    except TallybookError as error:
        return error


def _draw(order: SpendOrder, account: Drawable) -> JournalDraft:
    sheet = account.sheet
    journal = JournalDraft(
        act=Act.SPEND,
        source="api",
        actor=order.actor,
        effective_at=sheet.now,
        reason=order.reason,
        metadata=order.metadata,
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
    sheet.begin(journal)
    return journal


def _spent(
    order: SpendOrder, one: JournalDraft | StoredAnswer | TallybookError
) -> Spent | TallybookError:
    if isinstance(one, TallybookError):
        return one
    if isinstance(one, StoredAnswer):
        return _answer(one.journal_id, one.answer, one.entry_ids, replayed=True)
    assert one.number is not None
    assert one.answer is not None
    return _answer(one.number, one.answer, tuple(one.entry_numbers), replayed=False)


def _answer(
    number: int, answer: dict[str, object], entry_ids: tuple[int, ...], *, replayed: bool
) -> Spent:
    return msgspec.convert(
        {**answer, "journal_id": number, "entry_ids": entry_ids, "replayed": replayed}, Spent
    )
