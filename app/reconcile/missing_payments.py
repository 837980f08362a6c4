"""Payments that Stripe tells of and no event told us: packs that were paid, refunds, disputes.

Stripe lists no event that was lost after our 200. So its Checkout sessions, refunds and disputes
of a window are listed themselves, a page in a call, and compared with the facts that are kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from app.allowance.catalogue import ACCOUNT_KEY, Catalogue
from app.infrastructure.db import Database
from app.purchases.facts import DisputeFact, MoneyEvent, MoneyFact, RefundFact, SessionFact
from app.purchases.packs import Chosen, choose
from app.reconcile.drift import ID_PREFIX
from app.webhooks import money_shapes
from app.webhooks.shapes import ShapeError

if TYPE_CHECKING:
    from app.stripe_client import StripeApi

PAGES_MAX: Final = 200  # of one list: 20,000 objects, oldest left out

Json = dict[str, Any]

# In this order: a session opens the purchase that refunds and disputes are of.
_LISTS: Final[tuple[tuple[str, str, Mapping[str, object]], ...]] = (
    (
        "checkout.session.completed",
        "/v1/checkout/sessions",
        {"status": "complete", "expand": ["data.line_items"]},
    ),
    ("refund.updated", "/v1/refunds", {}),
    ("charge.dispute.updated", "/v1/disputes", {}),
)


class Lost(msgspec.Struct, frozen=True):
    """An object that says what no event told, and the event that tells it."""

    thing: str
    what: str
    event: Json


class Compared(msgspec.Struct, frozen=True):
    """One page: how many objects it has, what of them was lost, and where to go on after it.

    ``cut`` is a list's path of which older objects were left out.
    """

    count: int
    lost: list[Lost]
    reached: str
    cut: str | None = None


async def compare(
    database: Database,
    stripe: StripeApi,
    catalogue: Catalogue,
    since: datetime,
    reached: str | None,
    *,
    livemode: bool,
) -> AsyncIterator[Compared]:
    """Page after page of the three lists, newest first, from ``reached`` on."""
    first, _, after = (reached or "").partition(" ")
    for at, (kind, path, params) in enumerate(_LISTS):
        if at < int(first or 0):
            continue
        asked = {**params, "created": {"gte": int(since.timestamp())}}
        if after:
            asked["starting_after"] = after
        after, pages = "", 0
        async for page in stripe.pages(path, asked):
            pages += 1
            events = [_event(kind, thing, page.asked_at, livemode) for thing in page.items]
            lost = await _lost(database, catalogue, events)
            cut = path if pages == PAGES_MAX and page.has_more else None
            goes_on = page.has_more and not cut
            reached = f"{at} {page.items[-1]['id']}" if goes_on else f"{at + 1} "
            yield Compared(len(page.items), lost, reached, cut)
            if cut:
                break


def _event(kind: str, thing: Json, asked_at: datetime, livemode: bool) -> Json:
    """The event that tells of the object as Stripe listed it; one, as long as that stays so."""
    said = (
        kind,
        thing.get("id"),
        thing.get("payment_status"),
        thing.get("status"),
        thing.get("amount"),
    )
    return {
        "id": ID_PREFIX + hashlib.sha256(repr(said).encode()).hexdigest()[:32],
        "object": "event",
        "api_version": None,
        "created": int(asked_at.timestamp()),
        "livemode": thing.get("livemode", livemode),
        "pending_webhooks": 0,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
        "data": {"object": thing},
    }


async def _lost(database: Database, catalogue: Catalogue, events: Sequence[Json]) -> list[Lost]:
    told = [(event, fact) for event in events if (fact := _fact(event)) is not None]
    names = [event["data"]["object"]["id"] for event, _ in told]
    rows = await database.fetch(
        "SELECT object_id, body::text FROM money_facts WHERE object_id = ANY($1::text[])", names
    )
    kept: dict[str, set[object]] = {}
    for row in rows:
        kept.setdefault(row["object_id"], set()).add(
            _says(msgspec.json.decode(row["body"], type=MoneyFact))
        )
    bought = await _bought(database, [fact for _, fact in told])
    return [
        Lost(name, _what(fact), event)
        for name, (event, fact) in zip(names, told, strict=True)
        if _is_ours(fact, catalogue, bought) and _says(fact) not in kept.get(name, ())
    ]


def _fact(event: Json) -> MoneyFact | None:
    """What the object says; None where no pack's money can be it, or nobody can read it."""
    try:
        read = money_shapes.read(event["type"], event, (ACCOUNT_KEY,))
    except ShapeError:
        return None
    return read.facts[0] if isinstance(read, MoneyEvent) else None


def _says(fact: MoneyFact) -> object:
    """What two facts of one object are compared by."""
    match fact:
        case SessionFact():
            return fact.paid
        case RefundFact() | DisputeFact():
            return fact.status, fact.amount
        case _:
            return None


def _what(fact: MoneyFact) -> str:
    match fact:
        case SessionFact():
            return f"pack {fact.pack or 'by its price'} was paid, and nothing was told"
        case RefundFact() | DisputeFact():
            return f"{fact.status} with {fact.amount} of {fact.payment_intent or fact.charge_id}"
        case _:
            return "nothing was told"


async def _bought(database: Database, facts: Sequence[MoneyFact]) -> set[str]:
    """Which of their payments bought a pack, by intent or by charge."""
    intents = [fact.payment_intent for fact in facts if fact.payment_intent]
    charges = [fact.charge_id for fact in facts if not isinstance(fact, SessionFact)]
    rows = await database.fetch(
        """SELECT payment_intent AS name FROM purchases WHERE payment_intent = ANY($1::text[])
           UNION SELECT charge_id FROM money_facts JOIN purchases USING (payment_intent)
            WHERE charge_id = ANY($2::text[])""",
        intents,
        charges,
    )
    return {row["name"] for row in rows}


def _is_ours(fact: MoneyFact, catalogue: Catalogue, bought: set[str]) -> bool:
    """A session that names a pack or sells one; a refund or dispute of what bought one."""
    if isinstance(fact, SessionFact):
        named = fact.pack is not None or isinstance(choose(fact, catalogue), Chosen)
        return fact.mode == "payment" and fact.paid and named
    return bool({fact.payment_intent, fact.charge_id} & bought)
