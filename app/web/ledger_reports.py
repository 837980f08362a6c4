"""Reports on the ledger: trial balance, roll-forward, export, and a balance explained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from litestar import get
from litestar.datastructures import State
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, OpenAPIType, Operation, Schema
from litestar.params import FromQuery, QueryParameter

from app.audit import entries, export
from app.audit.entries import EntryQuery
from app.audit.explain import explain
from app.audit.roll_forward import roll_forward
from app.audit.trial_balance import trial_balance
from app.infrastructure import ids
from app.ledger.kinds import Kind
from app.web import problems, report_answers, report_views
from app.web.access import Access, access
from app.web.export_forms import FORMS, FormName
from app.web.instants import INSTANT_PATTERN
from app.web.ledger import AccountFilter, EventFilter, JournalFilter, RunFilter, number_of
from app.web.parameters import AccountId, At, moment
from app.web.streamed import Streamed

From = Annotated[
    str,
    QueryParameter(name="from", pattern=INSTANT_PATTERN, description="The first instant within."),
]
To = Annotated[
    str, QueryParameter(pattern=INSTANT_PATTERN, description="The first instant after; RFC 3339.")
]


@get(
    "/api/v1/ledger/trial-balance",
    responses=problems.declared(400, 401, 403, 422),
    tags=["Ledger"],
    **access(Access.AUDITOR),
)
async def get_trial_balance(state: State, as_of: At = None) -> report_views.TrialBalanceAnswer:
    """Debits and credits of every account as the ledger stood: at `complete_to`, or `as_of`."""
    at = moment(as_of, "as_of")
    stood = await trial_balance(state.book.database, state.horizons, at)
    return report_answers.trial_balance(stood)


@get(
    "/api/v1/ledger/roll-forward",
    responses=problems.declared(400, 401, 403, 404, 422),
    tags=["Ledger"],
    **access(Access.AUDITOR),
)
async def get_roll_forward(
    state: State, from_: From, to: To, account_id: AccountFilter = None
) -> report_views.RollForwardAnswer:
    """What came and went in `[from, to)` by `recorded_at`, closing to the credit."""
    start, end = moment(from_, "from"), moment(to, "to")
    assert start is not None
    assert end is not None
    moved = await roll_forward(state.book.database, state.horizons, start, end, account_id)
    return report_answers.roll_forward(moved)


@dataclass
class ExportOperation(Operation):
    """The export's 200 has a media type for each form, of which Litestar describes one."""

    def __post_init__(self) -> None:
        assert self.responses is not None
        self.responses["200"] = OpenAPIResponse(
            description=EXPORT_ANSWER,
            content={
                form.media_type: OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING))
                for form in FORMS.values()
            },
        )


EXPORT_ANSWER: Final = (
    "One entry a line, by id, with the members of an entry of `/api/v1/ledger/entries`; where the "
    "last line is not the count and the SHA-256 of all bytes before that line, the export was cut "
    "off. CSV begins with the names; in its free text (account_id, idempotency_key, event_id, "
    "actor, reason) what begins with = + - @ ' tab or line end has one ' put before it."
)


@get(
    "/api/v1/ledger/export",
    responses=problems.declared(400, 401, 403, 422),
    tags=["Ledger"],
    operation_class=ExportOperation,
    **access(Access.AUDITOR),
)
async def export_entries(
    state: State, format: FromQuery[FormName] = FormName.NDJSON,
    account_id: AccountFilter = None, kind: FromQuery[Kind | None] = None,
    journal_id: JournalFilter = None, run_id: RunFilter = None, event_id: EventFilter = None,
    effective_from: At = None, effective_to: At = None, recorded_from: At = None,
    recorded_to: At = None,
) -> Streamed:  # fmt: skip
    """All entries, filtered, as one stream out of one snapshot; it ends in count and checksum."""
    database, exports, form = state.book.database, state.exports, FORMS[format]
    exports.require_room()
    query = EntryQuery(
        of_account=await entries.of_account(database, account_id),
        kind=kind,
        journal_id=number_of(ids.JOURNAL, journal_id),
        run_id=number_of(ids.RUN, run_id),
        event_id=event_id,
        effective_from=moment(effective_from, "effective_from"),
        effective_to=moment(effective_to, "effective_to"),
        recorded_from=moment(recorded_from, "recorded_from"),
        recorded_to=moment(recorded_to, "recorded_to"),
    )
    chunks = export.stream(database, await state.horizons.find(database), query, form)
    return Streamed(
        exports.counted(chunks),
        media_type=form.media_type,
        headers={"Content-Disposition": f'attachment; filename="entries.{form.suffix}"'},
    )


@get(
    "/api/v1/accounts/{account_id:str}/balance/explain",
    responses=problems.declared(400, 401, 403, 404),
    tags=["Accounts"],
    **access(Access.SERVICE_OR_AUDITOR),
)
async def explain_balance(account_id: AccountId, state: State) -> report_views.ExplainAnswer:
    """Lot by lot what is free and held as posted, with the journals and events behind each."""
    return report_answers.explained(account_id, await explain(state.book.database, account_id))
