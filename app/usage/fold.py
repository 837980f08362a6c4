"""Usage patterns: credits granted, spent, expired and purchased, by day and tier.

An entry counts on the account's day in which it happened, and for the tier with which that day was
opened: one of a daily lot on the lot's own day, any other on the day its ``effective_at`` lies in.
So a late entry counts on the day it belongs to. On a date that the account did not open it is the
UTC date, and the tier of the day before; without any day, FREE. The amounts are gross: what was
taken back later stands in the ledger's reports.

Each second a worker folds the entries below the horizon, which are stable, into ``usage_days``;
reads add the few above. Metrics, which ask each minute, call ``folded`` and read a few rows.
"""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Final

import msgspec

from app.allowance.catalogues import Catalogues
from app.audit import cursor as cursors
from app.audit.horizon import Horizons
from app.errors import BusyError, InvalidCursorError
from app.infrastructure import sql
from app.infrastructure.db import Database, Record
from app.usage import alerts

CHUNK_ENTRIES: Final = 20_000  # a fold's transaction: about a third of a second

# (day_on, tier, amounts) of the entries above $1, up to $2.
SUMS: Final = """
SELECT coalesce(day.day_on, (counted.at AT TIME ZONE 'UTC')::date) AS day_on,
       coalesce(day.tier, 'FREE') AS tier,
       coalesce(sum(amount) FILTER (WHERE kind = 'grant'), 0)::bigint AS granted,
       coalesce(sum(amount) FILTER (WHERE kind = 'spend'), 0)::bigint AS spent,
       coalesce(sum(amount) FILTER (WHERE kind = 'expiry'), 0)::bigint AS expired,
       coalesce(sum(amount) FILTER (WHERE kind = 'purchase'), 0)::bigint AS purchased
  FROM (SELECT entries.kind, entries.amount, entries.account_id,
               CASE WHEN lots.source = 'daily' THEN lots.granted_at
                    ELSE entries.effective_at END AS at
          FROM entries JOIN lots ON lots.id = entries.lot_id
         WHERE entries.id > $1 AND entries.id <= $2
           AND entries.kind IN ('grant', 'spend', 'expiry', 'purchase')) AS counted
  LEFT JOIN LATERAL (
      SELECT CASE WHEN counted.at < ends_at THEN daily_grants.day_on END AS day_on, tier
        FROM daily_grants
       WHERE daily_grants.account_id = counted.account_id AND opening = 1
         AND starts_at <= counted.at
       ORDER BY daily_grants.day_on DESC LIMIT 1) AS day ON true
 GROUP BY 1, 2
"""
_FOLD: Final = f"""
INSERT INTO usage_days AS stands (day_on, tier, granted, spent, expired, purchased) {SUMS}
ON CONFLICT (day_on, tier) DO UPDATE SET
    granted = stands.granted + excluded.granted, spent = stands.spent + excluded.spent,
    expired = stands.expired + excluded.expired, purchased = stands.purchased + excluded.purchased
"""
_PAGE: Final = f"""
SELECT day_on, tier, sum(granted)::bigint AS granted, sum(spent)::bigint AS spent,
       sum(expired)::bigint AS expired, sum(purchased)::bigint AS purchased
  FROM (SELECT * FROM usage_days UNION ALL ({SUMS})) AS days
 WHERE ($3::date IS NULL OR day_on >= $3) AND ($4::date IS NULL OR day_on < $4)
   AND ($5::text IS NULL OR tier = $5)
   AND ($6::date IS NULL OR (day_on, tier) > ($6, $7::text))
 GROUP BY day_on, tier ORDER BY day_on, tier LIMIT $8
"""
_LAST: Final = 2**63 - 1
_SQL: Final = sql.beside(__file__)


class UsageQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The days from ``start``, before ``end``; None bounds nothing."""

    start: date | None = None
    end: date | None = None
    tier: str | None = None


class UsagePage(msgspec.Struct, frozen=True):
    """Some days, and the cursor to the next."""

    rows: list[Record]
    next_cursor: str | None


async def usage(database: Database, query: UsageQuery, cursor: str | None, limit: int) -> UsagePage:
    """One page by (day, tier), of all that is committed; raises InvalidCursorError."""
    after_on, after_tier = _after(cursor, query)
    async with database.snapshot():
        folded_to = await database.fetchval("SELECT entry_id FROM usage_fold")
        rows = await database.fetch(
            _PAGE,
            folded_to,
            _LAST,
            query.start,
            query.end,
            query.tier,
            after_on,
            after_tier,
            limit + 1,
        )
    if len(rows) <= limit:
        return UsagePage(rows, None)
    last = rows[limit - 1]
    return UsagePage(rows[:limit], cursors.encode(f"{last['day_on']} {last['tier']}", query))


def _after(cursor: str | None, query: UsageQuery) -> tuple[date | None, str | None]:
    if cursor is None:
        return None, None
    day, _, tier = cursors.decode(cursor, query).partition(" ")
    try:
        return date.fromisoformat(day), tier
    except ValueError:
        raise InvalidCursorError("The cursor is not one of ours.") from None


async def folded(database: Database, on: date) -> list[Record]:
    """A date's rows as folded, a tick old at most: cheap enough for every scrape of metrics."""
    return await database.fetch("SELECT * FROM usage_days WHERE day_on = $1 ORDER BY tier", on)


async def fold(database: Database, catalogues: Catalogues, within_s: float) -> None:
    """Fold the entries that nothing can come before any more, and raise the alerts they call for.

    A chunk is a transaction; two folds at once take turns, and the next one goes on.
    """
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + within_s
    if await database.fetchval(
        """SELECT NOT EXISTS (SELECT FROM entries
                               WHERE id > (SELECT entry_id FROM usage_fold))"""
    ):
        return
    try:
        horizon = (await Horizons().find(database)).entry_id
    except BusyError:
        return  # the next second's turn
    _, catalogue = await catalogues.present(database)
    watches = alerts.watches(catalogue)
    while loop.time() < ends_at and await _fold_chunk(database, horizon, watches):
        continue


async def _fold_chunk(database: Database, horizon: int, watches: alerts.Watches | None) -> bool:
    """Fold one chunk; returns whether there is more."""
    async with database.transaction():
        after: int = await database.fetchval("SELECT entry_id FROM usage_fold FOR UPDATE")
        # By count, not by id: after a restore the ids go on a billion higher.
        to: int | None = await database.fetchval(
            *_SQL["chunk_end"](after=after, horizon=horizon, limit=CHUNK_ENTRIES)
        )
        if to is None:
            return False
        await database.execute(_FOLD, after, to)
        await database.execute("UPDATE usage_fold SET entry_id = $1", to)
        if watches is not None:
            await _alert(database, watches, to)
    return to < horizon


async def _alert(database: Database, watches: alerts.Watches, to: int) -> None:
    """Raise what the entries not yet judged call for; a rebuild folds, and judges none."""
    alerted_to: int = await database.fetchval("SELECT alerted_to FROM usage_fold")
    if to > alerted_to:
        await alerts.raise_alerts(database, watches, alerted_to, to)
        await database.execute("UPDATE usage_fold SET alerted_to = $1", to)


async def refold(database: Database) -> None:
    """Fold everything from the first entry on; no alert rises again."""
    horizon = (await Horizons().find(database)).entry_id
    async with database.transaction():
        await database.execute("UPDATE usage_fold SET entry_id = 0")
        await database.execute(
            "UPDATE usage_days SET granted = 0, spent = 0, expired = 0, purchased = 0"
        )
    while await _fold_chunk(database, horizon, None):
        continue
