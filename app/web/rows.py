"""From a row to the view whose members have the names of its columns."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final, TypeVar

from app.infrastructure import ids
from app.infrastructure.db import Record
from app.web.instants import maybe
from app.web.views import View

Answer = TypeVar("Answer", bound=View)
# Numbers of rows of ours leave under their public ids; Stripe's ids are text already.
_PREFIXES: Final = {
    "journal_id": ids.JOURNAL,
    "reverses_journal_id": ids.JOURNAL,
    "hold_id": ids.HOLD,
    "run_id": ids.RUN,
}


def told(kind: type[Answer], row: Record | Mapping[str, object], **given: object) -> Answer:
    """The view: of each member what is given, else what its column holds, as the API writes it.

    Entries are told by hand: an export writes millions.
    """
    members = {
        name: given[name] if name in given else _plain(name, row[name])
        for name in kind.__struct_fields__
    }
    return kind(**members)


def _plain(name: str, value: object) -> object:
    if isinstance(value, datetime):
        return maybe(value)
    if isinstance(value, int) and name in _PREFIXES:
        return ids.public(_PREFIXES[name], value)
    return value
