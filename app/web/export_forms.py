"""The forms of an export: NDJSON and CSV, each entry with the members of ``EntryAnswer``."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

import msgspec

from app.audit.export import Ending, Form
from app.infrastructure.db import Record
from app.web.answers import entry
from app.web.instants import instant
from app.web.views import EntryAnswer

_ENCODER: Final = msgspec.json.Encoder()
COLUMNS: Final = EntryAnswer.__struct_fields__
# What people or other programs wrote: a spreadsheet must not take it for a formula.
FREE_TEXT: Final = frozenset({"account_id", "idempotency_key", "event_id", "actor", "reason"})
# The quote is among them so that taking one off always gives back what stood.
FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "'")


class FormName(StrEnum):
    """The forms there are."""

    NDJSON = "ndjson"
    CSV = "csv"


def _ndjson_rows(rows: Sequence[Record]) -> bytes:
    return _ENCODER.encode_lines([entry(row) for row in rows])


def _ndjson_end(ending: Ending) -> bytes:
    last = {**msgspec.structs.asdict(ending), "complete_to": instant(ending.complete_to)}
    return _ENCODER.encode_lines([last])


def _csv(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _csv_rows(rows: Sequence[Record]) -> bytes:
    return _csv([[_cell(name, getattr(one, name)) for name in COLUMNS] for one in map(entry, rows)])


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
