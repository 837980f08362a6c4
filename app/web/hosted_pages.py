"""Stripe's hosted pages: Checkout and customer portal."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from litestar import post
from litestar.datastructures import State
from litestar.params import HeaderParameter, JSONBody

from app.accounts.hosted_pages import Purchase, open_checkout, open_portal
from app.errors import ReturnUrlError
from app.infrastructure.settings import Settings
from app.infrastructure.variables import origin_of
from app.web.http import problems
from app.web.http.access import Access, access
from app.web.http.parameters import AccountId
from app.web.http.patterns import KEY, PAGE_URL, STRIPE_ID
from app.web.http.views import View

URL_CHARS_MAX: Final = 2_000
QUANTITY_MAX: Final = 1_000

PageUrl = Annotated[
    str,
    msgspec.Meta(
        pattern=PAGE_URL,
        max_length=URL_CHARS_MAX,
        description="Where Stripe sends the user, http or https.",
    ),
]
PriceId = Annotated[str, msgspec.Meta(pattern=STRIPE_ID, min_length=1, max_length=255)]
Quantity = Annotated[int, msgspec.Meta(ge=1, le=QUANTITY_MAX)]
OptionalIdempotencyKey = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        pattern=KEY,
        min_length=1,
        max_length=255,
        description="Passed on to Stripe: one key, one session.",
    ),
]


class CheckoutBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tier's price begins a subscription, a pack's is paid once; a pack's quantity is 1."""

    price: PriceId
    success_url: PageUrl
    cancel_url: PageUrl | None = None
    quantity: Quantity = 1


class PortalBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The address that the portal leads back to."""

    return_url: PageUrl


class CheckoutAnswer(View, frozen=True, kw_only=True):
    """A Checkout session."""

    id: str
    url: str


class PortalAnswer(View, frozen=True, kw_only=True):
    """A portal session."""

    url: str


_OPENED: Final[dict[str, Any]] = {
    "status_code": 201,
    "responses": problems.declared(400, 401, 403, 404, 409, 413, 422, 502),
    "tags": ["Stripe"],
    **access(Access.SERVICE),
}


@post("/api/v1/accounts/{account_id:str}/checkout-sessions", **_OPENED)
async def create_checkout_session(
    account_id: AccountId,
    data: JSONBody[CheckoutBody],
    state: State,
    idempotency_key: OptionalIdempotencyKey = None,
) -> CheckoutAnswer:
    """Make a Stripe Checkout page on which this account buys a tier or a pack of the catalogue."""
    require_ours(state.settings, data.success_url, data.cancel_url)
    wanted = Purchase(
        price=data.price,
        success_url=data.success_url,
        cancel_url=data.cancel_url,
        quantity=data.quantity,
    )
    page = await open_checkout(state.book, account_id, wanted, idempotency_key)
    return CheckoutAnswer(id=page.id, url=page.url)


@post("/api/v1/accounts/{account_id:str}/portal-sessions", **_OPENED)
async def create_portal_session(
    account_id: AccountId,
    data: JSONBody[PortalBody],
    state: State,
    idempotency_key: OptionalIdempotencyKey = None,
) -> PortalAnswer:
    """Make a page of Stripe's portal, where the customer changes or ends what it pays for."""
    require_ours(state.settings, data.return_url)
    page = await open_portal(state.book, account_id, data.return_url, idempotency_key)
    return PortalAnswer(url=page.url)


def require_ours(settings: Settings, *addresses: str | None) -> None:
    """Raise ReturnUrlError for an address elsewhere than the settings allow."""
    for address in addresses:
        if address is None or not settings.return_origins:
            continue
        try:
            origin = origin_of(address)
        except ValueError:
            origin = "such an address"
        if origin not in settings.return_origins:
            raise ReturnUrlError(
                f"Stripe may not send users to {origin}; TALLYBOOK_RETURN_ORIGINS names where to."
            )
