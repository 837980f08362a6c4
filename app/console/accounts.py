"""Accounts: found by any id, listed by filters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from litestar import Request, Response, get
from litestar.datastructures import State

from app.audit import entries
from app.audit.accounts import AccountQuery
from app.audit.accounts import accounts as accounts_page
from app.console import forms
from app.console.access import HOME, reads
from app.console.frame import address, lead, show
from app.infrastructure import ids, sql
from app.infrastructure.db import Database
from app.ledger.kinds import BALANCE_MAX
from app.web.http.patterns import STRIPE_ID, TIER
from statemachine import State as SubscriptionState

if TYPE_CHECKING:
    from app.console import row_types


PATH: Final = f"{HOME}/accounts"
ROWS: Final = 50
NEAR_MAX: Final = 10  # ids that begin as what was looked for
LOOKED_MAX: Final = 30_000  # of a page by credits, some 30 ms
FILTERS: Final = forms.names_of(AccountQuery)
_SQL: Final[row_types.AccountsSql] = sql.beside(__file__)
Credits = Annotated[int, msgspec.Meta(ge=-BALANCE_MAX, le=BALANCE_MAX)]
StripeId = Annotated[str, msgspec.Meta(pattern=STRIPE_ID)]
# Where an id of ours leads that is no account's.
_PLACES: Final[Mapping[ids.Prefix[Any], str]] = {
    ids.JOURNAL: HOME + "/ledger/journals/{}",
    ids.RUN: HOME + "/runs/{}",
    ids.REVERSAL: HOME + "/reversals/{}",
    ids.LOT: HOME + "/ledger?lot_id={}",
    ids.HOLD: HOME + "/ledger?hold_id={}",
}


class AccountsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The search text, or the filters of the list."""

    q: Annotated[str, msgspec.Meta(max_length=255)] | None = None
    tier: Annotated[str, msgspec.Meta(pattern=TIER)] | None = None
    state: SubscriptionState | None = None
    available_lt: Credits | None = None
    available_gte: Credits | None = None
    debt_gt: Credits | None = None
    closed: bool | None = None
    suspended: bool | None = None
    customer_id: StripeId | None = None
    cursor: forms.CursorText | None = None


@get(PATH, **reads(forms.names_of(AccountsQuery)))
async def accounts(request: Request[Any, Any, Any], state: State) -> Response[Any]:
    """The account that has this id, or a page of those that the filters let through."""
    asked = forms.query(request, AccountsQuery)
    database: Database = state.book.database
    near: list[str] = []
    if asked.q is not None:
        place = await place_of(database, asked.q)
        if place is not None:
            return lead(request, place)
        near = await _begin_so(database, asked.q)
    filters = AccountQuery(**{name: getattr(asked, name) for name in FILTERS})
    async with state.reports.room():
        page = await accounts_page(database, filters, asked.cursor, ROWS, LOOKED_MAX)
    _, catalogue = await state.book.catalogues.present(database)
    sent = forms.sent(asked)
    return show(
        request,
        "accounts.html",
        here=PATH,
        asked=sent,
        near=near,
        rows=page.rows,
        looked=forms.looked(page.rows, ROWS, page.next_cursor, LOOKED_MAX),
        filtered=not {"q", "cursor"}.issuperset(sent),
        tiers=forms.choices(tier.name for tier in catalogue.tiers),
        states=forms.choices(SubscriptionState),
        **forms.pages(PATH, sent, page.next_cursor),
    )


async def _begin_so(database: Database, text: str) -> list[str]:
    """Some ids of accounts that begin with this text."""
    rows = await database.fetch(_SQL["begin_so"](text=text, limit=NEAR_MAX))
    return [row["external_id"] for row in rows if row["external_id"].startswith(text)]


async def place_of(database: Database, wanted: str) -> str | None:
    """The page of what has this id; None where nothing has."""
    for prefix, place in _PLACES.items():
        if ids.number(prefix, wanted) is not None:
            return place.format(wanted)
    numbers = await entries.account_numbers(database, wanted)
    if numbers:
        named = await database.fetchval(_SQL["present"](id=numbers[0]))
        return address(f"{PATH}/{named or wanted}")
    row = await database.fetchrow(_SQL["named"](id=wanted))
    if row is None or row["id"] is None:
        return None
    return address(f"{HOME}/inbox/{wanted}" if row["is_event"] else f"{PATH}/{row['id']}")
