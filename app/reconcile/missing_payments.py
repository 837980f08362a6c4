"""Sessions, refunds and disputes that Stripe lists and that no event reported.

If an event was lost after we answered 200, Stripe does not list it as failed. So Stripe's Checkout
sessions, refunds and disputes of a window are listed themselves, one page a call. They are
compared with the stored facts and with the packs that were opened.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec

from app.accounts.hosted_pages import PACK_KEY
from app.allowance.catalogue import Catalogue
from app.errors import StripeRefusedError
from app.infrastructure import sql
from app.infrastructure.db import Database, Record
from app.purchases.facts import DisputeFact, MoneyEvent, MoneyFact, RefundFact, SessionFact
from app.purchases.packs import Chosen, choose
from app.webhooks import money_shapes
from app.webhooks.questions import RECONCILED_PREFIX
from app.webhooks.shapes import ShapeError

if TYPE_CHECKING:
    from app.reconcile import row_types
    from app.stripe_client import Page, StripeApi

PAGES_MAX: Final = 200  # the limit for one list: 20,000 objects; the oldest are left out

Json = dict[str, Any]

_SQL: Final[row_types.MissingPaymentsSql] = sql.beside(__file__)
_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_SESSION: Final = "checkout.session.completed"
_CAPTURE: Final = "payment_intent.succeeded"
# In this order: a session opens the purchase that refunds and disputes belong to. A charge says
# which payment intent it is for, if the refund or dispute itself does not.
_LISTS: Final[tuple[tuple[str, str, Mapping[str, object]], ...]] = (
    (
        _SESSION,
        "/v1/checkout/sessions",
        {"status": "complete", "expand": ["data.line_items", "data.payment_intent"]},
    ),
    ("refund.updated", "/v1/refunds", {"expand": ["data.charge"]}),
    ("charge.dispute.updated", "/v1/disputes", {"expand": ["data.charge"]}),
)


class Missing(msgspec.Struct, frozen=True):
    """Something that no event reported, in words, and the event that reports it now.

    Without an event nothing mends it, and ``why`` says so.
    """

    thing: str
    what: str
    event: Json | None
    why: str = ""


class Compared(msgspec.Struct, frozen=True):
    """One page: how many objects it has, which are missing, and the object to continue after.

    ``lacks`` says that the list could not be compared, or not to its end.
    """

    count: int
    missing: Sequence[Missing]
    reached: str
    lacks: str | None = None


class Comparing(msgspec.Struct, frozen=True, kw_only=True):
    """The stored side of the comparison."""

    database: Database
    catalogue: Catalogue
    catalogue_id: int
    livemode: bool


class _Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A listed object: its event, and its facts or why nobody can read it.

    ``capture`` is the capture of a payment whose session says that it still waits.
    """

    thing: str
    event: Json
    fact: MoneyFact | str
    capture: Json | None = None


class _Known(msgspec.Struct, frozen=True, kw_only=True):
    """The stored rows about a page's objects."""

    facts: Mapping[str, list[MoneyFact]]  # by the object's id
    purchases: Mapping[str, Record]  # by session and by payment
    bought: set[str]  # payment intents and charges that paid for a pack


async def compare(
    stripe: StripeApi, ours: Comparing, since: datetime, reached: str | None
) -> AsyncIterator[Compared]:
    """Yield the three lists compared page by page, newest first, continuing from ``reached``.

    A list that Stripe refuses is noted, and the next one is compared.
    """
    first, _, after = (reached or "").partition(" ")
    for at in range(int(first or 0), len(_LISTS)):
        kind, path, params = _LISTS[at]
        asked = {**params, "created": {"gte": int(since.timestamp())}}
        more = ""
        try:
            async for page in _pages(stripe, path, asked, after):
                more = page.items[-1]["id"] if page.has_more else ""
                missing = await _missing(ours, _listed(ours, kind, page))
                yield Compared(len(page.items), missing, f"{at} {more}" if more else f"{at + 1} ")
        except StripeRefusedError as refusal:
            lacks = f"Stripe's {path} cannot be compared: {refusal.detail}"
            yield Compared(0, (), f"{at + 1} ", lacks)
        else:
            if more:
                lacks = f"Of {path} only the newest were compared."
                yield Compared(0, (), f"{at + 1} ", lacks)
        after = ""


async def _pages(
    stripe: StripeApi, path: str, params: Mapping[str, object], after: str
) -> AsyncIterator[Page]:
    """Yield a limited number of pages after an object; from the first page if that object
    is gone.
    """
    count = 0
    asked = {**params, "starting_after": after} if after else params
    try:
        async for page in stripe.pages(path, asked):
            count += 1
            yield page
            if count == PAGES_MAX:
                return
    except StripeRefusedError:
        if count or not after:
            raise
        async for page in _pages(stripe, path, params, ""):
            yield page


def _listed(ours: Comparing, kind: str, page: Page) -> list[_Listed]:
    """Return the page's objects, without those that cannot be about a pack's money."""
    found = []
    for thing in page.items:
        intent = thing.get("payment_intent")
        event, fact = _told(ours, kind, _with_links(thing), page.asked_at)
        capture = None
        if kind == _SESSION and isinstance(intent, dict) and intent.get("status") == "succeeded":
            capture, _ = _told(ours, _CAPTURE, intent, page.asked_at)
        if fact is not None:
            found.append(_Listed(thing=thing["id"], event=event, fact=fact, capture=capture))
    return found


def _with_links(thing: Json) -> Json:
    """Return the object with ids in place of expanded objects, except its line items."""
    charge, intent = thing.get("charge"), thing.get("payment_intent")
    linked = dict(thing)
    if isinstance(intent, dict):
        linked["payment_intent"] = intent.get("id")
    if isinstance(charge, dict):
        linked["charge"] = charge.get("id")
        linked["payment_intent"] = linked.get("payment_intent") or charge.get("payment_intent")
    return linked


def _told(
    ours: Comparing, kind: str, thing: Json, asked_at: datetime
) -> tuple[Json, MoneyFact | str | None]:
    """Return the event for the object as Stripe listed it, with its facts.

    The event's id depends on the facts and on the catalogue: it is stored once, and once more if a
    newer catalogue may know what was bought.
    """
    event = {
        "id": RECONCILED_PREFIX,
        "object": "event",
        "api_version": None,
        "created": int(asked_at.timestamp()),
        "livemode": thing.get("livemode", ours.livemode),
        "pending_webhooks": 0,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
        "data": {"object": thing},
    }
    try:
        read = money_shapes.read(kind, event, ours.catalogue.stripe.account_metadata)
    except ShapeError as error:
        return event, f"unknown shape: {error}"
    if not isinstance(read, MoneyEvent):
        return event, None
    fact = read.facts[0]
    timeless = msgspec.structs.replace(fact, event_id="", occurred_at=_EPOCH)
    said = msgspec.json.encode((ours.catalogue_id, timeless))
    return event | {"id": RECONCILED_PREFIX + hashlib.sha256(said).hexdigest()[:32]}, fact


async def _missing(ours: Comparing, listed: Sequence[_Listed]) -> list[Missing]:
    known = await _known(ours.database, listed)
    found: list[Missing] = []
    for one in listed:
        match one.fact:
            case SessionFact() as session:
                found += _of_session(ours.catalogue, one, session, known)
            case RefundFact() | DisputeFact() as back:
                found += _of_money_back(one, back, known)
            case str() as why if _is_ours(ours.catalogue, one, known):
                found.append(Missing(one.thing, "cannot be read", None, why))
    return found


async def _known(database: Database, listed: Sequence[_Listed]) -> _Known:
    objects = [one.event["data"]["object"] for one in listed]
    links = [thing.get(name) for thing in objects for name in ("payment_intent", "charge")]
    names = [one.thing for one in listed] + [link for link in links if isinstance(link, str)]
    facts: dict[str, list[MoneyFact]] = {}
    for row in await database.fetch(_SQL["kept"](object_ids=names)):
        fact = msgspec.json.decode(row["body"], type=MoneyFact)
        facts.setdefault(row["object_id"], []).append(fact)
    rows = await database.fetch(_SQL["purchases"](names=names))
    bought = await database.fetch(_SQL["bought"](names=names))
    return _Known(
        facts=facts,
        purchases={row[name]: row for row in rows for name in ("session_id", "payment_key")},
        bought={row["name"] for row in bought},
    )


def _of_session(
    catalogue: Catalogue, one: _Listed, fact: SessionFact, known: _Known
) -> Iterator[Missing]:
    kept = [told for told in known.facts.get(one.thing, ()) if isinstance(told, SessionFact)]
    purchase = known.purchases.get(one.thing) or known.purchases.get(fact.payment_intent or "")
    taken = fact.paid or one.capture is not None
    what = f"pack {fact.pack or 'by its price'} was paid"
    if taken and purchase is None and _sells_ours(catalogue, fact):
        if fact.paid or not kept:
            yield Missing(one.thing, f"{what}, and its credits were not given", one.event)
        if not fact.paid:
            yield Missing(one.thing, f"{what} by a capture that was not told", one.capture)
    elif _names(fact) and _names(fact) not in map(_names, kept):
        told = fact.account_hint or fact.client_reference_id or "an account"
        yield Missing(one.thing, f"names {told}, and nothing was told", one.event)
    elif purchase is not None and not any(told.prices or told.quantity for told in kept):
        sold = choose(fact, catalogue)
        count = sold.credits // sold.pack.credits if isinstance(sold, Chosen) else 1
        if count > 1:
            short = purchase["credits"] * (count - 1)
            yield Missing(
                one.thing,
                f"{what} {count} times, and one was assumed when it was opened",
                None,
                f"a purchase is opened once: give the {short} credits that lack by "
                "POST /api/v1/accounts/{id}/grants",
            )


def _sells_ours(catalogue: Catalogue, fact: SessionFact) -> bool:
    """Return whether the session names a pack or sells one of the catalogue."""
    return fact.pack is not None or any(
        catalogue.pack_of_price(price) for price, _ in fact.prices or ()
    )


def _names(fact: SessionFact) -> tuple[str | None, ...]:
    """Return the account, customer and subscription that the session names; () if it names none."""
    if not (fact.account_hint or fact.hint_refused or fact.client_reference_id):
        return ()
    named = (fact.account_hint, fact.client_reference_id)
    return (*named, fact.customer_id, fact.subscription_id)


def _of_money_back(
    one: _Listed, fact: RefundFact | DisputeFact, known: _Known
) -> Iterator[Missing]:
    """Return a refund or dispute of a pack's payment if no event reported it."""
    told = [
        (kept.status, kept.amount)
        for kept in known.facts.get(one.thing, ())
        if isinstance(kept, RefundFact | DisputeFact)
    ]
    bought = {fact.payment_intent, fact.charge_id} & known.bought
    if bought and (fact.status, fact.amount) not in told:
        what = f"{fact.status} with {fact.amount} of {fact.payment_intent or fact.charge_id}"
        yield Missing(one.thing, what, one.event)


def _is_ours(catalogue: Catalogue, one: _Listed, known: _Known) -> bool:
    """Return whether an unreadable object names an account, or belongs to a pack's payment."""
    thing = one.event["data"]["object"]
    if any(thing.get(link) in known.bought for link in ("payment_intent", "charge")):
        return True
    metadata = thing.get("metadata")
    keys = (PACK_KEY, *catalogue.stripe.account_metadata)
    return isinstance(metadata, dict) and any(metadata.get(key) for key in keys)
