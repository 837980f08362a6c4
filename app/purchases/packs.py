"""The pack that a Checkout session sells: by our metadata, else by its line item's price."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from app.allowance.catalogue import Catalogue, Pack
from app.ledger.kinds import AMOUNT_MAX
from app.purchases.facts import SessionFact


class Chosen(msgspec.Struct, frozen=True):
    """A pack of the catalogue, and the credits of the quantity that was bought.

    ``assumed`` means that a quantity of one was assumed: the event does not say it.
    """

    pack: Pack
    credits: int
    assumed: bool = False


class NotOurs(msgspec.Struct, frozen=True):
    """The session sells something that grants nothing, on purpose."""

    reason: str


class Unknown(msgspec.Struct, frozen=True):
    """The event does not say what was bought: the reason and the remedy."""

    reason: str


class NoPack(msgspec.Struct, frozen=True):
    """A subscription's session that sells no pack."""


def choose(fact: SessionFact, catalogue: Catalogue) -> Chosen | NotOurs | NoPack | Unknown:
    """Return one pack, named by the session's metadata or sold by a line item, times its
    quantity.
    """
    if fact.pack is not None:
        return _named(fact, fact.pack, catalogue)
    if fact.mode == "subscription":
        return _beside(fact.prices, catalogue)
    if fact.prices is None:
        return Unknown(
            "paid, but the event does not say what was bought: write the pack's name into the "
            "session's metadata as tallybook_pack, or set STRIPE_API_KEY so that its line items "
            "can be read, and replay the event"
        )
    return _sold(fact.prices, catalogue)


def _named(fact: SessionFact, name: str, catalogue: Catalogue) -> Chosen | Unknown:
    pack = next((pack for pack in catalogue.packs if pack.name == name), None)
    if pack is None:
        return Unknown(f"no pack {name!r} is in the catalogue: add it, and replay the event")
    prices = fact.prices
    if prices is None:
        return _times(pack, fact.quantity or 1, assumed=fact.quantity is None)
    of_it = [quantity for price, quantity in prices if price in pack.prices]
    if not of_it and len(prices) == 1:
        of_it = [prices[0][1]]  # sold by a price that only the metadata connects to the pack
    return _times(pack, sum(of_it) or 1, assumed=not of_it)


def _beside(
    prices: tuple[tuple[str, int], ...] | None, catalogue: Catalogue
) -> Chosen | NoPack | Unknown:
    sold = [(pack, n) for price, n in prices or () if (pack := catalogue.pack_of_price(price))]
    if not sold:
        return NoPack()
    return _single(sold)


def _sold(prices: tuple[tuple[str, int], ...], catalogue: Catalogue) -> Chosen | NotOurs | Unknown:
    told = ", ".join(price for price, _ in prices[:5]) or "none"
    if prices and all(catalogue.is_ignored(price) for price, _ in prices):
        return NotOurs(f"its prices are ignored: {told}")
    ours = [(price, quantity) for price, quantity in prices if not catalogue.is_ignored(price)]
    sold = [
        (pack, quantity) for price, quantity in ours if (pack := catalogue.pack_of_price(price))
    ]
    if len(sold) != len(ours) or not sold:
        return Unknown(
            f"its line items are no single pack of the catalogue ({told}): add the price to a "
            "pack or to ignored_prices, and replay the event"
        )
    return _single(sold)


def _single(sold: Sequence[tuple[Pack, int]]) -> Chosen | Unknown:
    """Return the only pack sold: one payment opens one lot, of one pack in any quantity."""
    names = {pack.name for pack, _ in sold}
    if len(names) > 1:
        return Unknown(
            f"it sells several packs ({', '.join(sorted(names))}), and one payment opens one lot:"
            " give their credits by POST /api/v1/accounts/{id}/grants"
        )
    return _times(sold[0][0], sum(quantity for _, quantity in sold))


def _times(pack: Pack, quantity: int, *, assumed: bool = False) -> Chosen | Unknown:
    # A pack's quantity multiplies, unlike a subscription's: each pack was paid for.
    credits = pack.credits * quantity
    if not 0 < credits <= AMOUNT_MAX:
        return Unknown(f"{quantity} packs of {pack.credits} are more than one act may move")
    return Chosen(pack, credits, assumed)
