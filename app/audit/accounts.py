"""Accounts as last posted, by filters, page by page: empty, indebted or closed ones, and others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from app.audit import cursor as cursors
from app.audit.cursor import Page
from app.infrastructure import sql
from app.infrastructure.db import Database

if TYPE_CHECKING:
    from app.audit import row_types


_SQL: Final[row_types.AccountsSql] = sql.beside(__file__)


class AccountQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The filters of the list; None filters nothing."""

    tier: str | None = None
    state: str | None = None
    available_lt: int | None = None
    available_gte: int | None = None
    debt_gt: int | None = None
    closed: bool | None = None
    suspended: bool | None = None
    customer_id: str | None = None

    @property
    def indexed(self) -> bool:
        """Return whether an index finds the page; credits have none, because each spend changes
        them.
        """
        by_balance = (self.available_lt, self.available_gte) != (None, None)
        return not by_balance or self.customer_id is not None


async def accounts(
    database: Database,
    query: AccountQuery,
    cursor: str | None,
    limit: int,
    looked_max: int | None = None,
) -> Page[row_types.AccountsPage]:
    """Return one page in the order of opening; raise InvalidCursorError.

    Acts that are due and not posted are not included: at most one tick is missing, and a dormant
    account is shown as it was last opened. With ``looked_max`` a page that no index finds ends
    after that many accounts, even if few match; its cursor continues after them.
    """
    after = cursors.decode_number(cursor, query)
    last = None
    if looked_max is not None and not query.indexed:
        last = await database.fetchval(_SQL["nth"](after=after, before_it=looked_max - 1))
    rows = await database.fetch(
        _SQL["page"](**_filters(query), after=after, last=last, limit=limit + 1)
    )
    page = cursors.page(rows, limit, query)
    if page.next_cursor is None and last is not None:
        return Page(page.rows, cursors.encode(str(last), query))
    return page


def _filters(query: AccountQuery) -> dict[str, object]:
    """Return the filters as the statement takes them; a missing one is None."""
    owing = query.debt_gt is not None and query.debt_gt >= 0
    return {
        **msgspec.structs.asdict(query),
        "closed": query.closed or None,
        "not_closed": query.closed is False or None,
        "suspended": query.suspended or None,
        "not_suspended": query.suspended is False or None,
        "owing": owing or None,
    }
