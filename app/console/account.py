"""An account's life: what it has, its balance over time, and all that happened to it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from litestar import Request, Response, get
from litestar.datastructures import State

from app.accounts.view import view
from app.allowance.zones import day_of
from app.audit import entries
from app.audit.entries import OfAccount
from app.audit.explain import explain as explained
from app.audit.why import why as told_why
from app.console import forms, timeline
from app.console.access import HOME, reads
from app.console.accounts import PATH
from app.console.frame import address, reader_zone, show
from app.html.plots import Figure, Step, stepped
from app.infrastructure import clock, sql
from app.infrastructure.db import Database
from app.infrastructure.ids import AccountNumber
from app.web.http.parameters import AccountId
from app.web.http.patterns import MONTH
from app.web.why import FLOWS

if TYPE_CHECKING:
    from app.console import row_types


POINTS_MAX: Final = 2_000
ENTRIES_OF_LOT: Final = 10  # the newest; a link leads to all
_SQL: Final[row_types.AccountSql] = sql.beside(__file__)


class LifeQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The days of the plot, and the page of the line."""

    days: Literal["7", "30", "90", "365"] = "30"
    cursor: forms.CursorText | None = None
    until: datetime | None = None


class WhyQuery(msgspec.Struct, frozen=True, kw_only=True):
    """A date, or a month."""

    on: date | None = None
    month: Annotated[str, msgspec.Meta(pattern=MONTH)] | None = None


class ExplainQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The instant as of which the lots are told."""

    as_of: Annotated[str, msgspec.Meta(max_length=40)] | None = None


@get(f"{PATH}/{{account_id:str}}", **reads(forms.names_of(LifeQuery)))
async def account(
    account_id: AccountId, request: Request[Any, Any, Any], state: State
) -> Response[Any]:
    """Show one account: its credits, its balance as a plot, and its life as one line."""
    asked = forms.query(request, LifeQuery)
    database: Database = state.book.database
    stands = await view(state.book, account_id)
    owners = OfAccount(account_id, await entries.account_numbers(database, account_id))
    now = await clock.now(database)
    zone = reader_zone(request)
    start = now - timedelta(days=int(asked.days))
    figure = await _balance(database, owners.numbers, start, now, zone)
    line = await state.readings.ask(timeline.line, owners, asked.cursor, asked.until)
    here = f"{PATH}/{account_id}"
    on = day_of(stands.time_zone, now).on
    return show(
        request,
        "account.html",
        here=PATH,
        account=stands,
        path=address(here),
        now=now,
        on=on,
        yesterday=on - timedelta(days=1),
        months=_months(on),
        days=asked.days,
        figure=figure,
        line=timeline.grouped(line.happened),
        moved_from=account_id != stands.public_id,
        next_path=address(here, days=asked.days, cursor=line.next_cursor, until=line.until)
        if line.next_cursor
        else None,
        first_path=address(here, days=asked.days) if asked.cursor else None,
    )


@get(f"{PATH}/{{account_id:str}}/explain", **reads(forms.names_of(ExplainQuery)))
async def explain(
    account_id: AccountId, request: Request[Any, Any, Any], state: State
) -> Response[Any]:
    """Lot by lot what is left, in the order in which spends burn them."""
    asked = forms.query(request, ExplainQuery)
    as_of = forms.instant(asked.as_of, reader_zone(request), "as_of")
    stands = await view(state.book, account_id)
    async with state.reports.room():
        found = await state.readings.ask(explained, account_id, as_of)
    granted = await state.book.database.fetch(
        _SQL["granted"](lot_ids=[lot.number for lot in found.lots])
    )
    return show(
        request,
        "explain.html",
        here=PATH,
        account=stands,
        path=address(f"{PATH}/{account_id}"),
        as_of=asked.as_of or "",
        found=found,
        balance=found.free + found.held - found.debt,
        granted={row["id"]: row["granted"] for row in granted},
        shown=ENTRIES_OF_LOT,
    )


@get(f"{PATH}/{{account_id:str}}/why", **reads(forms.names_of(WhyQuery)))
async def why(
    account_id: AccountId, request: Request[Any, Any, Any], state: State
) -> Response[Any]:
    """Show where the credits of a day or a month went."""
    asked = forms.query(request, WhyQuery)
    first = None if asked.month is None else date.fromisoformat(f"{asked.month}-01")
    async with state.reports.room():
        told = await state.readings.ask(told_why, account_id, asked.on, first)
    path = f"{PATH}/{account_id}"
    before, after = _beside(told.on, told.days)
    span = {
        "account_id": account_id,
        "recorded_from": told.flows.start.isoformat(),
        "recorded_to": told.flows.end.isoformat(),
    }
    return show(
        request,
        "why.html",
        here=PATH,
        account_id=account_id,
        path=address(path),
        told=told,
        sums=[(name, getattr(told.flows, name)) for name in FLOWS],
        entries_path=address(f"{HOME}/ledger", **span),
        spends_path=address(f"{HOME}/ledger", kind="spend", **span),
        month=f"{told.on:%Y-%m}",
        before_path=_why_path(path, before, told.days),
        after_path=None if told.going_on else _why_path(path, after, told.days),
    )


def _why_path(path: str, on: date, days: int) -> str:
    if days > 1:
        return address(f"{path}/why", month=f"{on:%Y-%m}")
    return address(f"{path}/why", on=on.isoformat())


def _beside(on: date, days: int) -> tuple[date, date]:
    if days == 1:
        return on - timedelta(days=1), on + timedelta(days=1)
    return (on - timedelta(days=1)).replace(day=1), on + timedelta(days=days)


def _months(on: date) -> list[date]:
    """This month and the two before it."""
    this = on.replace(day=1)
    last = (this - timedelta(days=1)).replace(day=1)
    return [this, last, (last - timedelta(days=1)).replace(day=1)]


async def _balance(
    database: Database, numbers: Sequence[AccountNumber], start: datetime, end: datetime, zone: Any
) -> Figure:
    """The balance as it stepped; of several accounts that were joined, their sum."""
    given = {"account_ids": list(numbers), "since": start}
    rows = await database.fetch(_SQL["balances"](limit=POINTS_MAX, **given))
    cut = len(rows) == POINTS_MAX
    if cut:  # older ones are not drawn: the line begins where they are known
        start = rows[-1]["recorded_at"]
        given["since"] = start
        rows = [row for row in rows if row["recorded_at"] > start]
    before = await database.fetch(_SQL["before"](**given))
    standing = dict.fromkeys(numbers, 0) | {row["account_id"]: row["balance"] for row in before}
    steps = [Step(start, sum(standing.values()))]
    for row in reversed(rows):
        standing[row["account_id"]] = row["balance"]
        if steps[-1].at == row["recorded_at"]:
            steps.pop()  # a journal's entries, of which the last tells the balance
        steps.append(Step(row["recorded_at"], sum(standing.values())))
    return stepped(steps, start, end, title="Balance", zone=zone)
