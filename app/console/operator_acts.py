"""The corrections page lists operators' acts, the newest first, and the reversals under way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from litestar import Request, Response, get
from litestar.datastructures import State

from app.console import forms
from app.console.access import HOME, reads
from app.console.frame import address, show
from app.console.reversals import POLICIES
from app.infrastructure import sql
from app.infrastructure.db import Database
from app.operators.acts import OperatorAct

if TYPE_CHECKING:
    from app.console import row_types


PATH: Final = f"{HOME}/corrections"
ROWS: Final = 50
_LAST: Final = 2**63 - 1
_SQL: Final[row_types.OperatorActsSql] = sql.beside(__file__)
Before = Annotated[int, msgspec.Meta(ge=1, le=_LAST)]


class ActsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of act alone, and the page: those before one."""

    act: OperatorAct | None = None
    before: Before = _LAST


@get(PATH, **reads(forms.names_of(ActsQuery)))
async def corrections(request: Request[Any, Any, Any], state: State) -> Response[Any]:
    """List the acts of operators, with the reversals that go on, and links to correct something."""
    asked = forms.query(request, ActsQuery)
    database: Database = state.book.database
    rows = await database.fetch(_SQL["newest"](act=asked.act, before=asked.before, limit=ROWS + 1))
    more = len(rows) > ROWS
    rows = rows[:ROWS]
    return show(
        request,
        "corrections.html",
        here=PATH,
        act=asked.act or "",
        rows=rows,
        kinds=forms.choices(OperatorAct),
        going=await database.fetch(_SQL["going"]()),
        policies=POLICIES,
        next_path=address(PATH, act=asked.act, before=rows[-1]["id"]) if more else None,
        first_path=address(PATH, act=asked.act) if asked.before != _LAST else None,
    )
