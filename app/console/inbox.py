"""The inbox: events as Stripe sent them, what was ruled on each and why, and a replay."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
import orjson
from litestar import Request, Response, get, post
from litestar.datastructures import State

from app.audit import entries, life_cycle
from app.audit.entries import EntryQuery
from app.audit.life_cycle import EventQuery
from app.console import forms
from app.console.access import HOME, corrects, reads
from app.console.frame import address, done, show
from app.console.reversals import POLICIES
from app.infrastructure.db import Database
from app.web.http.forms import form
from app.web.http.parameters import EventId
from app.web.http.patterns import EVENT_TYPE, STRIPE_ID
from app.webhooks.inbox import Verdict
from app.webhooks.replay import replay

PATH: Final = f"{HOME}/inbox"
ROWS: Final = 50
JOURNALS_MAX: Final = 50
StripeId = Annotated[str, msgspec.Meta(pattern=STRIPE_ID)]
# Members of Stripe's objects that tell of a person. They are shown when somebody asks for them.
PERSONAL: Final = frozenset(
    {
        *("address", "billing_details", "customer_address", "customer_details", "customer_email"),
        *("customer_name", "customer_phone", "customer_shipping", "customer_tax_ids", "email"),
        *("individual_name", "ip", "ip_address", "last4", "name", "phone", "receipt_email"),
        *("shipping", "shipping_details", "tax_ids"),
    }
)
FOLDED: Final = "(folded: tells of a person)"


class InboxQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The filters of the list."""

    verdict: Verdict | None = None
    type: Annotated[str, msgspec.Meta(pattern=EVENT_TYPE)] | None = None
    subscription_id: StripeId | None = None
    stripe_customer_id: StripeId | None = None
    account_id: forms.AccountText | None = None
    order: Literal["asc", "desc"] = "desc"
    cursor: forms.CursorText | None = None


@get(PATH, **reads(forms.names_of(InboxQuery)))
async def inbox(request: Request[Any, Any, Any], state: State) -> Response[Any]:
    """A page of events, the newest first."""
    asked = forms.query(request, InboxQuery)
    database: Database = state.book.database
    query = EventQuery(
        verdict=asked.verdict,
        type=asked.type,
        subscription_id=asked.subscription_id,
        customer_id=asked.stripe_customer_id,
        of_account=await entries.of_account(database, asked.account_id),
        order=asked.order,
    )
    page = await life_cycle.events(database, state.horizons, query, asked.cursor, ROWS)
    sent = forms.sent(asked)
    return show(
        request,
        "inbox.html",
        here=PATH,
        asked=sent,
        rows=page.rows,
        verdicts=forms.choices(Verdict),
        **forms.pages(PATH, sent, page.next_cursor),
    )


@get(f"{PATH}/{{event_id:str}}", **reads())
async def event(event_id: EventId, request: Request[Any, Any, Any], state: State) -> Response[Any]:
    """An event, the rulings on it, and the journals that it made."""
    database: Database = state.book.database
    row = await life_cycle.event(database, event_id)
    payload = orjson.loads(row["payload"])
    query = EntryQuery(event_id=event_id)
    made = await entries.page(database, state.horizons, query, None, JOURNALS_MAX)
    return show(
        request,
        "event.html",
        here=PATH,
        event=row,
        path=address(f"{PATH}/{event_id}"),
        folded=_written(folded(payload)),
        whole=_written(payload),
        deliveries=await life_cycle.deliveries(database, event_id),
        made=made.rows,
        policies=POLICIES,
    )


@post(f"{PATH}/{{event_id:str}}/replay", status_code=200, **corrects())
async def replay_event(
    event_id: EventId, request: Request[Any, Any, Any], state: State
) -> Response[Any]:
    """Try the event again: what was applied is not applied twice, so that it needs no dry run."""
    act = await form(request, forms.ActForm)
    came = await replay(state.book, event_id, forms.operator(request, act))
    told = f"The replay came to {came.outcome}: {came.reason}."
    good = came.verdict in (Verdict.APPLIED, Verdict.STALE, Verdict.IGNORED)
    return await done(request, address(f"{PATH}/{event_id}"), told, "good" if good else "warn")


def folded(value: Any) -> Any:
    """Return the same value without personal members; of empty or null ones nothing is told."""
    if isinstance(value, dict):
        return {
            name: FOLDED if name in PERSONAL and member else folded(member)
            for name, member in value.items()
        }
    return [folded(one) for one in value] if isinstance(value, list) else value


def _written(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
