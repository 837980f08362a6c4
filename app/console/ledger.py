"""The ledger: entries by every filter, one journal, and what may be corrected of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
import orjson
from litestar import Request, Response, get
from litestar.datastructures import State
from litestar.params import PathParameter

from app.audit import entries, journals
from app.audit.entries import EntryQuery
from app.console import forms, timeline
from app.console.access import HOME, reads
from app.console.frame import address, reader_zone, show
from app.console.reversals import POLICIES
from app.infrastructure import ids
from app.infrastructure.db import Database
from app.ledger.idempotency import key_if_given
from app.ledger.kinds import Act, Kind, LotSource
from app.web.http.parameters import row_number
from app.web.http.patterns import KEY, LABEL, STRIPE_ID, id_pattern

if TYPE_CHECKING:
    from app.audit.row_types import EntriesOfJournal


PATH: Final = f"{HOME}/ledger"
ROWS: Final = 100
LOOKED_MAX: Final = 20_000  # of a page by kind or source alone, some 30 ms
JournalId = Annotated[str, PathParameter(pattern=id_pattern(ids.JOURNAL))]
When = Annotated[str, msgspec.Meta(max_length=40)]
Label = Annotated[str, msgspec.Meta(pattern=LABEL)]
REVERSIBLE: Final = frozenset(
    {
        *(Act.SPEND, Act.CAPTURE, Act.PART_CAPTURE, Act.RETURN, Act.GRANT, Act.OPENING),
        *(Act.TOP_UP, Act.PURCHASE, Act.ADJUSTMENT),
    }
)
SPENT: Final = frozenset({Act.SPEND, Act.CAPTURE, Act.PART_CAPTURE})


def of(prefix: str) -> Any:
    """The type of an id of ours with this prefix."""
    return Annotated[str, msgspec.Meta(pattern=id_pattern(prefix))]


class LedgerQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The filters of the list."""

    account_id: forms.AccountText | None = None
    kind: Kind | None = None
    journal_id: of(ids.JOURNAL) | None = None  # type: ignore[valid-type]
    run_id: of(ids.RUN) | None = None  # type: ignore[valid-type]
    event_id: Annotated[str, msgspec.Meta(pattern=STRIPE_ID)] | None = None
    lot_id: of(ids.LOT) | None = None  # type: ignore[valid-type]
    hold_id: of(ids.HOLD) | None = None  # type: ignore[valid-type]
    lot_source: LotSource | None = None
    idempotency_key: Annotated[str, msgspec.Meta(pattern=KEY)] | None = None
    label: Label | None = None
    member: Label | None = None
    effective_from: When | None = None
    effective_to: When | None = None
    recorded_from: When | None = None
    recorded_to: When | None = None
    order: Literal["asc", "desc"] = "desc"
    cursor: forms.CursorText | None = None


@get(PATH, **reads(forms.names_of(LedgerQuery)))
async def ledger(request: Request[Any, Any, Any], state: State) -> Response[Any]:
    """A page of entries, the newest first."""
    asked = forms.query(request, LedgerQuery)
    query = await entry_query(request, state, asked)
    page = await state.readings.ask(entries.page, query, asked.cursor, ROWS, LOOKED_MAX)
    sent = forms.sent(asked)
    return show(
        request,
        "ledger.html",
        here=PATH,
        asked=sent,
        filtered=bool(sent.keys() - {"order", "cursor"}),
        rows=page.rows,
        looked=forms.looked(page.rows, ROWS, page.next_cursor, LOOKED_MAX),
        complete_to=page.horizon.complete_to,
        kinds=forms.choices(Kind),
        sources=forms.choices(LotSource),
        **forms.pages(PATH, sent, page.next_cursor),
    )


async def entry_query(
    request: Request[Any, Any, Any], state: State, asked: LedgerQuery
) -> EntryQuery:
    """The filters as the ledger reads them."""
    database: Database = state.book.database
    zone = reader_zone(request)
    return EntryQuery(
        of_account=await entries.of_account(database, asked.account_id),
        kind=asked.kind,
        journal_id=row_number(ids.JOURNAL, asked.journal_id),
        run_id=row_number(ids.RUN, asked.run_id),
        event_id=asked.event_id,
        lot_id=row_number(ids.LOT, asked.lot_id),
        hold_id=row_number(ids.HOLD, asked.hold_id),
        lot_source=asked.lot_source,
        idempotency_key=key_if_given(asked.idempotency_key, state.key_secret),
        label=asked.label,
        member=asked.member,
        effective_from=forms.instant(asked.effective_from, zone, "effective_from"),
        effective_to=forms.instant(asked.effective_to, zone, "effective_to"),
        recorded_from=forms.instant(asked.recorded_from, zone, "recorded_from"),
        recorded_to=forms.instant(asked.recorded_to, zone, "recorded_to"),
        order=asked.order,
    )


@get(f"{PATH}/journals/{{journal_id:str}}", **reads())
async def journal(
    journal_id: JournalId, request: Request[Any, Any, Any], state: State
) -> Response[Any]:
    """One act: who, why, when, its entries, and the event behind it."""
    database: Database = state.book.database
    row, its_entries = await journals.find(
        database, ids.number(ids.JOURNAL, journal_id), journal_id
    )
    reversed_by = await database.fetchrow(
        "SELECT id FROM reversals WHERE of_journal_id = $1", row["id"]
    )
    kind = Act(row["kind"])
    return show(
        request,
        "journal.html",
        here=PATH,
        journal=row,
        journal_id=journal_id,
        title=timeline.journal_title(kind),
        told=timeline.moved(its_entries),
        metadata=None if row["metadata"] is None else orjson.loads(row["metadata"]),
        rows=its_entries,
        account_id=_account(its_entries),
        change=sum(one["change"] for one in its_entries),
        reversal=reversed_by and ids.public(ids.REVERSAL, reversed_by["id"]),
        reversible=kind in REVERSIBLE and reversed_by is None and bool(its_entries),
        spent=kind in SPENT and reversed_by is None,
        policies=POLICIES,
        path=f"{PATH}/journals/{journal_id}",
        account_path=address(f"{HOME}/accounts/{_account(its_entries)}"),
    )


def _account(rows: list[EntriesOfJournal]) -> str | None:
    return rows[0]["account_id"] if rows else None
