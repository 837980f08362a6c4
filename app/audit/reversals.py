"""List reversals for auditors, with the amounts, the operator, the reason and the accounts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from app.audit import cursor as cursors
from app.audit import life_cycle
from app.audit.cursor import PAST_EVERY_NUMBER, Page
from app.audit.entries import OfAccount
from app.audit.horizon import Horizons
from app.audit.life_cycle import Order
from app.errors import ReversalUnknownError
from app.infrastructure import sql
from app.infrastructure.db import Database, Record
from app.infrastructure.ids import ReversalNumber, RunNumber
from app.reversals import preview

if TYPE_CHECKING:
    from app.audit import row_types


_SQL: Final[row_types.ReversalsSql] = sql.beside(__file__)


class ReversalQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The filters of the list, and its order by id; None filters nothing.

    With an account the parts of runs' reversals are listed too; otherwise a run's reversal stands
    for its parts.
    """

    of_account: OfAccount | None = None
    run_id: RunNumber | None = None
    order: Order = "asc"

    @property
    def asked(self) -> ReversalQuery:
        """Return the query that a cursor belongs to."""
        return msgspec.structs.replace(self, of_account=self.of_account and self.of_account.asked)


async def reversals(
    database: Database, horizons: Horizons, query: ReversalQuery, cursor: str | None, limit: int
) -> Page[row_types.ReversalsUp]:
    """Return one page by id; raise InvalidCursorError."""
    up = query.order == "asc"
    asked = ("reversals", query.asked)
    rows = await database.fetch(
        _SQL["up" if up else "down"](
            after=cursors.decode_number(cursor, asked, 0 if up else PAST_EVERY_NUMBER),
            horizon=await horizons.of(database, "reversals"),
            account_ids=query.of_account and list(query.of_account.numbers),
            run_id=query.run_id,
            limit=limit + 1,
        )
    )
    return cursors.page(rows, limit, asked)


async def reversal(database: Database, number: ReversalNumber | None) -> row_types.ReversalsUp:
    """A reversal as far as it has come; raises ReversalUnknownError."""
    row = await database.fetchrow(_SQL["one"](id=number or 0))
    if row is None:
        raise ReversalUnknownError("There is no such reversal.")
    return row


async def taken_back(
    database: Database,
    number: RunNumber | None,
    public_id: str,
    *,
    short: bool,
    cursor: str | None,
    limit: int,
) -> Page[Record]:
    """One page of what was taken back of a run, or would be now, by account.

    Raises RunUnknownError and InvalidCursorError.
    """
    run = await life_cycle.run(database, number, public_id)
    query = ("taken back", run["id"], short)
    after = cursors.decode_number(cursor, query)
    rows = await preview.by_account(database, run["id"], short=short, after=after, limit=limit + 1)
    return cursors.page(rows, limit, query, "journal_id")
