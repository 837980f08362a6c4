"""Accounts as last posted, by filters, page by page: who is at nothing, who owes, who is closed."""

from __future__ import annotations

from typing import Final

import msgspec

from app.audit import cursor as cursors
from app.audit.cursor import Page
from app.infrastructure import sql
from app.infrastructure.db import Database

_SQL: Final = sql.beside(__file__)


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


async def accounts(database: Database, query: AccountQuery, cursor: str | None, limit: int) -> Page:
    """One page in the order in which they were opened; raises InvalidCursorError.

    What is due and not posted is not seen: a tick old at most, and a dormant account stands as it
    was last opened.
    """
    after = cursors.decode_number(cursor, query)
    rows = await database.fetch(
        *_SQL["page"](**msgspec.structs.asdict(query), after=after, limit=limit + 1)
    )
    return cursors.page(rows, limit, query)
