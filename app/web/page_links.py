"""Links to customers' pages, made by the application."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, post
from litestar.datastructures import State
from litestar.params import JSONBody

from app.accounts import page_links
from app.accounts.page_links import OFFERS_MAX, Offer, PageWish, Theme
from app.html.accents import PATTERN
from app.web.hosted_pages import PageUrl, PriceId, require_ours
from app.web.http import books, problems
from app.web.http.access import Access, access
from app.web.http.forms import origin
from app.web.http.instants import Instant, instant
from app.web.http.parameters import AccountId
from app.web.http.patterns import WITHOUT_CONTROLS
from app.web.http.views import View

PATH: Final = "/pages"
LASTS_S_MIN: Final = 60
LASTS_S_MAX: Final = 7 * 86_400
LABEL_CHARS_MAX: Final = 60


class PageOfferBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A price that the page offers by Checkout, and the button's text; else the catalogue's."""

    price: PriceId
    label: (
        Annotated[
            str,
            msgspec.Meta(pattern=WITHOUT_CONTROLS, min_length=1, max_length=LABEL_CHARS_MAX),
        ]
        | None
    ) = None


class PageLinkBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the link works, and the page's look and ways.

    `return_url` is where the page and Stripe's lead back to; else the page itself.
    """

    expires_in_s: Annotated[int, msgspec.Meta(ge=LASTS_S_MIN, le=LASTS_S_MAX)] = 3_600
    theme: Theme = "auto"
    accent: Annotated[str, msgspec.Meta(pattern=PATTERN)] | None = None
    return_url: PageUrl | None = None
    offers: Annotated[list[PageOfferBody], msgspec.Meta(max_length=OFFERS_MAX)] = []


class PageLinkAnswer(View, frozen=True, kw_only=True):
    """The page's address, on the host that was called, and as a path for any other.

    Whoever has it sees the account until `expires_at`.
    """

    url: str
    path: str
    expires_at: Instant


@post(
    "/api/v1/accounts/{account_id:str}/page-links",
    status_code=201,
    responses=problems.declared(400, 401, 403, 404, 413, 422),
    tags=["Accounts"],
    **access(Access.SERVICE),
)
async def create_page_link(
    account_id: AccountId,
    data: JSONBody[PageLinkBody],
    request: Request[Any, Any, Any],
    state: State,
) -> PageLinkAnswer:
    """Make a link to a page on which the account's customer sees its credits, to open or embed."""
    require_ours(state.settings, data.return_url)
    wish = PageWish(
        lasts=timedelta(seconds=data.expires_in_s),
        theme=data.theme,
        accent=data.accent,
        return_url=data.return_url,
        offers=tuple(Offer(one.price, one.label) for one in data.offers),
    )
    token, ends_at = await page_links.create(
        state.book, state.settings.key_pepper, account_id, wish
    )
    path = f"{books.path_of(request)}{PATH}/{token}"
    return PageLinkAnswer(url=origin(request) + path, path=path, expires_at=instant(ends_at))
