"""One keyed act on one account: due first, once for its key, refusals leaving nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from app.accounts.open import find, lock, unknown
from app.allowance.day import AccountDay
from app.allowance.origin import Origin
from app.allowance.store import store_days
from app.book import Book
from app.errors import TallybookError
from app.infrastructure.ids import AccountNumber, EntryNumber, JournalNumber
from app.ledger import idempotency
from app.ledger.idempotency import RequestKey, StoredAnswer
from app.ledger.kinds import Act
from app.ledger.sheet import JournalDraft
from app.operators import acts


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """The actor of an act, its idempotency key, and its reason."""

    actor: str
    key: RequestKey
    reason: str | None = None
    metadata: dict[str, str] | None = None
    label: str | None = None
    member: str | None = None


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """A journal that stands, and what its request was answered."""

    journal_id: JournalNumber
    entry_ids: tuple[EntryNumber, ...]
    answer: dict[str, object]
    replayed: bool


def replay(stored: StoredAnswer) -> Done:
    """Return the answer of the first request under a key."""
    return Done(
        journal_id=stored.journal_id,
        entry_ids=stored.entry_ids,
        answer=stored.answer,
        replayed=True,
    )


def journal(act: Act, day: AccountDay, order: Order) -> JournalDraft:
    """The header of an act of the API, now."""
    return JournalDraft(
        act=act,
        source="api",
        actor=order.actor,
        effective_at=day.now,
        reason=order.reason,
        metadata=order.metadata,
        label=order.label,
        member=order.member,
        idempotency_key=order.key.key,
        request_hash=order.key.request_hash,
    )


async def keyed(
    book: Book,
    account: AccountNumber | str,
    order: Order,
    draft: Callable[[AccountDay], Awaitable[JournalDraft]],
    act: acts.OperatorAct | None = None,
) -> Done:
    """Lock the account, post what is due, draft the act on it, write all of it.

    ``draft`` puts the journal on the day's sheet, fills in its answer, or raises a refusal: then
    what was due is kept all the same. ``act`` is the operator's, by it. ``account`` is a number, or
    the id that was asked for: the key alone still knows one that was erased since.
    Raises AccountUnknownError, KeyReusedError.
    """
    refusal: TallybookError | None = None
    look = idempotency.stored if act is None else idempotency.stored_for_operator
    async with book.database.transaction():
        number = await find(book, account) if isinstance(account, str) else account
        day = await lock(book, number) if number is not None else None
        stored = await look(book.database, order.key)
        if stored is not None:
            return replay(stored)
        if day is None:
            raise unknown(str(account))
        day.post_due(Origin("due", order.actor))
        try:
            written = await draft(day)
        except TallybookError as error:
            refusal = error
        await store_days(book.database, [day])
        if act is not None and refusal is None:
            by = acts.Operator(actor=order.actor, reason=order.reason)
            await acts.record(
                book.database, act, by, account_id=day.sheet.account_id, journal_id=written.number
            )
    if refusal is not None:
        raise refusal
    assert written.number is not None
    return Done(
        journal_id=written.number,
        entry_ids=tuple(written.entry_numbers),
        answer=written.answer or {},
        replayed=False,
    )
