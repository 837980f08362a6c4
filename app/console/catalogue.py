"""The catalogue page shows each version, its changes, and the accounts that a draft changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.params import PathParameter

from app.allowance import catalogues as applied
from app.allowance.catalogue import CatalogueError, diff, parse
from app.console import forms
from app.console.access import HOME, reads
from app.console.frame import show
from app.errors import RefusedError
from app.infrastructure import sql
from app.infrastructure.db import Database
from app.runs.catalogue_preview import Preview, preview
from app.web.http.forms import form

if TYPE_CHECKING:
    from app.console import row_types
    from app.tables.row_types import CataloguesRow


PATH: Final = f"{HOME}/catalogue"
ROWS: Final = 50
TEXT_CHARS_MAX: Final = 100_000
_LAST: Final = 2**63 - 1
_SQL: Final[row_types.CatalogueSql] = sql.beside(__file__)
Number = Annotated[int, PathParameter(ge=1, le=_LAST)]
Before = Annotated[int, msgspec.Meta(ge=1, le=_LAST)]


class VersionsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The page of the versions: those before one."""

    before: Before = _LAST


class DraftForm(forms.Form, frozen=True, kw_only=True):
    """A catalogue as it might be."""

    text: Annotated[str, msgspec.Meta(max_length=TEXT_CHARS_MAX)] = ""


@get(PATH, **reads(forms.names_of(VersionsQuery)))
async def catalogue(request: Request[Any, Any, Any], state: State) -> Response[Any]:
    """The one in force, the versions before it, and a place to try a draft."""
    asked = forms.query(request, VersionsQuery)
    database: Database = state.book.database
    rows = await database.fetch(_SQL["versions"](before=asked.before, limit=ROWS + 1))
    number, present = await state.book.catalogues.present(database)
    newest = await applied.newest(database)
    assert newest is not None
    return show(
        request,
        "catalogue.html",
        here=PATH,
        number=number,
        present=present,
        text=newest.content,
        rows=rows[:ROWS],
        next_path=f"{PATH}?before={rows[ROWS - 1]['id']}" if len(rows) > ROWS else None,
    )


@get(f"{PATH}/{{number:int}}", **reads())
async def version(number: Number, request: Request[Any, Any, Any], state: State) -> Response[Any]:
    """One version as it was applied, and what it changed."""
    database: Database = state.book.database
    row, before = await _version(database, number), None
    if number > 1:
        before = await database.fetchrow(_SQL["before"](id=number))
    changes = None
    if before is not None:
        old = parse(before["content"], f"catalogue {before['id']}")
        changes = diff(old, parse(row["content"], f"catalogue {number}"))
    return show(
        request,
        "catalogue_version.html",
        here=PATH,
        version=row,
        before=before and before["id"],
        changes=changes,
    )


@post(f"{PATH}/preview", status_code=200, **reads())
async def draft(request: Request[Any, Any, Any], state: State) -> Response[Any]:
    """Compare a draft with what is in force; nothing is applied."""
    sent = await form(request, DraftForm)
    database: Database = state.book.database
    newest = await applied.newest(database)
    assert newest is not None
    text = sent.text.replace("\r\n", "\n")
    problems: tuple[str, ...] = ()
    changes: list[str] = []
    found: Preview | None = None
    try:
        wanted = parse(text, "the draft")
    except CatalogueError as error:
        problems = error.problems
    else:
        changes = diff(parse(newest.content, "the catalogue in force"), wanted)
        if changes:
            async with state.reports.room():
                found = await preview(database, newest, wanted)
    return show(
        request,
        "catalogue_draft.html",
        here=PATH,
        status=400 if problems else 200,
        text=text,
        number=newest.id,
        problems=problems,
        changes=changes,
        found=found,
    )


async def _version(database: Database, number: int) -> CataloguesRow:
    row = await database.fetchrow(_SQL["version"](id=number))
    if row is None:
        raise RefusedError(f"No catalogue is number {number}.")
    return row
