"""Grants of many accounts at once: what an import or a campaign brings, once for each key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

from app.accounts.open import lock_named, unknown
from app.allowance import load
from app.allowance.day import AccountDay
from app.allowance.origin import Origin
from app.allowance.store import store_days
from app.book import Book
from app.errors import KeyReusedError, TallybookError
from app.ledger import idempotency
from app.ledger.idempotency import StoredAnswer
from app.ledger.kinds import LotSource
from app.ledger.sheet import JournalDraft
from app.operators import acts
from app.operators.acts import OperatorAct
from app.spending import corrections
from app.spending.keyed import Done, Order, replay

CHUNK_GRANTS: Final = 200  # of one transaction, which locks as many accounts


class GrantSource(StrEnum):
    """The kind of granted credits: a gift, or paid for elsewhere, such as those that a customer
    brings along.
    """

    PROMOTIONAL = "promotional"
    PURCHASED = "purchased"


class GrantOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Credits to give to one account; without ``expires_at`` they never end."""

    account_id: str
    amount: int
    order: Order
    source: GrantSource = GrantSource.PROMOTIONAL
    expires_at: datetime | None = None


Result = Done | TallybookError


async def grant_many(book: Book, orders: Sequence[GrantOrder]) -> list[Result]:
    """Carry out the orders, a result for each, in order: one refusal stops no other.

    Some at a time share a transaction, so that a fault in between leaves whole ones: what is asked
    again under the same keys goes on from there.
    """
    results: list[Result] = []
    for start in range(0, len(orders), CHUNK_GRANTS):
        results += await _grant_chunk(book, orders[start : start + CHUNK_GRANTS])
    return results


async def _grant_chunk(book: Book, orders: Sequence[GrantOrder]) -> list[Result]:
    async with book.database.transaction():
        days = await _lock(book, {order.account_id for order in orders})
        keys = [order.order.key for order in orders]
        stored = await idempotency.all_stored_for_operator(book.database, keys)
        drafted: dict[str, tuple[JournalDraft, AccountDay]] = {}
        outcomes = [_draft(one, days, stored, drafted) for one in orders]
        await store_days(book.database, {id(day): day for day in days.values()}.values())
        for actor in sorted({one.order.actor for one in orders}):
            made = [
                (day.sheet.account_id, header.number)
                for header, day in drafted.values()
                if header.actor == actor and header.number is not None
            ]
            if made:
                await acts.record_journals(book.database, OperatorAct.GRANT, actor, made)
    return [_done(one) for one in outcomes]


async def _lock(book: Book, public_ids: set[str]) -> dict[str, AccountDay]:
    """The accounts with all that is due posted, by the ids that were asked for."""
    while True:
        rows, _ = await lock_named(book, public_ids, waiting=True)
        days = await load.lock(book.database, book.catalogues, [row["id"] for row in rows])
        if all(day.joined_to is None for day in days.values()):
            break
    for day in days.values():
        day.post_due(Origin("due", "grants"))
    return {public_id: days[row["id"]] for row in rows for public_id in row["public_ids"]}


def _draft(
    one: GrantOrder,
    days: Mapping[str, AccountDay],
    stored: Mapping[str, StoredAnswer],
    drafted: dict[str, tuple[JournalDraft, AccountDay]],
) -> JournalDraft | StoredAnswer | TallybookError:
    key = one.order.key
    try:
        if key.key in stored:
            return idempotency.same_request(key, stored[key.key])
        if key.key in drafted:
            return _again(one, drafted[key.key][0])
        day = days.get(one.account_id)
        if day is None:
            return unknown(one.account_id)
        journal = corrections.draft_grant(
            day,
            one.account_id,
            one.amount,
            one.order,
            expires_at=one.expires_at,
            source=LotSource(one.source),
        )
    except TallybookError as error:
        return error
    drafted[key.key] = (journal, day)
    return journal


def _again(one: GrantOrder, drafted: JournalDraft) -> JournalDraft:
    if one.order.key.request_hash != drafted.request_hash:
        raise KeyReusedError(
            "This idempotency key stands for another grant of the same batch.",
            idempotency_key=one.order.key.key,
        )
    return drafted


def _done(one: JournalDraft | StoredAnswer | TallybookError) -> Result:
    if isinstance(one, TallybookError):
        return one
    if isinstance(one, StoredAnswer):
        return replay(one)
    assert one.number is not None
    return Done(
        journal_id=one.number,
        entry_ids=tuple(one.entry_numbers),
        answer=one.answer or {},
        replayed=False,
    )
