"""List operators' acts for auditors, with the operator, the account or subject, and the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from app.audit import cursor as cursors
from app.audit.cursor import Page
from app.audit.horizon import Horizons
from app.infrastructure import sql
from app.infrastructure.db import Database

if TYPE_CHECKING:
    from app.audit import row_types


_SQL: Final[row_types.OperatorActsSql] = sql.beside(__file__)


async def acts(
    database: Database, horizons: Horizons, act: str | None, cursor: str | None, limit: int
) -> Page[row_types.OperatorActsActs]:
    """Return one page by id, oldest first; accounts have their present public id.

    Raises InvalidCursorError.
    """
    query = ("operator_acts", act)
    rows = await database.fetch(
        _SQL["acts"](
            after=cursors.decode_number(cursor, query),
            horizon=await horizons.of(database, "operator_acts"),
            act=act,
            limit=limit + 1,
        )
    )
    return cursors.page(rows, limit, query)
