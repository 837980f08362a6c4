"""Stripe's hosted pages for an account: Checkout, where it buys, and the customer portal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from app.accounts.view import view
from app.allowance.catalogue import ACCOUNT_KEY, Catalogue
from app.book import Book
from app.errors import (
    AccountClosedError,
    NoCustomerError,
    PriceUnknownError,
    RefusedError,
    StripeNotConfiguredError,
    StripeUnavailableError,
)

if TYPE_CHECKING:
    from app.stripe_client import Retrieved, StripeApi

# The pack that a Checkout session sells; app.webhooks reads it.
PACK_KEY: Final = "tallybook_pack"
# Its quantity, for sessions in which the buyer cannot change it.
QUANTITY_KEY: Final = "tallybook_quantity"


class Purchase(msgspec.Struct, frozen=True, kw_only=True):
    """The price and quantity to buy, and where Stripe sends the buyer afterwards."""

    price: str
    success_url: str
    cancel_url: str | None
    quantity: int


class HostedPage(msgspec.Struct, frozen=True):
    """A page at Stripe, to which the application sends its user."""

    id: str
    url: str


class _Buyer(msgspec.Struct, frozen=True):
    external_id: str | None
    customer_id: str | None


async def open_checkout(
    book: Book, public_id: str, wanted: Purchase, key: str | None
) -> HostedPage:
    """Create a Checkout session and return its page; events report the purchase later.

    Writes nothing here. Raises PriceUnknownError if the catalogue does not sell the price.
    """
    buyer = await _buyer(book, public_id)
    _, catalogue = await book.catalogues.present(book.database)
    params = _sold(catalogue, wanted, buyer) | _returns(wanted)
    return _page(await _stripe(book).create_checkout_session(params, key))


async def open_portal(book: Book, public_id: str, return_url: str, key: str | None) -> HostedPage:
    """Create a portal session and return its page.

    Raises NoCustomerError if the account has no customer at Stripe.
    """
    buyer = await _buyer(book, public_id)
    if buyer.customer_id is None:
        raise NoCustomerError(
            f"Account {public_id!r} has no customer in Stripe: it has bought nothing yet, or its"
            " customer was deleted there. A Checkout makes a new one.",
            account_id=public_id,
        )
    params = {"customer": buyer.customer_id, "return_url": return_url}
    return _page(await _stripe(book).create_portal_session(params, key))


async def _buyer(book: Book, public_id: str) -> _Buyer:
    seen = await view(book, public_id)
    if seen.closed_at is not None:
        raise AccountClosedError(f"Account {public_id!r} is closed.", account_id=public_id)
    return _Buyer(seen.external_id, seen.customer_id)


def _sold(catalogue: Catalogue, wanted: Purchase, buyer: _Buyer) -> dict[str, Any]:
    pack = catalogue.pack_of_price(wanted.price)
    metadata = {ACCOUNT_KEY: buyer.external_id} if buyer.external_id else {}
    items = [{"price": wanted.price, "quantity": wanted.quantity}]
    who = _who(buyer)
    if catalogue.tier_of_price(wanted.price) is not None:
        return {
            "mode": "subscription",
            "line_items": items,
            "metadata": metadata,
            "subscription_data": {"metadata": metadata},
            **who,
        }
    if pack is None:
        raise PriceUnknownError(
            f"The catalogue sells no tier and no pack by the price {wanted.price!r}.",
            price=wanted.price,
        )
    if wanted.quantity != 1:
        raise RefusedError("A pack is sold one at a time: leave quantity out.")
    metadata |= {PACK_KEY: pack.name, QUANTITY_KEY: "1"}
    # Without a customer Stripe makes the buyer a guest, whom later events do not name.
    guest = {} if "customer" in who else {"customer_creation": "always"}
    return {
        "mode": "payment",
        "line_items": items,
        "metadata": metadata,
        "payment_intent_data": {"metadata": metadata},
        **who,
        **guest,
    }


def _who(buyer: _Buyer) -> dict[str, str]:
    named = {"client_reference_id": buyer.external_id, "customer": buyer.customer_id}
    return {name: value for name, value in named.items() if value is not None}


def _returns(wanted: Purchase) -> dict[str, str]:
    urls = {"success_url": wanted.success_url}
    return urls if wanted.cancel_url is None else urls | {"cancel_url": wanted.cancel_url}


def _stripe(book: Book) -> StripeApi:
    if book.stripe is None:
        raise StripeNotConfiguredError("STRIPE_API_KEY is not set: Stripe cannot be asked.")
    return book.stripe


def _page(got: Retrieved) -> HostedPage:
    identity, url = got.body.get("id"), got.body.get("url")
    if not isinstance(identity, str) or not isinstance(url, str):
        raise StripeUnavailableError("Stripe's answer names no page.")
    return HostedPage(identity, url)
