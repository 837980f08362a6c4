"""Carry out an event by the type of what it says, and rule on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from app.accounts import ties
from app.accounts.claims import Said
from app.accounts.open import Rank
from app.accounts.subscribe import Taken, delete_customer, take_fact
from app.accounts.ties import Claimed, ClaimOutcome
from app.allowance.origin import Origin
from app.book import Book
from app.purchases.facts import MoneyEvent
from app.purchases.take import take
from app.subscriptions import store
from app.subscriptions.facts import Fact, FactKind
from app.subscriptions.store import Outcome, OwnerConflict, Settled
from app.webhooks import questions
from app.webhooks.customer_names import latest_name
from app.webhooks.delivery import Delivery, url_to_ask
from app.webhooks.inbox import Ruling, Verdict
from app.webhooks.translate import CustomerFact, Parked
from statemachine import State

PRICES_SHOWN_MAX: Final = 5


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """The ruling, what the event was about, and the question to Stripe that it raises."""

    ruling: Ruling
    subscription_id: str | None = None
    customer_id: str | None = None
    question: bytes | None = None


async def apply(book: Book, delivery: Delivery) -> Applied:
    """Carry out what the event says, in the caller's transaction; it is not ruled at sight."""
    match delivery.says:
        case MoneyEvent() as event:
            return await _take_money(book, delivery, event)
        case CustomerFact() as fact:
            ruling = await _take_customer(book, fact)
            return Applied(ruling=ruling, customer_id=fact.customer_id)
        case Fact() as fact:
            return await _take(book, delivery, fact)
        case Parked(reason=reason):
            parked = Applied(ruling=Ruling(Verdict.PARKED, reason))
            return _asking(book, delivery, parked, [reason])
        case _:
            raise AssertionError(f"{delivery.envelope.id} is ruled at sight")


def _asking(book: Book, delivery: Delivery, applied: Applied, unread: Sequence[str]) -> Applied:
    """Ask Stripe for what nobody can read of the event, if a key is set; else it stays as it is."""
    url = url_to_ask(book, delivery)
    if url is None or not unread:
        return applied
    question = questions.object_question(url, delivery.envelope)
    ruling = Ruling(Verdict.APPLIED, f"Stripe is asked, since {_joined(unread)}")
    return msgspec.structs.replace(applied, ruling=ruling, question=question)


def rule_name(outcome: ClaimOutcome | None, refused: str | None) -> Ruling | None:
    """Return the verdict's change by the account that an event names; None if it changes nothing.

    A name that no account can have is parked, so that somebody is told: the rest of the event
    counts all the same.
    """
    if refused is not None:
        return Ruling(Verdict.PARKED, refused)
    if outcome is not None and outcome.claimed in (Claimed.INVALID, Claimed.OWES):
        return Ruling(Verdict.PARKED, outcome.reason)
    return None


async def _take_money(book: Book, delivery: Delivery, event: MoneyEvent) -> Applied:
    """A name that cannot be one parks the event, for someone to look; what was paid for stands."""
    taken = await take(book, event)
    ruling, question = Ruling(Verdict(str(taken.outcome)), taken.reason), None
    if taken.missing is not None and book.stripe is not None:
        ruling = Ruling(Verdict.APPLIED, f"Stripe is asked about {taken.missing.object_id}")
        question = questions.money_question(taken.missing, delivery.envelope)
    parked = rule_name(taken.claim, taken.refused_name)
    told = taken.claim.reason if taken.claim else taken.remark
    if parked is not None:
        ruling = Ruling(Verdict.PARKED, _joined([ruling.reason, parked.reason]))
    elif told is not None:
        ruling = Ruling(ruling.verdict, _joined([ruling.reason, told]))
    return Applied(
        ruling=ruling,
        subscription_id=taken.subscription_id,
        customer_id=taken.customer_id,
        question=question,
    )


async def _take_customer(book: Book, fact: CustomerFact) -> Ruling:
    if fact.deleted:
        count = await delete_customer(book, fact.customer_id, fact.event_id, fact.occurred_at)
        return Ruling(Verdict.APPLIED, f"{fact.customer_id} is gone; {count} subscriptions end")
    name = fact.account_hint or ""
    customer = await ties.lock(book, fact.customer_id, name)
    said = Said(
        rank=Rank.CUSTOMER_METADATA,
        object_id=fact.customer_id,
        external_id=name,
        event_id=fact.event_id,
        occurred_at=fact.occurred_at,
        latest=await latest_name(book, customer, fact),
    )
    origin = Origin("webhook", "stripe", event_id=fact.event_id)
    outcome = await ties.claim(book, customer, said, origin)
    if ruling := rule_name(outcome, fact.hint_refused):
        return ruling
    verdict = Verdict.IGNORED if outcome.account is None else Verdict.APPLIED
    return Ruling(verdict, outcome.reason)


async def _take(book: Book, delivery: Delivery, fact: Fact) -> Applied:
    unread = list(fact.unread.values())
    fact = msgspec.structs.replace(fact, reading=delivery.reading)
    if not fact.customer_id:
        known = await store.customer_of(book.database, fact.subscription_id)
        if known is None:
            return await _keep_of_nobody(book, delivery, fact)
        fact = msgspec.structs.replace(fact, customer_id=known)
    taken = await take_fact(book, fact)
    applied = Applied(
        ruling=Ruling(Verdict.PARKED, ""),
        subscription_id=fact.subscription_id,
        customer_id=fact.customer_id,
    )
    if isinstance(taken, OwnerConflict):
        ruling = Ruling(Verdict.PARKED, f"the subscription belongs to customer {taken.customer_id}")
        return msgspec.structs.replace(applied, ruling=ruling)
    _, catalogue = await book.catalogues.present(book.database)
    ruling = ruling_of(fact, taken, park_unknown=catalogue.stripe.park_unknown)
    applied = msgspec.structs.replace(applied, ruling=ruling)
    if taken.settled.derived.tied and book.stripe is not None:
        last = taken.settled.derived.last
        question = questions.tie_question(last.subscription_id, last.occurred_at, delivery.envelope)
        return msgspec.structs.replace(applied, question=question)
    return _asking(book, delivery, applied, unread if _matters(taken.settled) else [])


async def _keep_of_nobody(book: Book, delivery: Delivery, fact: Fact) -> Applied:
    """Keep the fact of a subscription whose customer is not known yet."""
    await store.keep(book.database, fact)
    unread = list(fact.unread.values())
    if fact.kind is FactKind.DELETED:
        ruling = Ruling(Verdict.APPLIED, "kept: its end counts once its beginning is told")
    else:
        ruling = Ruling(Verdict.PARKED, f"unknown shape: {_joined(unread)}")
    return _asking(
        book, delivery, Applied(ruling=ruling, subscription_id=fact.subscription_id), unread
    )


def ruling_of(fact: Fact, taken: Taken, *, park_unknown: bool = True) -> Ruling:
    """The verdict and its reason."""
    state = _of_state(fact, taken.settled, park_unknown=park_unknown)
    # A stranger's subscription ties nothing, whatever its metadata says.
    refused = fact.hint_refused if taken.settled.derived.ever_known else None
    named = rule_name(taken.claim, refused)
    unread = list(fact.unread.values()) if _matters(taken.settled) else []
    reasons = [one.reason for one in (state, named) if one and one.verdict is Verdict.PARKED]
    reasons += [f"unknown shape: {_joined(unread)}"] if unread else []
    if reasons:
        return Ruling(Verdict.PARKED, _joined(reasons))
    outranked = taken.claim is not None and taken.claim.claimed is Claimed.OUTRANKED
    told = taken.claim.reason if taken.claim and outranked else None
    return Ruling(state.verdict, _joined([state.reason, told]))


def _matters(settled: Settled) -> bool:
    """Return whether what cannot be read of the event could still give something."""
    return settled.outcome is not Outcome.STALE and settled.derived.state is not State.CANCELED


def _of_state(fact: Fact, settled: Settled, *, park_unknown: bool) -> Ruling:
    derived = settled.derived
    if settled.outcome is Outcome.STALE:
        return Ruling(Verdict.STALE, f"older than {derived.last.event_id}, and changes nothing")
    newest = derived.snapshot is not None and derived.snapshot.event_id == fact.event_id
    # What has ended can give nothing any more: nobody need look at its price.
    if derived.prices_unknown and newest and derived.state is not State.CANCELED:
        verdict = Verdict.PARKED if park_unknown or derived.ever_known else Verdict.IGNORED
        return Ruling(verdict, f"no price is in the catalogue: {_shown(fact.prices)}")
    if derived.tied:
        return Ruling(Verdict.APPLIED, "tie")
    return Ruling(Verdict.APPLIED, f"{fact.kind} leaves it {derived.state}")


def _shown(prices: Sequence[str]) -> str:
    told = ", ".join(prices[:PRICES_SHOWN_MAX]) or "none"
    more = len(prices) - PRICES_SHOWN_MAX
    return f"{told} and {more} more" if more > 0 else told


def _joined(reasons: Sequence[str | None]) -> str:
    return "; ".join(dict.fromkeys(reason for reason in reasons if reason))
