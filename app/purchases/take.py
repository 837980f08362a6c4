"""Apply an event about a payment: open its lot once, and post what the payment has changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec
import structlog

from app.accounts.ties import ClaimOutcome
from app.allowance.catalogue import Catalogue
from app.allowance.origin import Origin
from app.book import Book
from app.infrastructure.db import Database
from app.purchases import store
from app.purchases.buyer import Unplaced, find_buyer, find_receiver
from app.purchases.derive import same_currency
from app.purchases.facts import CaptureFact, MoneyEvent, MoneyFact, SessionFact, object_of
from app.purchases.open import open_lot
from app.purchases.packs import Chosen, NoPack, NotOurs, Unknown, choose
from app.purchases.settle import Backed, Settled, settle
from app.purchases.store import Payment

if TYPE_CHECKING:
    from app.tables.row_types import PurchasesRow


log = structlog.get_logger(__name__)


class Outcome(StrEnum):
    """The outcome of an event, in the words of the inbox's verdicts."""

    APPLIED = "applied"
    STALE = "stale"
    IGNORED = "ignored"
    PARKED = "parked"


class DetailKind(StrEnum):
    """A detail that an event may omit and that can be fetched from Stripe."""

    SOLD = "what a session sells"
    PAYMENT = "which payment a charge is of"


class MissingDetail(msgspec.Struct, frozen=True):
    """A detail to fetch about the session or the charge of this id."""

    kind: DetailKind
    object_id: str
    at: datetime


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome and its reason; a session's customer and subscription."""

    outcome: Outcome
    reason: str
    customer_id: str | None = None
    subscription_id: str | None = None
    claim: ClaimOutcome | None = None
    refused_name: str | None = None
    remark: str | None = None
    missing: MissingDetail | None = None


async def take(book: Book, event: MoneyEvent) -> Taken:
    """Store the event's facts and apply their effects, in the caller's transaction.

    Locks the payment, then the customer, then the account.
    """
    database = book.database
    payment = await _lock(database, event)
    await store.add(database, event)
    (first, *_) = event.facts
    if isinstance(first, SessionFact):
        return await _take_session(book, await _as_captured(database, first), payment)
    if isinstance(first, CaptureFact):
        return await _take_capture(book, first, payment)
    return await _take_money(book, event, payment)


async def _as_captured(database: Database, fact: SessionFact) -> SessionFact:
    """Return the session, as paid if the capture of its money arrived before it."""
    if fact.paid or fact.mode != "payment" or fact.payment_intent is None:
        return fact
    captured = await store.capture_of(database, fact.payment_intent)
    return fact if captured is None else _paid_by(fact, captured)


def _paid_by(fact: SessionFact, captured: CaptureFact) -> SessionFact:
    return msgspec.structs.replace(fact, paid=True, amount=min(fact.amount, captured.amount))


async def _take_capture(book: Book, fact: CaptureFact, payment: Payment) -> Taken:
    """Open the lot of a session that waited for its capture, now that the money has come."""
    session = await store.session_of(book.database, fact.payment_intent)
    if session is None or session.paid or session.mode != "payment":
        reason = f"no Checkout session waits for {fact.payment_intent} to be captured"
        return Taken(outcome=Outcome.IGNORED, reason=reason)
    paid = _paid_by(session, fact)
    paid = msgspec.structs.replace(paid, event_id=fact.event_id, occurred_at=fact.occurred_at)
    return await _take_session(book, paid, payment)


async def _lock(database: Database, event: MoneyEvent) -> Payment:
    named = [fact.session_id for fact in event.facts if isinstance(fact, SessionFact)]
    payment = await store.payment_of(database, event)
    await store.lock(database, [*named, payment.payment_intent, *payment.charge_ids])
    known = payment.payment_intent
    payment = await store.payment_of(database, event)
    if payment.payment_intent != known:
        # The last holder of the charge's lock may have linked it to a payment whose session is
        # being applied: neither would see the other. Charges are locked before intents, in any
        # order.
        await store.lock(database, [payment.payment_intent])
        payment = await store.payment_of(database, event)
    return payment


async def _take_session(book: Book, fact: SessionFact, payment: Payment) -> Taken:
    """Apply a session: any session may link its customer; only a paid one of a pack opens a lot."""
    origin = Origin("webhook", "stripe", event_id=fact.event_id)
    row = await store.purchase(
        book.database, payment_intent=fact.payment_intent, session_id=fact.session_id
    )
    wanted = await _wanted(book, fact, row)
    buyer = await find_buyer(book, fact, origin)
    if isinstance(wanted, Chosen):
        receiver = await find_receiver(book, fact, buyer, origin)
        if isinstance(receiver, Unplaced):
            wanted = _parked(fact, receiver.reason)
        else:
            opened = await open_lot(book, fact, wanted, receiver, origin)
            settled = await settle(book, opened, payment, origin, fact.occurred_at)
            assumed = "; a quantity of one was assumed, since the event does not say it"
            credits = f"{wanted.credits} credits of pack {wanted.pack.name}"
            credits += assumed if wanted.assumed else ""
            wanted = Taken(outcome=Outcome.APPLIED, reason=f"{credits}; {_told(settled.backed)}")
    if row is None and fact.paid and fact.unread and fact.quantity is None:
        wanted = _unsure(wanted, fact.unread)
    return msgspec.structs.replace(
        wanted,
        customer_id=fact.customer_id,
        subscription_id=fact.subscription_id,
        claim=buyer.claim,
        refused_name=buyer.refused,
        remark=buyer.remark,
    )


def _unsure(taken: Taken, unread: str) -> Taken:
    """Ask a person to look at what was sold, unless Stripe is asked."""
    if taken.missing is not None:
        return taken
    reason = f"{taken.reason}; unknown shape: {unread}"
    return msgspec.structs.replace(taken, outcome=Outcome.PARKED, reason=reason)


async def _wanted(book: Book, fact: SessionFact, row: PurchasesRow | None) -> Chosen | Taken:
    """Return the pack to open, or the reason why none is opened."""
    if fact.mode == "setup":
        return Taken(outcome=Outcome.APPLIED, reason="a session of mode setup sells nothing")
    if row is not None:
        return Taken(outcome=Outcome.APPLIED, reason=f"opened before, by {row['event_id']}")
    _, catalogue = await book.catalogues.present(book.database)
    return _ruled(book, fact, catalogue, choose(fact, catalogue))


def _ruled(  # noqa: PLR0911 - a verdict for each thing that a session may be
    book: Book,
    fact: SessionFact,
    catalogue: Catalogue,
    chosen: Chosen | NotOurs | NoPack | Unknown,
) -> Chosen | Taken:
    """Return the pack that a payment's or subscription's session sells, or why none is opened."""
    if isinstance(chosen, NoPack):
        if fact.paid and fact.prices is None and catalogue.packs and book.stripe is not None:
            return _asked(fact, "the event does not say whether it sells a pack")
        reason = f"a session of mode {fact.mode} that sells no pack opens no lot"
        return Taken(outcome=Outcome.APPLIED, reason=reason)
    if not fact.paid:
        reason = "not paid yet: its payment's success or capture opens the lot"
        return Taken(outcome=Outcome.APPLIED, reason=reason)
    if isinstance(chosen, NotOurs):
        return Taken(outcome=Outcome.IGNORED, reason=chosen.reason)
    if isinstance(chosen, Unknown):
        return _unknown(book, fact, chosen)
    if chosen.assumed and book.stripe is not None and fact.prices is None:
        return _asked(fact, "the event does not say how many packs were bought")
    return chosen


def _asked(fact: SessionFact, reason: str) -> Taken:
    """Ask Stripe what the session sells; the credits come with its answer."""
    missing = MissingDetail(DetailKind.SOLD, fact.session_id, fact.occurred_at)
    return Taken(outcome=Outcome.PARKED, reason=reason, missing=missing)


def _unknown(book: Book, fact: SessionFact, unknown: Unknown) -> Taken:
    """Ask Stripe what was bought if a key is set, else park the event."""
    if fact.pack is not None or fact.prices is not None or book.stripe is None:
        return _parked(fact, unknown.reason)
    return _asked(fact, unknown.reason)


def _parked(fact: SessionFact, reason: str) -> Taken:
    """Park the event: something was paid and not credited, so a person must look at it."""
    log.error("purchase_parked", event_id=fact.event_id, session_id=fact.session_id, reason=reason)
    return Taken(outcome=Outcome.PARKED, reason=reason)


async def _take_money(book: Book, event: MoneyEvent, payment: Payment) -> Taken:
    origin = Origin("webhook", "stripe", event_id=event.event_id)
    if payment.payment_intent is None:
        (charge, *_) = payment.charge_ids or ("",)
        if any(getattr(fact, "names_no_intent", False) for fact in event.facts):
            reason = f"Stripe names no payment intent, and no pack's payment made charge {charge}"
            return Taken(outcome=Outcome.IGNORED, reason=reason)
        reason = (
            f"which payment charge {charge} is of was never told; kept, and counted once it is "
            "(set STRIPE_API_KEY and replay this event to ask Stripe; charge.refunded tells it too)"
        )
        missing = MissingDetail(DetailKind.PAYMENT, charge, event.occurred_at) if charge else None
        return Taken(outcome=Outcome.PARKED, reason=reason, missing=missing)
    row = await store.purchase(book.database, payment_intent=payment.payment_intent)
    if row is None:
        reason = (
            f"no pack was bought with {payment.payment_intent}: no credits move; kept, and "
            "counted should its session come"
        )
        return Taken(outcome=Outcome.IGNORED, reason=reason)
    settled = await settle(book, row, payment, origin, event.occurred_at)
    return _of_money(event, settled)


def _of_money(event: MoneyEvent, settled: Settled) -> Taken:
    backed = settled.backed
    currency = backed.row["currency"]
    foreign = [fact.currency for fact in event.facts if not same_currency(fact, currency)]
    if foreign:
        reason = f"in {foreign[0]}, and the payment was in {currency}: it does not count"
        return Taken(outcome=Outcome.PARKED, reason=reason)
    if backed.backing.closed:
        reason = "the purchase was reversed: money moves it no more"
        return Taken(outcome=Outcome.IGNORED, reason=reason)
    if not settled.moved and not any(_is_newest(fact, backed.facts) for fact in event.facts):
        return Taken(outcome=Outcome.STALE, reason=f"changes nothing: {_told(backed)}")
    return Taken(outcome=Outcome.APPLIED, reason=_told(backed))


def _is_newest(fact: MoneyFact, known: Sequence[MoneyFact]) -> bool:
    """Return whether this is the newest fact of its object."""
    same = [one for one in known if object_of(one) == object_of(fact)]
    return fact.occurred_at >= max(one.occurred_at for one in same)


def _told(backed: Backed) -> str:
    return f"{backed.owed.taken} are taken back, {backed.owed.frozen} are frozen"
