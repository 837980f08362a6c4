"""Ledger entries: a page of them, one journal with its own, and all of them as an export."""

from __future__ import annotations

from typing import Annotated, Literal

import orjson
from litestar import get
from litestar.datastructures import State
from litestar.params import FromQuery, PathParameter

from app.audit import entries, journals
from app.audit.entries import EntryQuery
from app.infrastructure import ids
from app.infrastructure.db import Record
from app.ledger.idempotency import key_if_given
from app.ledger.kinds import Kind, LotSource
from app.web.http import problems
from app.web.http.access import Access, access
from app.web.http.instants import Instant, instant
from app.web.http.parameters import (
    AccountFilter,
    At,
    Cursor,
    EventFilter,
    HoldFilter,
    JournalFilter,
    KeyFilter,
    LabelFilter,
    Limit,
    LotFilter,
    MemberFilter,
    RunFilter,
    instant_if_given,
    row_number,
)
from app.web.http.patterns import id_pattern
from app.web.http.views import View, public_or_none, view_of

JournalId = Annotated[str, PathParameter(pattern=id_pattern(ids.JOURNAL))]


class EntryAnswer(View, frozen=True, kw_only=True):
    """One immutable row of the ledger."""

    id: str
    journal_id: str
    kind: str
    account_id: str | None
    debit: str
    credit: str
    amount: int
    change: int
    balance_after: int
    lot_id: str
    lot_source: str
    hold_id: str | None
    event_id: str | None
    run_id: str | None
    reverses_entry_id: str | None
    idempotency_key: str | None
    effective_at: Instant
    recorded_at: Instant
    source: str
    actor: str
    reason: str | None
    label: str | None
    member: str | None


class EntryList(View, frozen=True, kw_only=True):
    """A page of entries; every entry recorded by ``complete_to`` is decided."""

    data: list[EntryAnswer]
    next_cursor: str | None
    complete_to: Instant


class JournalAnswer(View, frozen=True, kw_only=True):
    """The header of one act, and its entries."""

    id: str
    kind: str
    source: str
    actor: str
    reason: str | None
    metadata: dict[str, str] | None
    label: str | None
    member: str | None
    event_id: str | None
    run_id: str | None
    reverses_journal_id: str | None
    idempotency_key: str | None
    effective_at: Instant
    recorded_at: Instant
    entries: list[EntryAnswer]


@get(
    "/api/v1/ledger/entries",
    responses=problems.declared(400, 401, 403, 422),
    tags=["Ledger"],
    **access(Access.AUDITOR),
)
async def list_entries(
    state: State,
    account_id: AccountFilter = None,
    kind: FromQuery[Kind | None] = None,
    journal_id: JournalFilter = None,
    run_id: RunFilter = None,
    event_id: EventFilter = None,
    lot_id: LotFilter = None,
    hold_id: HoldFilter = None,
    lot_source: FromQuery[LotSource | None] = None,
    idempotency_key: KeyFilter = None,
    label: LabelFilter = None,
    member: MemberFilter = None,
    effective_from: At = None,
    effective_to: At = None,
    recorded_from: At = None,
    recorded_to: At = None,
    order: FromQuery[Literal["asc", "desc"]] = "asc",
    cursor: Cursor = None,
    limit: Limit = 100,
) -> EntryList:
    """List entries by id, filtered. Who follows `next_cursor` misses none and gets none twice."""
    database = state.book.database
    query = EntryQuery(
        of_account=await entries.of_account(database, account_id),
        kind=kind,
        journal_id=row_number(ids.JOURNAL, journal_id),
        run_id=row_number(ids.RUN, run_id),
        event_id=event_id,
        lot_id=row_number(ids.LOT, lot_id),
        hold_id=row_number(ids.HOLD, hold_id),
        lot_source=lot_source,
        idempotency_key=key_if_given(idempotency_key, state.key_secret),
        label=label,
        member=member,
        effective_from=instant_if_given(effective_from, "effective_from"),
        effective_to=instant_if_given(effective_to, "effective_to"),
        recorded_from=instant_if_given(recorded_from, "recorded_from"),
        recorded_to=instant_if_given(recorded_to, "recorded_to"),
        order=order,
    )
    page = await state.readings.ask(entries.page, query, cursor, limit)
    return EntryList(
        data=[entry_answer(row) for row in page.rows],
        next_cursor=page.next_cursor,
        complete_to=instant(page.horizon.complete_to),
    )


@get(
    "/api/v1/ledger/journals/{journal_id:str}",
    responses=problems.declared(400, 401, 403, 404),
    tags=["Ledger"],
    **access(Access.AUDITOR),
)
async def get_journal(journal_id: JournalId, state: State) -> JournalAnswer:
    """Return one journal with its actor, reason, time, source and entries."""
    number = ids.number(ids.JOURNAL, journal_id)
    row, its_entries = await state.readings.ask_posted(journals.find, number, journal_id)
    return view_of(
        JournalAnswer,
        row,
        id=journal_id,
        metadata=None if row["metadata"] is None else orjson.loads(row["metadata"]),
        entries=[entry_answer(one) for one in its_entries],
    )


def entry_answer(row: Record) -> EntryAnswer:
    """The entry's answer."""
    return EntryAnswer(
        id=ids.public(ids.ENTRY, row["id"]),
        journal_id=ids.public(ids.JOURNAL, row["journal_id"]),
        kind=row["kind"],
        account_id=row["account_id"],
        debit=row["debit"],
        credit=row["credit"],
        amount=row["amount"],
        change=row["change"],
        balance_after=row["balance_after"],
        lot_id=ids.public(ids.LOT, row["lot_id"]),
        lot_source=row["lot_source"],
        hold_id=public_or_none(ids.HOLD, row["hold_id"]),
        event_id=row["event_id"],
        run_id=public_or_none(ids.RUN, row["run_id"]),
        reverses_entry_id=public_or_none(ids.ENTRY, row["reverses_entry_id"]),
        idempotency_key=row["idempotency_key"],
        effective_at=instant(row["effective_at"]),
        recorded_at=instant(row["recorded_at"]),
        source=row["source"],
        actor=row["actor"],
        reason=row["reason"],
        label=row["label"],
        member=row["member"],
    )
