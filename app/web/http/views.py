"""Root of the API's answers, and the one way from a row or a domain struct to an answer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, TypeVar

import msgspec

from app.infrastructure import ids
from app.infrastructure.db import Record
from app.web.http.instants import instant_or_none


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Root of all answers: frozen structs, never tables."""


Answer = TypeVar("Answer", bound=View)
Number = TypeVar("Number", bound=int)
# Numbers of rows of ours leave under their public ids; Stripe's ids are text already.
_PREFIXES: Final[Mapping[str, ids.Prefix[Any]]] = {
    "journal_id": ids.JOURNAL,
    "of_journal_id": ids.JOURNAL,
    "reverses_journal_id": ids.JOURNAL,
    "hold_id": ids.HOLD,
    "run_id": ids.RUN,
    "of_run_id": ids.RUN,
}


def view_of(
    kind: type[Answer], source: Record | Mapping[str, object] | msgspec.Struct, **given: object
) -> Answer:
    """Build the answer: each member is what is given, else the source's member of that name.

    Spends and entries are built by hand: an export writes millions of entries.
    """
    row = msgspec.structs.asdict(source) if isinstance(source, msgspec.Struct) else source
    members = {
        name: given[name] if name in given else _written(name, row[name])
        for name in kind.__struct_fields__
    }
    return kind(**members)


def public_or_none(prefix: ids.Prefix[Number], number: Number | None) -> str | None:
    """The public id, None for None."""
    return None if number is None else ids.public(prefix, number)


def _written(name: str, value: object) -> object:
    if isinstance(value, datetime):
        return instant_or_none(value)
    if isinstance(value, int) and name in _PREFIXES:
        return ids.public(_PREFIXES[name], value)
    return value
