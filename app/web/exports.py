"""Exports: all entries as one stream, in NDJSON or CSV, each with the members of an entry."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec
from litestar import get
from litestar.datastructures import State
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, OpenAPIType, Operation, Schema
from litestar.params import FromQuery

from app.audit import entries, export
from app.audit.entries import EntryQuery
from app.audit.export import Ending, Form
from app.infrastructure import ids
from app.infrastructure.db import Record
from app.ledger.idempotency import key_if_given
from app.ledger.kinds import Kind, LotSource
from app.web.entries import EntryAnswer, entry_answer
from app.web.http import problems
from app.web.http.access import Access, access
from app.web.http.instants import instant
from app.web.http.parameters import (
    AccountFilter,
    At,
    EventFilter,
    JournalFilter,
    KeyFilter,
    LabelFilter,
    MemberFilter,
    RunFilter,
    instant_if_given,
    row_number,
)
from app.web.http.streamed import Streamed

COLUMNS: Final = EntryAnswer.__struct_fields__
# What people or other programs wrote: a spreadsheet must not take it for a formula.
FREE_TEXT: Final = frozenset(
    ("account_id", "idempotency_key", "event_id", "actor", "reason", "label", "member")
)
# The quote is among them so that taking one off always gives back what stood.
FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "'")
EXPORT_ANSWER: Final = (
    "One entry a line, by id, with the members of an entry of `/api/v1/ledger/entries`; where the "
    "last line is not the count and the SHA-256 of all bytes before that line, the export was cut "
    "off. CSV begins with the names; in its free text (account_id, idempotency_key, event_id, "
    "actor, reason, label, member) what begins with = + - @ ' tab or line end has one ' put before "
    "it."
)
_ENCODER: Final = msgspec.json.Encoder()


class FormName(StrEnum):
    """The forms there are."""

    NDJSON = "ndjson"
    CSV = "csv"


def _ndjson_rows(rows: Sequence[Record]) -> bytes:
    return _ENCODER.encode_lines([entry_answer(row) for row in rows])


def _ndjson_end(ending: Ending) -> bytes:
    last = {**msgspec.structs.asdict(ending), "complete_to": instant(ending.complete_to)}
    return _ENCODER.encode_lines([last])


def _csv(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _csv_rows(rows: Sequence[Record]) -> bytes:
    answers = map(entry_answer, rows)
    return _csv([[_cell(name, getattr(one, name)) for name in COLUMNS] for one in answers])


def _cell(name: str, value: object) -> object:
    if name in FREE_TEXT and isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return value


def _csv_end(ending: Ending) -> bytes:
    told = [
        *("#count", ending.count),
        *("sha256", ending.sha256),
        *("complete_to", instant(ending.complete_to)),
        *("epoch", ending.epoch),
    ]
    return _csv([told])


FORMS: Final[Mapping[FormName, Form]] = {
    FormName.NDJSON: Form("application/x-ndjson", "ndjson", b"", _ndjson_rows, _ndjson_end),
    FormName.CSV: Form("text/csv", "csv", _csv([COLUMNS]), _csv_rows, _csv_end),
}


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


@get(
    "/api/v1/ledger/export",
    responses=problems.declared(400, 401, 403, 422),
    tags=["Ledger"],
    operation_class=ExportOperation,
    **access(Access.AUDITOR),
)
async def export_entries(
    state: State,
    format: FromQuery[FormName] = FormName.NDJSON,
    account_id: AccountFilter = None,
    kind: FromQuery[Kind | None] = None,
    journal_id: JournalFilter = None,
    run_id: RunFilter = None,
    event_id: EventFilter = None,
    lot_source: FromQuery[LotSource | None] = None,
    idempotency_key: KeyFilter = None,
    label: LabelFilter = None,
    member: MemberFilter = None,
    effective_from: At = None,
    effective_to: At = None,
    recorded_from: At = None,
    recorded_to: At = None,
) -> Streamed:
    """Stream all entries, filtered, out of one snapshot; it ends in their count and a checksum."""
    database, exports, form = state.book.database, state.exports, FORMS[format]
    exports.require_room()
    query = EntryQuery(
        of_account=await entries.of_account(database, account_id),
        kind=kind,
        journal_id=row_number(ids.JOURNAL, journal_id),
        run_id=row_number(ids.RUN, run_id),
        event_id=event_id,
        lot_source=lot_source,
        idempotency_key=key_if_given(idempotency_key, state.key_secret),
        label=label,
        member=member,
        effective_from=instant_if_given(effective_from, "effective_from"),
        effective_to=instant_if_given(effective_to, "effective_to"),
        recorded_from=instant_if_given(recorded_from, "recorded_from"),
        recorded_to=instant_if_given(recorded_to, "recorded_to"),
    )
    chunks = await state.readings.ask(export.begin, query, form)
    return Streamed(
        exports.counted(chunks),
        media_type=form.media_type,
        headers={"Content-Disposition": f'attachment; filename="entries.{form.suffix}"'},
    )
