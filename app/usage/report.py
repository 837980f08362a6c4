"""Usage reports: what was granted, spent and so on, by day, tier, account, label and member.

An entry counts on the account's day in which it happened, and for the tier with which that day was
opened. An entry of a daily lot counts on the lot's own day; any other entry on the day that
contains its ``effective_at``. So a late entry counts on the day to which it belongs. If the
account did not open that date, the entry counts on the UTC date with the tier of the day before;
without any day, with FREE.

Each amount is separate from what took it back. The balance changes by granted + purchased -
refunded - spent + returned - expired + reversed + adjusted + transferred. A return, or a reversal
of a spend, counts for the label and member of the spend that it undoes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec

from app.audit import cursor as cursors
from app.audit.entries import OfAccount
from app.errors import InvalidCursorError
from app.infrastructure import sql
from app.infrastructure.db import Database, Record

if TYPE_CHECKING:
    from app.usage import row_types


_FIRST: Final = date(1970, 1, 1)
_LAST: Final = 2**63 - 1
_ACCOUNTS_AT_ONCE: Final = 200
_SQL: Final[row_types.ReportSql] = sql.beside(__file__)


class By(StrEnum):
    """The dimensions of a report."""

    DAY = "day"
    TIER = "tier"
    LABEL = "label"
    MEMBER = "member"
    ACCOUNT = "account"


class UsageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The days from ``start``, before ``end``, and the report's dimensions; None sets no limit."""

    by: tuple[By, ...] = (By.DAY, By.TIER)
    start: date | None = None
    end: date | None = None
    tier: str | None = None
    label: str | None = None
    member: str | None = None
    of_account: OfAccount | None = None

    @property
    def of_use(self) -> bool:
        """Return whether the report is about use alone: a grant has no label and no member."""
        by_purpose = By.LABEL in self.by or By.MEMBER in self.by
        return by_purpose or self.label is not None or self.member is not None

    @property
    def asked(self) -> UsageQuery:
        """Return the filters that a cursor belongs to."""
        return msgspec.structs.replace(self, of_account=self.of_account and self.of_account.asked)


class UsagePage(msgspec.Struct, frozen=True):
    """Some rows, the public ids of their accounts by number, and the cursor to the next page."""

    rows: Sequence[Record]
    names: Mapping[int, str | None]
    next_cursor: str | None


class _Place(msgspec.Struct, frozen=True, array_like=True):
    """A row's place in the report, after which the next page begins."""

    present_id: int
    day_on: date | None
    tier: str
    label: str
    member: str


async def usage(database: Database, query: UsageQuery, cursor: str | None, limit: int) -> UsagePage:
    """Return one page of everything committed; raise InvalidCursorError.

    Of all accounts together it reads the days that were folded. By account it reads entries, those
    of as many accounts as a page takes, from the day before the first that is asked for.
    """
    after = _after(cursor, query)
    rows: list[Record] = []
    async with database.snapshot():
        if query.of_account is None and By.ACCOUNT not in query.by:
            folded_to = await database.fetchval("SELECT entry_id FROM usage_fold")
            values = _values(query, after, limit + 1)
            folded = _SQL["of_all" if query.of_use else "of_all_tiers"]
            rows = await database.fetch(folded(after=folded_to, to=_LAST, **values))
        else:
            async for numbers in _accounts(database, query, after):
                values = _values(query, after, limit + 1 - len(rows))
                statement = _SQL["of_accounts"](account_ids=numbers, since=_since(query), **values)
                rows += await database.fetch(statement)
                if len(rows) > limit:
                    break
        named = {row["present_id"] for row in rows[:limit]}
        names = await database.fetch(_SQL["names"](account_ids=sorted(named)))
    return UsagePage(
        rows[:limit],
        {row["account_id"]: row["public_id"] for row in names},
        _encoded(rows[limit - 1], query) if len(rows) > limit else None,
    )


def _since(query: UsageQuery) -> datetime | None:
    """The instant before which nothing was recorded of the days that are asked for.

    Nothing is recorded before it happens, nor of a day's lot before the day begins, which is no
    more than 14 hours before it does in UTC. What comes late is recorded later.
    """
    if query.start is None:
        return None
    begins = datetime.combine(max(query.start, _FIRST), time(), UTC)
    return begins - timedelta(days=1)


async def _accounts(
    database: Database, query: UsageQuery, after: _Place | None
) -> AsyncIterator[list[int]]:
    """Yield accounts in the order of a page, some at a time."""
    if query.of_account is not None:
        if query.of_account.numbers:
            yield list(query.of_account.numbers)
        return
    first = after.present_id if after else 0
    statement = _SQL["next_accounts"]
    while rows := await database.fetch(statement(first=first, limit=_ACCOUNTS_AT_ONCE)):
        yield [row["id"] for row in rows]
        first = rows[-1]["id"] + 1


def _values(query: UsageQuery, after: _Place | None, limit: int) -> dict[str, object]:
    return {
        **{f"by_{one}": one in query.by for one in By},
        "start": query.start,
        "end": query.end,
        "tier": query.tier,
        "label": query.label,
        "member": query.member,
        "of_use": query.of_use,
        "after_account": after and after.present_id,
        "after_day": after and after.day_on,
        "after_tier": after and after.tier,
        "after_label": after and after.label,
        "after_member": after and after.member,
        "limit": limit,
    }


def _encoded(row: Record, query: UsageQuery) -> str:
    texts = (row[column] or "" for column in ("tier", "label", "member"))
    place = _Place(row["present_id"], row["day_on"], *texts)
    return cursors.encode(msgspec.json.encode(place).decode(), query.asked)


def _after(cursor: str | None, query: UsageQuery) -> _Place | None:
    if cursor is None:
        return None
    try:
        return msgspec.json.decode(cursors.decode(cursor, query.asked), type=_Place)
    except msgspec.MsgspecError:
        raise InvalidCursorError("The cursor was not made by this list.") from None
