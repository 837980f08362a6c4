"""Which pack a Checkout session sells: what our metadata names, else its line item's price."""

from __future__ import annotations

import msgspec

from app.allowance.catalogue import Catalogue, Pack
from app.ledger.kinds import AMOUNT_MAX
from app.purchases.facts import SessionFact


class Chosen(msgspec.Struct, frozen=True):
    """A pack of the catalogue, and the credits of as many as were bought."""

    pack: Pack
    credits: int


class NotOurs(msgspec.Struct, frozen=True):
    """The session sells what grants nothing, on purpose."""

    reason: str


class Unknown(msgspec.Struct, frozen=True):
    """What was bought cannot be told: the reason, and the remedy."""

    reason: str


def choose(fact: SessionFact, catalogue: Catalogue) -> Chosen | NotOurs | Unknown:
    """One pack, named by its metadata or sold by its only line item."""
    if fact.pack is not None:
        return _named(fact.pack, catalogue)
    if fact.prices is None:
        return Unknown(
            "paid, and what was bought is not told: write the pack's name into the session's "
            "metadata as tallybook_pack, or set STRIPE_API_KEY so that its line items can be read, "
            "and replay the event"
        )
    return _sold(fact.prices, catalogue)


def _named(name: str, catalogue: Catalogue) -> Chosen | Unknown:
    pack = next((pack for pack in catalogue.packs if pack.name == name), None)
    if pack is None:
        return Unknown(f"no pack {name!r} is in the catalogue: add it, and replay the event")
    return Chosen(pack, pack.credits)


def _sold(prices: tuple[tuple[str, int], ...], catalogue: Catalogue) -> Chosen | NotOurs | Unknown:
    told = ", ".join(price for price, _ in prices[:5]) or "none"
    if prices and all(catalogue.is_ignored(price) for price, _ in prices):
        return NotOurs(f"its prices are ignored: {told}")
    pack = catalogue.pack_of_price(prices[0][0]) if len(prices) == 1 else None
    if pack is None:
        return Unknown(
            f"its line items are no single pack of the catalogue ({told}): add the price to a "
            "pack or to ignored_prices, and replay the event"
        )
    # Unlike a subscription's, a pack's quantity multiplies: each was paid for.
    credits = pack.credits * prices[0][1]
    if not 0 < credits <= AMOUNT_MAX:
        return Unknown(f"{prices[0][1]} packs of {pack.credits} are more than one act may move")
    return Chosen(pack, credits)
