"""Checkout sessions, refunds, charges and disputes of every API version; nothing is guessed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final

import msgspec

from app.accounts.hosted_pages import PACK_KEY, QUANTITY_KEY
from app.purchases.facts import (
    MONEY_MAX,
    CaptureFact,
    ChargeFact,
    DisputeFact,
    DisputeStatus,
    MoneyEvent,
    MoneyFact,
    RefundFact,
    RefundStatus,
    SessionFact,
)
from app.webhooks import shapes
from app.webhooks.shapes import ShapeError, id_of, instant_of, object_of, shown, text_of

QUANTITY_MAX: Final = 1_000_000
REFUNDS_MAX: Final = 100  # Stripe sends the newest 10

_PAID: Final = MappingProxyType({"paid": True, "no_payment_required": True, "unpaid": False})
_MODES: Final = frozenset({"payment", "subscription", "setup"})
_MOVES_NOTHING: Final = MappingProxyType(
    {
        "checkout.session.async_payment_failed": "its payment failed: nothing was bought",
        "checkout.session.expired": "nobody paid it: nothing was bought",
    }
)


class NothingBought(msgspec.Struct, frozen=True):
    """The event tells of money that no pack's can be."""

    reason: str


class Head(msgspec.Struct, frozen=True):
    """The parts of an event that each of its facts repeats."""

    event_id: str
    occurred_at: datetime


def read(
    kind: str, event: dict[str, object], keys: Sequence[str]
) -> MoneyEvent | NothingBought | None:
    """Return the event's fact about a payment; None if it is of another type. Raises ShapeError."""
    if kind in _MOVES_NOTHING:
        return NothingBought(_MOVES_NOTHING[kind])
    reader = _reader_of(kind)
    if reader is None:
        return None
    form, facts_of = reader
    head = Head(text_of(event.get("id"), "id"), instant_of(event.get("created"), "created"))
    thing = object_of(object_of(event.get("data"), "data").get("object"), "data.object")
    if thing.get("object", form) != form:
        raise ShapeError(f"data.object.object is {shown(thing['object'])}, not {form}")
    read_as = facts_of(head, kind, thing)
    if form == "checkout.session" and not isinstance(read_as, NothingBought):
        read_as = _named(read_as, thing, keys)
    if isinstance(read_as, NothingBought):
        return read_as
    return MoneyEvent(event_id=head.event_id, occurred_at=head.occurred_at, facts=read_as)


def reads(kind: str) -> bool:
    """Return whether events of this kind may move a purchase."""
    return _reader_of(kind) is not None


Read = tuple[MoneyFact, ...] | NothingBought
Reader = Callable[[Head, str, dict[str, object]], Read]


def _reader_of(kind: str) -> tuple[str, Reader] | None:
    """The object that such an event carries, and how it is read; others to come are alike."""
    if kind in ("checkout.session.completed", "checkout.session.async_payment_succeeded"):
        return "checkout.session", _session
    if kind.startswith(("refund.", "charge.refund.")):
        return "refund", _refund_event
    if kind == "charge.refunded":
        return "charge", _charge
    if kind == "charge.captured":
        return "charge", _captured
    if kind == "payment_intent.succeeded":
        return "payment_intent", _succeeded
    return ("dispute", _dispute) if kind.startswith("charge.dispute.") else None


def _session(head: Head, kind: str, session: dict[str, object]) -> Read:
    mode = _mode_of(session)
    paid = False
    if mode != "setup":
        # A pack may be sold beside a subscription, whose session is paid by its first invoice.
        told = mode == "payment" or session.get("payment_status") is not None
        paid = kind.endswith("async_payment_succeeded") or (told and _paid(session))
    intent = _link(session, "payment_intent")
    if mode == "payment" and paid and session.get("amount_total") is None:
        raise ShapeError("amount_total is missing from a session that is paid")
    prices, unread = None, None
    try:
        prices = _prices_of(session)
    except ShapeError as error:  # the metadata may tell what was bought
        unread = str(error)
    fact = SessionFact(
        event_id=head.event_id,
        occurred_at=head.occurred_at,
        session_id=text_of(session.get("id"), "data.object.id"),
        mode=mode,
        paid=paid,
        payment_intent=intent,
        customer_id=_link(session, "customer"),
        client_reference_id=_text(session, "client_reference_id"),
        by_payment_link=session.get("payment_link") is not None,
        subscription_id=_link(session, "subscription"),
        amount=_money(session.get("amount_total") or 0, "amount_total"),
        currency=_currency(session),
        pack=_pack_of(session),
        quantity=_quantity_of(session),
        prices=prices,
        unread=unread,
    )
    if mode == "payment" and paid and fact.amount and intent is None:
        raise ShapeError("a session that was paid names no payment_intent")
    return (fact,)


def _named(
    facts: tuple[MoneyFact, ...], session: dict[str, object], keys: Sequence[str]
) -> tuple[MoneyFact, ...]:
    """The session's fact with the account that it names, and when it was made."""
    hint = shapes.account_hint_of(session, keys)
    made_at = shapes.made_at_of(session)
    return tuple(
        msgspec.structs.replace(
            fact, account_hint=hint.account_id, hint_refused=hint.refused, made_at=made_at
        )
        if isinstance(fact, SessionFact)
        else fact
        for fact in facts
    )


def _mode_of(session: dict[str, object]) -> str:
    """Return the session's ``mode``; before 2019-11 its links tell it."""
    mode = session.get("mode")
    if mode is None:
        links = ("subscription", "payment_intent", "setup_intent")
        linked = [link for link in links if session.get(link) is not None]
        mode = {"payment_intent": "payment", "setup_intent": "setup"}.get(*linked[:1] or [""]) or (
            "subscription" if linked else None
        )
    if isinstance(mode, str) and mode in _MODES:
        return mode
    raise ShapeError(f"mode is {shown(mode)}")


def _paid(session: dict[str, object]) -> bool:
    status = session.get("payment_status")
    if isinstance(status, str) and status in _PAID:
        return _PAID[status]
    raise ShapeError(f"payment_status is {shown(status)}")


def _pack_of(session: dict[str, object]) -> str | None:
    metadata = object_of(session.get("metadata") or {}, "metadata")
    return _text(metadata, PACK_KEY)


def _quantity_of(session: dict[str, object]) -> int | None:
    """Return how many packs a server's own session sells; a payment link's buyer may have changed
    it.
    """
    value = object_of(session.get("metadata") or {}, "metadata").get(QUANTITY_KEY)
    if session.get("payment_link") is not None or not isinstance(value, str):
        return None
    if value.isascii() and value.isdigit() and 0 < int(value) <= QUANTITY_MAX:
        return int(value)
    return None


def _prices_of(session: dict[str, object]) -> tuple[tuple[str, int], ...] | None:
    if session.get("line_items") is None:
        return None
    return prices_of_items(object_of(session["line_items"], "line_items"))


def prices_of_items(listed: dict[str, object]) -> tuple[tuple[str, int], ...]:
    """(price, quantity) of a list of line items; raises ShapeError."""
    data = listed.get("data")
    if not isinstance(data, list) or len(data) > shapes.ITEMS_MAX or listed.get("has_more"):
        raise ShapeError(f"line_items is no whole list of at most {shapes.ITEMS_MAX}")
    sold = [_sold(object_of(item, "line_items.data[]")) for item in data]
    return tuple((price, quantity) for price, quantity in sold if quantity)


def _sold(item: dict[str, object]) -> tuple[str, int]:
    """The price of a line and how many of it; a metered price has no quantity."""
    price = item.get("price")
    price = item.get("plan") if price is None else price
    quantity = 1 if item.get("quantity") is None else item["quantity"]
    if type(quantity) is not int or not 0 <= quantity <= QUANTITY_MAX:
        raise ShapeError(f"a line item's quantity is {shown(quantity)}")
    return id_of(price, "a line item's price"), quantity


def _captured(head: Head, _: str, charge: dict[str, object]) -> Read:
    """Only a charge with manual capture has such an event."""
    intent = _intent_of(charge)
    if intent is None:
        return NothingBought("a charge of no payment intent: no Checkout session was paid with it")
    amount = charge.get("amount_captured", charge.get("amount"))
    return (_capture(head, intent, text_of(charge.get("id"), "data.object.id"), amount),)


def _succeeded(head: Head, _: str, intent: dict[str, object]) -> Read:
    number = text_of(intent.get("id"), "data.object.id")
    # Stripe always tells the amount received; other programs that play Stripe leave it out.
    amount = intent.get("amount_received", intent.get("amount"))
    return (_capture(head, number, _link(intent, "latest_charge"), amount),)


def _capture(head: Head, intent: str, charge_id: str | None, amount: object) -> CaptureFact:
    return CaptureFact(
        event_id=head.event_id,
        occurred_at=head.occurred_at,
        payment_intent=intent,
        charge_id=charge_id,
        amount=_money(amount, "the captured amount"),
    )


def _refund_event(head: Head, _: str, refund: dict[str, object]) -> Read:
    if _of_no_intent(refund) and refund.get("charge") is None:
        return NothingBought("a refund of no payment intent: no Checkout session was paid with it")
    return (_refund(head, refund, None, None),)


def _refund(
    head: Head, refund: dict[str, object], charge_id: str | None, intent: str | None
) -> RefundFact:
    charge_id = _link(refund, "charge") or charge_id
    intent = _intent_of(refund) or intent
    if charge_id is None and intent is None:
        raise ShapeError("the refund names neither charge nor payment_intent")
    return RefundFact(
        event_id=head.event_id,
        occurred_at=head.occurred_at,
        refund_id=text_of(refund.get("id"), "the refund's id"),
        made_at=instant_of(refund.get("created"), "the refund's created"),
        payment_intent=intent,
        charge_id=charge_id,
        amount=_money(refund.get("amount"), "the refund's amount"),
        currency=_currency(refund),
        status=_refund_status(refund),
        names_no_intent=intent is None and _of_no_intent(refund),
    )


def _refund_status(refund: dict[str, object]) -> RefundStatus:
    """The oldest refunds have none: they were made, and could not fail."""
    status = refund.get("status")
    if status is None:
        return RefundStatus.SUCCEEDED
    if status in tuple(RefundStatus):
        return RefundStatus(str(status))
    raise ShapeError(f"a refund's status is {shown(status)}")


def _charge(head: Head, _: str, charge: dict[str, object]) -> Read:
    """Until 2022-11-15 the charge carried its refunds."""
    intent = _intent_of(charge)
    if intent is None:
        return NothingBought("a charge of no payment intent: no Checkout session was paid with it")
    number = text_of(charge.get("id"), "data.object.id")
    cumulative = ChargeFact(
        event_id=head.event_id,
        occurred_at=head.occurred_at,
        charge_id=number,
        payment_intent=intent,
        amount_refunded=_money(charge.get("amount_refunded"), "amount_refunded"),
        currency=_currency(charge),
    )
    data = object_of(charge.get("refunds") or {}, "refunds").get("data", [])
    if not isinstance(data, list) or len(data) > REFUNDS_MAX:
        raise ShapeError(f"refunds.data is no list of at most {REFUNDS_MAX}")
    carried = [_refund(head, object_of(one, "refunds.data[]"), number, intent) for one in data]
    once = {refund.refund_id: refund for refund in carried}
    return (cumulative, *once.values())


def _dispute(head: Head, _: str, dispute: dict[str, object]) -> Read:
    if _of_no_intent(dispute) and dispute.get("charge") is None:
        return NothingBought("a dispute of no payment intent: no Checkout session was paid with it")
    charge_id, intent = _link(dispute, "charge"), _intent_of(dispute)
    if charge_id is None and intent is None:
        raise ShapeError("the dispute names neither charge nor payment_intent")
    status = dispute.get("status")
    if status not in tuple(DisputeStatus):
        raise ShapeError(f"the dispute's status is {shown(status)}")
    fact = DisputeFact(
        event_id=head.event_id,
        occurred_at=head.occurred_at,
        dispute_id=text_of(dispute.get("id"), "data.object.id"),
        payment_intent=intent,
        charge_id=charge_id,
        amount=_money(dispute.get("amount"), "the dispute's amount"),
        currency=_currency(dispute),
        status=DisputeStatus(str(status)),
        names_no_intent=_of_no_intent(dispute),
    )
    return (fact,)


def _intent_of(thing: dict[str, object]) -> str | None:
    """The payment intent that it names, else its charge where that is expanded."""
    intent, charge = _link(thing, "payment_intent"), thing.get("charge")
    if intent is None and isinstance(charge, dict):
        intent = _link(charge, "payment_intent")
    return intent


def _of_no_intent(thing: dict[str, object]) -> bool:
    """Return whether it says that it has none; old shapes say nothing of it."""
    return "payment_intent" in thing and _intent_of(thing) is None


def _link(thing: dict[str, object], name: str) -> str | None:
    return None if thing.get(name) is None else id_of(thing[name], name)


def _text(thing: dict[str, object], name: str) -> str | None:
    return None if thing.get(name) in (None, "") else text_of(thing[name], name)


def _money(value: object, where: str) -> int:
    if type(value) is int and 0 <= value <= MONEY_MAX:
        return value
    raise ShapeError(f"{where} is {shown(value)}, no amount from 0 to {MONEY_MAX}")


def _currency(thing: dict[str, object]) -> str | None:
    currency = _text(thing, "currency")
    return currency.lower() if currency else None
