"""Reverse what one event did to a purchase: it opened the lot, took back, froze or gave back."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from app.allowance.origin import Origin
from app.allowance.store import store_days
from app.book import Book
from app.errors import EventUnknownError, NotReversibleError, ShortfallError
from app.infrastructure.db import Record
from app.infrastructure.ids import EntryNumber, JournalNumber
from app.ledger.backings import Manner
from app.ledger.clawbacks import Clawback, Policy
from app.ledger.kinds import Act, House, Kind
from app.ledger.sheet import JournalDraft
from app.purchases import store
from app.purchases.derive import Standing
from app.purchases.settle import Backed, begin, draft, lock
from app.reversals.journal import reverse_journal
from app.reversals.record import ReversalOrder, Reversed, first_answer, store_event


async def reverse_event(
    book: Book, event_id: str, order: ReversalOrder, *, dry_run: bool
) -> Reversed:
    """Reverse an event's purchase, refund and dispute journals; repeated, return the first answer.

    A purchase is reversed as a whole: what went back with the money is not taken twice, and money
    no longer moves the lot. A refund or dispute keeps the standing that it had before the event,
    whatever Stripe reports later.

    Raises EventUnknownError, NotReversibleError, ShortfallError, KeyReusedError.
    """
    if not await book.database.fetchval("SELECT true FROM events WHERE id = $1", event_id):
        raise EventUnknownError(f"No event {event_id!r} was received.", event_id=event_id)
    journals = await book.database.fetch(
        """SELECT * FROM journals WHERE event_id = $1
              AND kind IN ('purchase', 'refund', 'freeze', 'unfreeze') ORDER BY id""",
        event_id,
    )
    if not journals:
        raise NotReversibleError("This event made no purchase, refund or dispute journal.")
    for journal in journals:
        if journal["kind"] == Act.PURCHASE:
            return await reverse_journal(book, journal["id"], order, dry_run=dry_run)
    return await _reverse_money(book, journals, order, dry_run=dry_run)


async def _reverse_money(
    book: Book, journals: Sequence[Record], order: ReversalOrder, *, dry_run: bool
) -> Reversed:
    database, event_id = book.database, journals[0]["event_id"]
    entries = await database.fetch(
        "SELECT * FROM entries WHERE journal_id = ANY($1::bigint[]) ORDER BY id",
        [journal["id"] for journal in journals],
    )
    standing = _standing_before(entries)
    async with database.transaction():
        event = await store.event_of(database, event_id)
        assert event is not None, "its facts were stored with its journals"
        payment = await store.payment_of(database, event)
        row = await store.purchase(database, payment_intent=payment.payment_intent)
        assert row is not None, "its journals are a purchase's"
        origin = Origin("due", order.actor)
        backed = await lock(book, row, payment, origin, pin=(event_id, standing))
        first = await first_answer(database, order.key, event_id=event_id)
        if first is not None:
            return first
        _refuse(backed)
        header = _header(journals[0]["id"], backed, order)
        planned = _plan(backed, header, Manner(_reversing(entries), order.policy), event_id, order)
        if dry_run:
            return msgspec.structs.replace(planned, dry_run=True)
        header.answer = msgspec.to_builtins(planned)
        if not begin(backed.day, header):
            raise NotReversibleError("Nothing of what this event did can be moved back now.")
        await store_days(database, [backed.day])
        await store.keep(database, row["payment_key"], backed.parts)
        number = await store_event(database, backed.day, header, planned, order, str(standing))
    return msgspec.structs.replace(planned, number=number, journal_id=header.number)


def _refuse(backed: Backed) -> None:
    if backed.backing.closed:
        raise NotReversibleError("The whole purchase was reversed before.")
    if backed.settled:
        raise NotReversibleError("What this event did was undone by later ones.")


def _standing_before(entries: Sequence[Record]) -> Standing:
    """Return the standing of the event's refund or dispute before it, from its entries."""
    taken = sum(
        entry["amount"] * ((entry["credit"] == House.REFUNDED) - (entry["debit"] == House.REFUNDED))
        for entry in entries
    )
    thawed = sum(entry["amount"] for entry in entries if entry["kind"] == Kind.UNFREEZE)
    if taken < 0:
        return Standing.COUNTED
    return Standing.FROZEN if thawed and not taken else Standing.OUT


def _reversing(entries: Sequence[Record]) -> tuple[tuple[EntryNumber, int], ...]:
    """Return the entries that a refund made, in either direction."""
    return tuple(
        (entry["id"], entry["amount"]) for entry in entries if entry["kind"] == Kind.REFUND
    )


def _header(of_journal_id: JournalNumber, backed: Backed, order: ReversalOrder) -> JournalDraft:
    return JournalDraft(
        act=Act.REVERSAL,
        source="api",
        actor=order.actor,
        effective_at=backed.day.now,
        reason=order.reason,
        reverses_journal_id=of_journal_id,
        idempotency_key=order.key.key if order.key else None,
        request_hash=order.key.request_hash if order.key else None,
    )


def _plan(
    backed: Backed, header: JournalDraft, manner: Manner, event_id: str, order: ReversalOrder
) -> Reversed:
    """Draft the reversal; raise ShortfallError if the policy forbids a shortfall."""
    clawback, lot = backed.backing.clawback, backed.backing.lot
    taken, frozen, lapsed = clawback.requested, backed.backing.frozen, lot.lapsed
    part = draft(backed, header, manner)
    if manner.policy is Policy.REJECT and part.shortfall:
        raise ShortfallError(
            f"{part.shortfall} of {part.requested} credits were spent already.",
            requested=part.requested,
            shortfall=part.shortfall,
        )
    moved = abs(clawback.requested - taken) or abs(backed.backing.frozen - frozen)
    return _answer(part, moved, lot.lapsed - lapsed, event_id, order)


def _answer(
    part: Clawback, moved: int, lapsed: int, event_id: str, order: ReversalOrder
) -> Reversed:
    return Reversed(
        number=None,
        journal_id=None,
        of_journal_id=None,
        of_run_id=None,
        of_event_id=event_id,
        policy=str(order.policy),
        state="done",
        requested=moved,
        clawed=part.clawed,
        held=part.pending,
        shortfall=part.shortfall,
        expired=part.expired + lapsed,
    )
