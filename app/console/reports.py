"""Reports of the whole ledger, and exports that end in their own count and checksum."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, get
from litestar.datastructures import State

from app.audit import export
from app.audit.roll_forward import roll_forward
from app.audit.trial_balance import trial_balance
from app.console import forms
from app.console.access import reads
from app.console.frame import address, reader_zone, show
from app.console.ledger import PATH, LedgerQuery, When, entry_query
from app.errors import RefusedError
from app.html.pages import strict_headers
from app.infrastructure import clock
from app.infrastructure.db import Database
from app.web.exports import FORMS, FormName
from app.web.http.patterns import MONTH
from app.web.http.streamed import Streamed
from app.web.why import FLOWS

ROLL_FORWARD: Final = f"{PATH}/roll-forward"
TRIAL_BALANCE: Final = f"{PATH}/trial-balance"
EXPORT: Final = f"{PATH}/export"
MONTHS_SHOWN: Final = 13
_MICROSECOND: Final = timedelta(microseconds=1)


class RollQuery(msgspec.Struct, frozen=True, kw_only=True, rename={"from_": "from"}):
    """The time, and the account if it is of one alone; or a month of UTC."""

    from_: When | None = None
    to: When | None = None
    month: Annotated[str, msgspec.Meta(pattern=MONTH)] | None = None
    account_id: forms.AccountText | None = None


class TrialQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The instant as of which the ledger is summed up; `now` is the last that is complete."""

    as_of: When | None = None


class ExportQuery(LedgerQuery, frozen=True, kw_only=True):
    """The filters of the ledger's list, a month of UTC, and the form."""

    month: Annotated[str, msgspec.Meta(pattern=MONTH)] | None = None
    format: FormName = FormName.CSV


@get(ROLL_FORWARD, **reads(forms.names_of(RollQuery)))
async def roll_forward_page(request: Request[Any, Any, Any], state: State) -> Response[Any]:
    """Show the roll-forward: opening balance, movements, closing balance; only on request, since it
    reads much.
    """
    asked = forms.query(request, RollQuery)
    start, end = await _span(request, state, asked.month, asked.from_, asked.to)
    moved = None
    if start is not None and end is not None:
        async with state.reports.room():
            moved = await state.readings.ask(
                roll_forward, start, end, asked.account_id, by_lot_source=True, by_tier=True
            )
    return show(
        request,
        "roll_forward.html",
        here=PATH,
        asked=forms.sent(asked),
        moved=moved,
        flows=FLOWS,
        months=await _months(state.book.database),
        export_path=moved
        and address(
            f"{EXPORT}",
            account_id=asked.account_id,
            recorded_from=moved.start.isoformat(),
            recorded_to=moved.end.isoformat(),
        ),
    )


@get(TRIAL_BALANCE, **reads(forms.names_of(TrialQuery)))
async def trial_balance_page(request: Request[Any, Any, Any], state: State) -> Response[Any]:
    """Debits and credits of every account; asked for, since it reads all entries."""
    asked = forms.query(request, TrialQuery)
    stood = None
    if asked.as_of is not None:
        now = asked.as_of == "now"
        at = None if now else forms.instant(asked.as_of, reader_zone(request), "as_of")
        async with state.reports.room():
            stood = await state.readings.ask(trial_balance, at)
    return show(request, "trial_balance.html", here=PATH, as_of=asked.as_of or "now", stood=stood)


@get(EXPORT, **reads(forms.names_of(ExportQuery)))
async def export_page(request: Request[Any, Any, Any], state: State) -> Response[Any]:
    """The months to download, and how a file proves that nothing of it was cut off."""
    asked = forms.query(request, ExportQuery)
    return show(
        request,
        "export.html",
        here=PATH,
        asked=forms.sent(asked),
        months=await _months(state.book.database),
        forms=[(str(one), one.upper()) for one in FormName],
    )


@get(f"{EXPORT}/file", **reads(forms.names_of(ExportQuery)))
async def export_file(request: Request[Any, Any, Any], state: State) -> Streamed:
    """The entries as one file, as over HTTP: it ends in its count and checksum."""
    asked = forms.query(request, ExportQuery)
    state.exports.require_room()
    query = await entry_query(request, state, asked)
    if asked.month is not None:
        start, end = await _span(request, state, asked.month, None, None)
        query = msgspec.structs.replace(query, recorded_from=start, recorded_to=end)
    query = msgspec.structs.replace(query, order="asc")
    form = FORMS[asked.format]
    chunks = await state.readings.ask(export.begin, query, form)
    name = f"entries-{asked.month}" if asked.month else "entries"
    return Streamed(
        state.exports.counted(chunks),
        media_type=form.media_type,
        headers={
            **strict_headers(),
            "Content-Disposition": f'attachment; filename="{name}.{form.suffix}"',
        },
    )


async def _span(
    request: Request[Any, Any, Any],
    state: State,
    month: str | None,
    start: str | None,
    end: str | None,
) -> tuple[datetime | None, datetime | None]:
    """The time that is asked for; of a month that goes on, up to what is complete."""
    if month is not None:
        first = date.fromisoformat(f"{month}-01")
        begins = datetime(first.year, first.month, 1, tzinfo=UTC)
        after = (first + timedelta(days=32)).replace(day=1)
        ends = datetime(after.year, after.month, 1, tzinfo=UTC)
        known = (await state.horizons.find(state.book.database)).complete_to + _MICROSECOND
        if begins > known:
            raise RefusedError(f"{month} has not begun.")
        return begins, min(ends, known)
    if (start is None) != (end is None):
        raise RefusedError("Say from when, and until when.")
    zone = reader_zone(request)
    return forms.instant(start, zone, "from"), forms.instant(end, zone, "to")


async def _months(database: Database) -> list[date]:
    """The months that there may be entries of, this one first."""
    on = (await clock.now(database)).date().replace(day=1)
    first: datetime | None = await database.fetchval(
        "SELECT recorded_at FROM entries ORDER BY id LIMIT 1"
    )
    months = [on]
    while first is not None and len(months) < MONTHS_SHOWN and months[-1] > first.date():
        months.append((months[-1] - timedelta(days=1)).replace(day=1))
    return months
