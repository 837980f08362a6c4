"""What auditors ask the ledger: entries, one journal, a balance."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import get
from litestar.datastructures import State
from litestar.params import FromQuery, PathParameter, QueryParameter

from app.audit import entries, journals
from app.audit.balance import balance
from app.audit.entries import EntryQuery
from app.infrastructure import ids
from app.ledger.kinds import Kind
from app.web import answers, problems, views
from app.web.access import Access, access
from app.web.parameters import AccountId, At, Cursor, Limit, moment
from app.web.patterns import ACCOUNT_ID, STRIPE_ID, id_pattern

JournalId = Annotated[str, PathParameter(pattern=id_pattern(ids.JOURNAL))]
JournalFilter = Annotated[str | None, QueryParameter(pattern=id_pattern(ids.JOURNAL))]
RunFilter = Annotated[str | None, QueryParameter(pattern=id_pattern(ids.RUN))]
LotFilter = Annotated[str | None, QueryParameter(pattern=id_pattern(ids.LOT))]
HoldFilter = Annotated[str | None, QueryParameter(pattern=id_pattern(ids.HOLD))]
EventFilter = Annotated[str | None, QueryParameter(pattern=STRIPE_ID)]
AccountFilter = Annotated[str | None, QueryParameter(pattern=ACCOUNT_ID)]
NO_ROW = 0  # an id that no row has: a well-formed id of nothing lists nothing


def number_of(prefix: str, text: str | None) -> int | None:
    """A filter's row number: None filters nothing."""
    return None if text is None else ids.number(prefix, text) or NO_ROW


@get(
    "/api/v1/ledger/entries",
    responses=problems.declared(400, 401, 403, 422),
    tags=["Ledger"],
    **access(Access.AUDITOR),
)
async def list_entries(
    state: State, account_id: AccountFilter = None, kind: FromQuery[Kind | None] = None,
    journal_id: JournalFilter = None, run_id: RunFilter = None, event_id: EventFilter = None,
    lot_id: LotFilter = None, hold_id: HoldFilter = None, effective_from: At = None,
    effective_to: At = None, recorded_from: At = None, recorded_to: At = None,
    order: FromQuery[Literal["asc", "desc"]] = "asc", cursor: Cursor = None, limit: Limit = 100,
) -> views.EntryList:  # fmt: skip
    """Entries by id, filtered; following `next_cursor` neither skips nor repeats."""
    database = state.book.database
    query = EntryQuery(
        of_account=await entries.of_account(database, account_id),
        kind=kind,
        journal_id=number_of(ids.JOURNAL, journal_id),
        run_id=number_of(ids.RUN, run_id),
        event_id=event_id,
        lot_id=number_of(ids.LOT, lot_id),
        hold_id=number_of(ids.HOLD, hold_id),
        effective_from=moment(effective_from, "effective_from"),
        effective_to=moment(effective_to, "effective_to"),
        recorded_from=moment(recorded_from, "recorded_from"),
        recorded_to=moment(recorded_to, "recorded_to"),
        order=order,
    )
    return answers.entries(await entries.page(database, state.horizons, query, cursor, limit))


@get(
    "/api/v1/ledger/journals/{journal_id:str}",
    responses=problems.declared(400, 401, 403, 404),
    tags=["Ledger"],
    **access(Access.AUDITOR),
)
async def get_journal(journal_id: JournalId, state: State) -> views.JournalAnswer:
    """One act: who, why, when, from what source, and its entries."""
    number = ids.number(ids.JOURNAL, journal_id)
    return answers.journal(*await journals.find(state.book.database, number, journal_id))


@get(
    "/api/v1/accounts/{account_id:str}/balance",
    responses=problems.declared(400, 401, 403, 404, 422),
    tags=["Accounts"],
    **access(Access.SERVICE_OR_AUDITOR),
)
async def get_balance(account_id: AccountId, state: State, as_of: At = None) -> views.BalanceAnswer:
    """The balance as the ledger stood: now, or as of an instant up to `complete_to`."""
    at = moment(as_of, "as_of")
    return answers.balance(await balance(state.book.database, state.horizons, account_id, at))
