"""The page of an account for its customer, opened by a signed link; it shows nothing internal."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncGenerator, Iterator
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.exceptions import NotFoundException
from litestar.params import QueryParameter

from app.accounts import page_links
from app.accounts.hosted_pages import Purchase, open_checkout, open_portal
from app.accounts.page_links import Followed, Offer, PageLink
from app.accounts.view import AccountView, view_of_account
from app.allowance.catalogue import Catalogue
from app.audit import statement as statements
from app.audit.statement import Line, LotLeft, LotsLeft, Use
from app.html import plots
from app.html.accents import path_of
from app.html.pages import page
from app.infrastructure.db import Record
from app.web.exports import FORMULA_STARTS
from app.web.http import books
from app.web.http.access import Access, access, page_link
from app.web.http.forms import form, origin, refuse_other_sites
from app.web.http.page_errors import PAGE
from app.web.http.patterns import MONTH, STRIPE_ID
from app.web.http.streamed import Streamed

_PATH: Final = "/pages/{token:str}"
_SHOWN: Final[dict[str, Any]] = {"include_in_schema": False, **access(Access.LINK), **PAGE}
MONTHS_SHOWN: Final = 12
MONTHS_KEPT: Final = 1_200  # all there can be
Month = Annotated[str, QueryParameter(pattern=MONTH)]
Back = Annotated[Literal["bought", "portal"] | None, QueryParameter(name="back")]
SOURCES: Final = {
    "daily": "Credits of the day",
    "carried": "Carried over",
    "promotional": "Promotional",
    "purchased": "Bought",
}
_KINDS: Final = {
    "grant": "Received",
    "purchase": "Bought",
    "spend": "Used",
    "return": "Given back",
    "expiry": "Expired",
    "refund": "Refunded",
    "transfer": "Moved between accounts",
}
_OTHER_KIND: Final = "Corrected"
_PAYING: Final = ("active", "past_due")


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of the page, before plots and tables."""

    tier: str
    daily: int
    available: int
    held: int
    debt: int
    next_at: datetime | None
    ends_next: LotLeft | None
    notices: list[tuple[str, str]]
    portal: bool
    offers: list[Offer]


class CheckoutForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The price to buy."""

    price: Annotated[str, msgspec.Meta(pattern=STRIPE_ID)]


@get(_PATH, **_SHOWN)
async def show_account(
    request: Request[Any, Any, Any], state: State, back: Back = None
) -> Response[str]:
    """Show the customer's credits, what comes, the use, and the statements."""
    followed, account = await _opened(request, state)
    database, zone = state.book.database, account.time_zone
    async with state.reports.room():
        used = await statements.use(database, followed.number, zone, followed.now)
    lots = await statements.lots(database, followed.number, followed.now)
    _, catalogue = await state.book.catalogues.present(database)
    return _page(
        "customer/page.html",
        request,
        state,
        followed,
        account,
        told=_told(followed, account, catalogue, lots, state.book.stripe is not None),
        return_url=followed.link.return_url,
        used=used,
        plot=_plot(used),
        by_label=list(_by_label(used)),
        lots=lots,
        sources=SOURCES,
        months=statements.months(zone, followed.opened_at, followed.now, MONTHS_SHOWN),
        flash=_flash(back),
    )


@get(f"{_PATH}/statement", **_SHOWN)
async def show_statement(
    request: Request[Any, Any, Any], state: State, month: Month
) -> Response[str]:
    """A month by days, to be printed."""
    followed, account = await _opened(request, state)
    first = _month(followed, account, month)
    async with state.reports.room():
        told = await statements.statement(
            state.book.database, followed.number, account.time_zone, first, followed.now
        )
    return _page(
        "customer/statement.html",
        request,
        state,
        followed,
        account,
        statement=told,
        sums=statements.sums(told.days),
        account_id=account.public_id,
    )


@get(f"{_PATH}/statement.csv", **_SHOWN)
async def download_statement(
    request: Request[Any, Any, Any], state: State, month: Month
) -> Streamed:
    """A month act by act, as CSV."""
    followed, account = await _opened(request, state)
    zone, first = account.time_zone, _month(followed, account, month)
    lines = statements.lines(state.book.database, followed.number, zone, first)
    state.exports.require_room()
    return Streamed(
        state.exports.counted(_csv(lines, ZoneInfo(zone))),
        media_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="statement-{month}.csv"'},
    )


@post(f"{_PATH}/checkout", status_code=200, **_SHOWN)
async def buy(request: Request[Any, Any, Any], state: State) -> Response[str]:
    """Open Checkout for a price that the link offers, and lead there."""
    sent = await form(request, CheckoutForm)
    followed, account = await _opened(request, state)
    if sent.price not in {offer.price for offer in followed.link.offers}:
        raise NotFoundException
    here = origin(request) + _path(request)
    back = followed.link.return_url
    wanted = Purchase(
        price=sent.price,
        success_url=back or f"{here}?back=bought",
        cancel_url=back or here,
        quantity=1,
    )
    opened = await open_checkout(state.book, account.public_id, wanted, None)
    return _onward(request, state, followed, account, opened.url)


@post(f"{_PATH}/portal", status_code=200, **_SHOWN)
async def manage(request: Request[Any, Any, Any], state: State) -> Response[str]:
    """Open Stripe's portal, and lead there."""
    refuse_other_sites(request)
    followed, account = await _opened(request, state)
    here = origin(request) + _path(request)
    back = followed.link.return_url or f"{here}?back=portal"
    opened = await open_portal(state.book, account.public_id, back, None)
    return _onward(request, state, followed, account, opened.url)


async def _opened(request: Request[Any, Any, Any], state: State) -> tuple[Followed, AccountView]:
    followed = await page_links.follow(state.book, page_link(request))
    return followed, await view_of_account(state.book, followed.number)


def _path(request: Request[Any, Any, Any]) -> str:
    """The page's own path, also in a further book."""
    return f"{books.path_of(request)}/pages/{request.path_params['token']}"


def _page(
    template: str,
    request: Request[Any, Any, Any],
    state: State,
    followed: Followed,
    account: AccountView,
    **context: Any,
) -> Response[str]:
    link: PageLink = followed.link
    return page(
        template,
        frame_ancestors=state.settings.page_origins,
        zone=ZoneInfo(account.time_zone),
        theme=link.theme,
        accent_path=path_of(link.accent) if link.accent else None,
        path=_path(request),
        ends_at=followed.ends_at,
        now=followed.now,
        **context,
    )


def _onward(
    request: Request[Any, Any, Any],
    state: State,
    followed: Followed,
    account: AccountView,
    url: str,
) -> Response[str]:
    return _page(
        "customer/onward.html",
        request,
        state,
        followed,
        account,
        onward=url,
        refresh_s=f"0; url={url}",
    )


def _month(followed: Followed, account: AccountView, month: str) -> date:
    """The month's first day; NotFoundException where the account has no such month."""
    first = date.fromisoformat(f"{month}-01")
    zone = account.time_zone
    if first not in statements.months(zone, followed.opened_at, followed.now, MONTHS_KEPT):
        raise NotFoundException
    return first


def _told(
    followed: Followed,
    account: AccountView,
    catalogue: Catalogue,
    lots: LotsLeft,
    can_pay: bool,
) -> Told:
    ends = [lot for lot in lots.shown if lot.free and lot.expires_at.year < 9999]
    can_pay = can_pay and account.closed_at is None
    return Told(
        tier=account.tier,
        daily=catalogue.tier(account.tier).daily_credits if catalogue.has(account.tier) else 0,
        available=account.available,
        held=account.held,
        debt=account.debt,
        next_at=account.next_grant_at,
        ends_next=min(ends, key=lambda lot: lot.expires_at, default=None),
        notices=list(_notices(account, followed.now)),
        portal=can_pay and account.customer_id is not None,
        offers=list(_offers(followed.link, account, catalogue)) if can_pay else [],
    )


def _notices(account: AccountView, now: datetime) -> Iterator[tuple[str, str]]:
    if account.closed_at is not None:
        yield "warn", "This account is closed: no new credits come. What is left can be used."
    elif account.suspended_at is not None:
        yield "bad", "This account is suspended: nothing can be used until it is resumed."
    if account.debt:
        yield "warn", "More was used than there was. The next credits repay that first."
    for row in account.subscriptions:
        yield from _of_subscription(row, now)


def _of_subscription(row: Record, now: datetime) -> Iterator[tuple[str, str]]:
    if row["state"] == "past_due":
        yield "warn", "The last payment failed. Pay to keep what you subscribed to."
    ends_at = row["cancel_at"] or (row["period_end_at"] if row["cancel_at_period_end"] else None)
    if row["state"] in _PAYING and ends_at is not None and ends_at > now:
        yield "note", f"Your subscription ends on {ends_at:%-d %b %Y} and is not renewed."


def _offers(link: PageLink, account: AccountView, catalogue: Catalogue) -> Iterator[Offer]:
    """Yield the offers that are still sold.

    A customer with a subscription gets no tier here: the portal changes it, and nobody subscribes
    twice.
    """
    subscribed = any(row["state"] in _PAYING for row in account.subscriptions)
    for offer in link.offers:
        tier, pack = catalogue.tier_of_price(offer.price), catalogue.pack_of_price(offer.price)
        if tier is not None and not subscribed:
            yield Offer(offer.price, offer.label or f"{tier.name}: {tier.daily_credits:,} a day")
        elif pack is not None:
            yield Offer(offer.price, offer.label or f"{pack.credits:,} credits")


def _plot(used: Use) -> plots.Figure:
    return plots.stacked(
        used.days,
        dict(_named(used)),
        title="Used in the last 30 days",
    )


def _named(used: Use) -> Iterator[tuple[str, list[int]]]:
    """The series with the names that people read."""
    alone = len(used.labels) == 1
    for one in used.labels:
        unnamed = "Other labels" if one.named else "Used" if alone else "Without a label"
        yield one.label or unnamed, one.by_day


def _by_label(used: Use) -> Iterator[tuple[str, int, object]]:
    for place, (name, by_day) in enumerate(_named(used)):
        credits = sum(by_day)
        shares = {"used": credits, "for others": used.total - credits}
        classes = {"used": plots.colour(place), "for others": "gone"}
        yield name, credits, plots.share_bar(shares, classes)


def _flash(back: str | None) -> dict[str, str] | None:
    told = {
        "bought": "Thank you. Your credits come as soon as Stripe confirms the payment.",
        "portal": "What you changed shows here as soon as Stripe tells us of it.",
    }
    return None if back is None else {"tone": "good", "text": told[back]}


async def _csv(lines: AsyncGenerator[list[Line], None], zone: ZoneInfo) -> AsyncGenerator[bytes]:
    yield _rows([("time", "what", "credits", "label", "change", "balance")])
    async for part in lines:
        yield _rows([_cells(line, zone) for line in part])


def _cells(line: Line, zone: ZoneInfo) -> tuple[object, ...]:
    label = line.label or ""
    return (
        line.at.astimezone(zone).isoformat(timespec="seconds"),
        _KINDS.get(line.kind, _OTHER_KIND),
        SOURCES[line.source],
        f"'{label}" if label.startswith(FORMULA_STARTS) else label,
        line.change,
        line.balance,
    )


def _rows(rows: list[tuple[object, ...]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
