"""Stripe's objects read in every shape from API version 2016 to 2026-09; nothing is guessed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from app.accounts.claims import is_account_id

ID_CHARS_MAX: Final = 255
ITEMS_MAX: Final = 1_000  # Stripe allows 20, and more on request
UNIX_SECONDS_MAX: Final = 2**32 - 1  # the year 2106: grace and trials can be added without overflow
INTERVAL_COUNT_MAX: Final = 1_000
SHOWN_CHARS_MAX: Final = 60

_INTERVALS: Final = frozenset({"day", "week", "month", "year"})

JsonObject = Mapping[str, object]


class ShapeError(Exception):
    """The object is not what any API version that we know sends; says where and what."""


def shown(value: object) -> str:
    """The value for a reason: short, and escaped, since PostgreSQL's text holds no NUL."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    if isinstance(value, str):
        return ascii(value if len(value) <= SHOWN_CHARS_MAX else value[:SHOWN_CHARS_MAX] + "...")
    # Python refuses to write an int of over 4,300 digits.
    return "a huge number" if type(value) is int and abs(value) >= 2**64 else str(value)


def text_of(value: object, where: str) -> str:
    """1 to 255 printable characters: an id, a type, a version."""
    if isinstance(value, str) and 1 <= len(value) <= ID_CHARS_MAX and value.isprintable():
        return value
    raise ShapeError(f"{where} is {shown(value)}, no printable text")


def instant_of(value: object, where: str) -> datetime:
    """Unix seconds; bool is refused though Python calls it an int."""
    if type(value) is int and 0 < value <= UNIX_SECONDS_MAX:
        return datetime.fromtimestamp(value, UTC)
    raise ShapeError(f"{where} is {shown(value)}, no time in Unix seconds")


def object_of(value: object, where: str) -> dict[str, object]:
    """A JSON object."""
    if isinstance(value, dict):
        return value
    raise ShapeError(f"{where} is {shown(value)}, no object")


def id_of(value: object, where: str) -> str:
    """The id behind a link, which Stripe sends as the id or, expanded, as the object."""
    return text_of(value.get("id") if isinstance(value, dict) else value, where)


def items_of(subscription: JsonObject) -> list[dict[str, object]]:
    """The subscription's items; none in the oldest shapes, which have but a plan."""
    if subscription.get("items") is None:
        return []
    listed = object_of(subscription["items"], "items")
    data = listed.get("data")
    if not isinstance(data, list) or len(data) > ITEMS_MAX:
        raise ShapeError(f"items.data is no list of at most {ITEMS_MAX}")
    if listed.get("has_more") is True:
        raise ShapeError("items.has_more: the event does not hold all items")
    return [object_of(item, f"items.data[{at}]") for at, item in enumerate(data)]


def prices_of(subscription: JsonObject) -> tuple[str, ...]:
    """Price ids of what is bought, in Stripe's order; a plan's id is a price's since 2020-08-27.

    An item of quantity 0 is kept on a subscription and buys nothing; a metered one has no quantity.
    """
    items = items_of(subscription)
    if items:
        return tuple(
            id_of(_price_of(item), f"items.data[{at}].price")
            for at, item in enumerate(items)
            if _is_bought(item, f"items.data[{at}].quantity")
        )
    plan = subscription.get("plan")
    if plan is None or not _is_bought(subscription, "quantity"):
        return ()
    return (id_of(plan, "plan"),)


def _is_bought(bearer: JsonObject, where: str) -> bool:
    quantity = bearer.get("quantity")
    if quantity is None or (type(quantity) is int and quantity >= 0):
        return quantity != 0
    raise ShapeError(f"{where} is {shown(quantity)}, no quantity")


def _price_of(item: JsonObject) -> object:
    price = item.get("price")
    return item.get("plan") if price is None else price


def period_end_of(subscription: JsonObject) -> datetime | None:
    """The earliest end among the items, else the subscription's own; None where neither is told.

    From 2025-03-31.basil items may have periods of their own. The field that this replaces was
    the instant at which the next invoice is made, and that is the earliest of them.
    """
    ends = [
        instant_of(item["current_period_end"], f"items.data[{at}].current_period_end")
        for at, item in enumerate(items_of(subscription))
        if item.get("current_period_end") is not None
    ]
    if ends:
        return min(ends)
    own = subscription.get("current_period_end")
    return None if own is None else instant_of(own, "current_period_end")


def billing_cycle_of(subscription: JsonObject) -> str | None:
    """ "month" or "3 month", of the first item that tells; None where nothing is told.

    It decides nothing, so that a new interval is left out and does not park the event.
    """
    bearers: list[object] = [subscription.get("plan")]
    for item in reversed(items_of(subscription)):
        price = item.get("price")
        recurring = price.get("recurring") if isinstance(price, dict) else None
        bearers += [item.get("plan"), recurring]
    return next((cycle for one in reversed(bearers) if (cycle := _cycle(one))), None)


def _cycle(bearer: object) -> str | None:
    if not isinstance(bearer, dict):
        return None
    interval, count = bearer.get("interval"), bearer.get("interval_count", 1)
    if not isinstance(interval, str) or interval not in _INTERVALS:
        return None
    if type(count) is not int or not 1 <= count <= INTERVAL_COUNT_MAX:
        return None
    return interval if count == 1 else f"{count} {interval}"


def cancels_at_period_end(subscription: JsonObject) -> bool:
    """Return whether it ends with the running period."""
    value = subscription.get("cancel_at_period_end")
    if value is None or isinstance(value, bool):
        return bool(value)
    raise ShapeError(f"cancel_at_period_end is {shown(value)}, neither true nor false")


def cancel_at_of(subscription: JsonObject) -> datetime | None:
    """When it is scheduled to end; flexible billing says it by this alone."""
    value = subscription.get("cancel_at")
    return None if value is None else instant_of(value, "cancel_at")


def latest_invoice_of(subscription: JsonObject) -> str | None:
    """The invoice that decides whether it is past due."""
    value = subscription.get("latest_invoice")
    return None if value is None else id_of(value, "latest_invoice")


def made_at_of(thing: JsonObject) -> datetime | None:
    """When Stripe made the object; None if that is not told in a way that is understood."""
    try:
        return instant_of(thing.get("created"), "created")
    except ShapeError:
        return None


class AccountHint(msgspec.Struct, frozen=True):
    """The application's id in the metadata; ``refused`` tells of one that no account could have."""

    account_id: str | None = None
    refused: str | None = None


def account_hint_of(bearer: JsonObject, keys: Sequence[str]) -> AccountHint:
    """The application's id under the first of these metadata keys that names an account."""
    if bearer.get("metadata") is None:
        return AccountHint()
    metadata = object_of(bearer["metadata"], "metadata")
    said = [(key, metadata[key]) for key in keys if metadata.get(key) not in (None, "")]
    for _, value in said:
        if isinstance(value, str) and is_account_id(value):
            return AccountHint(value)
    refused = [f"{key} {shown(value)} in the metadata is no account id" for key, value in said]
    return AccountHint(refused=refused[0] if refused else None)


def invoice_subscription_of(invoice: JsonObject) -> str | None:
    """The subscription that the invoice is for; None where Stripe says that it is for none.

    ``parent`` since 2025-03-31.basil, ``subscription`` before it. Without either field it is a
    shape that we do not know.
    """
    if "parent" not in invoice and "subscription" not in invoice:
        raise ShapeError("the invoice has neither parent nor subscription")
    parent = object_of(invoice.get("parent") or {}, "parent")
    details = object_of(parent.get("subscription_details") or {}, "parent.subscription_details")
    link = details.get("subscription")
    if link is None:
        link = invoice.get("subscription")
    return None if link is None else id_of(link, "the invoice's subscription")


def is_sent(invoice: JsonObject) -> bool:
    """Return whether its customer pays it by a due date; the field was ``billing`` until
    2019-10-17.

    Such a subscription is past due once that date has passed, and a snapshot tells it.
    """
    return invoice.get("collection_method", invoice.get("billing")) == "send_invoice"


def invoice_made_at_of(invoice: JsonObject) -> datetime | None:
    """When the invoice was made; ``created`` was called ``date`` until 2019-03-14."""
    made_at = invoice.get("created", invoice.get("date"))
    return None if made_at is None else instant_of(made_at, "the invoice's created")
