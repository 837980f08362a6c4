"""Carry out an event by the type of what it says, and rule on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from app.accounts import ties
from app.accounts.open import Rank
from app.accounts.subscribe import Taken, delete_customer, take_fact
from app.accounts.ties import Claimed, ClaimOutcome
from app.allowance.day import Origin
from app.book import Book
from app.purchases.facts import MoneyEvent
from app.purchases.take import MissingDetail, take
from app.subscriptions.facts import Fact
from app.subscriptions.store import Outcome, OwnerConflict, Settled
from app.webhooks.delivery import Delivery
from app.webhooks.inbox import Ruling, Verdict
from app.webhooks.shapes import NOT_ALL_ITEMS
from app.webhooks.translate import CustomerFact
from statemachine import State

PRICES_SHOWN_MAX: Final = 5


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """The ruling, and what the event was about.

    Stripe is to be asked of two things: ``tie`` is the last fact of a subscription of which nothing
    tells how it ended that second, ``missing`` a detail that a session or a dispute leaves out.
    """

    ruling: Ruling
    subscription_id: str | None = None
    customer_id: str | None = None
    tie: Fact | None = None
    missing: MissingDetail | None = None


async def apply(book: Book, delivery: Delivery) -> Applied:
    """Carry out what the event says, in the caller's transaction; it is not ruled at sight."""
    match delivery.says:
        case MoneyEvent() as event:
            return await _take_money(book, event)
        case CustomerFact() as fact:
            ruling = await _take_customer(book, fact)
            return Applied(ruling=ruling, customer_id=fact.customer_id)
        case Fact() as fact:
            return await _take(book, msgspec.structs.replace(fact, reading=delivery.reading))
        case _:
            raise AssertionError(f"{delivery.envelope.id} is ruled at sight")


def rule_name(outcome: ClaimOutcome | None, refused: str | None) -> Ruling | None:
    """What the account that an event names makes of its verdict; None if nothing.

    A name that no account can have is parked, so that somebody is told: the rest of the event
    counts all the same.
    """
    if refused is not None:
        return Ruling(Verdict.PARKED, refused)
    if outcome is not None and outcome.claimed in (Claimed.INVALID, Claimed.OWES):
        return Ruling(Verdict.PARKED, outcome.reason)
    return None


async def _take_money(book: Book, event: MoneyEvent) -> Applied:
    """A name that cannot be one parks the event, for someone to look; what was paid for stands."""
    taken = await take(book, event)
    ruling = Ruling(Verdict(str(taken.outcome)), taken.reason)
    missing = taken.missing if book.stripe is not None else None
    if missing is not None:
        ruling = Ruling(Verdict.APPLIED, f"Stripe is asked about {missing.object_id}")
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
        missing=missing,
    )


async def _take_customer(book: Book, fact: CustomerFact) -> Ruling:
    if fact.deleted:
        count = await delete_customer(book, fact.customer_id, fact.event_id, fact.occurred_at)
        return Ruling(Verdict.APPLIED, f"{fact.customer_id} is gone; {count} subscriptions end")
    outcome = await ties.claim(
        book,
        fact.customer_id,
        fact.account_hint or "",
        Rank.CUSTOMER_METADATA,
        Origin("webhook", "stripe", event_id=fact.event_id),
        object_id=fact.customer_id,
        event_id=fact.event_id,
        occurred_at=fact.occurred_at,
    )
    if ruling := rule_name(outcome, fact.hint_refused):
        return ruling
    verdict = Verdict.IGNORED if outcome.account is None else Verdict.APPLIED
    return Ruling(verdict, outcome.reason)


async def _take(book: Book, fact: Fact) -> Applied:
    taken = await take_fact(book, fact)
    tie = None
    if isinstance(taken, OwnerConflict):
        ruling = Ruling(Verdict.PARKED, f"the subscription belongs to customer {taken.customer_id}")
    else:
        _, catalogue = await book.catalogues.present(book.database)
        ruling = ruling_of(fact, taken, park_unknown=catalogue.stripe.park_unknown)
        # Stripe's own answer has all items: what is unread in that, nobody can tell.
        asks = taken.settled.derived.tied or any(NOT_ALL_ITEMS in one for one in fact.unread)
        if asks and book.stripe is not None:
            tie = taken.settled.derived.last
            if fact.unread:
                ruling = Ruling(Verdict.APPLIED, f"Stripe is asked, since {_joined(fact.unread)}")
    return Applied(
        ruling=ruling, subscription_id=fact.subscription_id, customer_id=fact.customer_id, tie=tie
    )


def ruling_of(fact: Fact, taken: Taken, *, park_unknown: bool = True) -> Ruling:
    """The verdict and its reason."""
    state = _of_state(fact, taken.settled, park_unknown=park_unknown)
    # A stranger's subscription ties nothing, whatever its metadata says.
    refused = fact.hint_refused if taken.settled.derived.ever_known else None
    named = rule_name(taken.claim, refused)
    unread = Ruling(Verdict.PARKED, f"unknown shape: {_joined(fact.unread)}")
    found = (state, named, unread if fact.unread else None)
    parked = [one.reason for one in found if one is not None and one.verdict is Verdict.PARKED]
    if parked:
        return Ruling(Verdict.PARKED, _joined(parked))
    outranked = taken.claim is not None and taken.claim.claimed is Claimed.OUTRANKED
    told = taken.claim.reason if taken.claim and outranked else None
    return Ruling(state.verdict, _joined([state.reason, told]))


def _of_state(fact: Fact, settled: Settled, *, park_unknown: bool) -> Ruling:
    derived = settled.derived
    if settled.outcome is Outcome.STALE:
        return Ruling(Verdict.STALE, f"older than {derived.last.event_id}, and changes nothing")
    newest = derived.snapshot is not None and derived.snapshot.event_id == fact.event_id
    # What has ended can give nothing any more: nobody need look at its price.
    if derived.prices_unknown and newest and derived.state is not State.CANCELED:
        verdict = Verdict.PARKED if park_unknown or derived.ever_known else Verdict.IGNORED
        return Ruling(verdict, f"no price is in the catalogue: {_shown(fact.prices or ())}")
    if derived.tied:
        return Ruling(Verdict.APPLIED, "tie")
    return Ruling(Verdict.APPLIED, f"{fact.kind} leaves it {derived.state}")


def _shown(prices: Sequence[str]) -> str:
    told = ", ".join(prices[:PRICES_SHOWN_MAX]) or "none"
    more = len(prices) - PRICES_SHOWN_MAX
    return f"{told} and {more} more" if more > 0 else told


def _joined(reasons: Sequence[str | None]) -> str:
    return "; ".join(reason for reason in reasons if reason)
