"""Alerts on accounts: a balance that falls low, a day's use out of the usual; once per crossing.

They are told from the entries that the tick folds, so that no spend pays for them. A low balance is
crossed by one journal: at or above the threshold before it, below after it. Each day's use crosses
its threshold once at most.
"""

from __future__ import annotations

from typing import Final

import msgspec
import structlog

from app.allowance.catalogue import Catalogue
from app.audit import cursor as cursors
from app.audit.cursor import Page
from app.audit.entries import OfAccount
from app.audit.horizon import Horizons
from app.infrastructure import sql
from app.infrastructure.db import Database

log = structlog.get_logger(__name__)

_SQL: Final = sql.beside(__file__)

# Entries $3 to $4 of accounts on the tiers $1 with the thresholds $2. A journal's first and last
# entry tell the balance around it: an opening empties one lot and fills another.
_LOW_BALANCE: Final = """
WITH watched AS (SELECT * FROM unnest($1::text[], $2::bigint[]) AS watch (tier, threshold)),
crossing AS (
    SELECT DISTINCT entries.journal_id, entries.account_id, accounts.tier, threshold
      FROM entries JOIN accounts ON accounts.id = entries.account_id AND closed_at IS NULL
      JOIN watched ON watched.tier = accounts.tier
     WHERE entries.id > $3 AND entries.id <= $4 AND debit = 'free'
       AND free_after < threshold AND free_after + amount >= threshold
)
INSERT INTO alerts (kind, account_id, tier, journal_id, threshold, value, raised_at)
SELECT 'low_balance', crossing.account_id, tier, journal_id, threshold, last.free_after,
       tallybook_now()
  FROM crossing
  JOIN LATERAL (SELECT free_after + CASE WHEN debit = 'free' THEN amount
                                         WHEN credit = 'free' THEN -amount ELSE 0 END AS free_before
                  FROM entries WHERE entries.journal_id = crossing.journal_id
                   AND entries.account_id = crossing.account_id ORDER BY id LIMIT 1) AS first
    ON first.free_before >= threshold
  JOIN LATERAL (SELECT free_after FROM entries WHERE entries.journal_id = crossing.journal_id
                   AND entries.account_id = crossing.account_id ORDER BY id DESC LIMIT 1) AS last
    ON last.free_after < threshold
ON CONFLICT (account_id, journal_id) WHERE kind = 'low_balance' DO NOTHING
RETURNING id, kind, account_id, tier, threshold, value
"""
_UNUSUAL_USE: Final = """
WITH watched AS (SELECT * FROM unnest($1::text[], $2::bigint[]) AS watch (tier, threshold)),
spending AS (
    SELECT DISTINCT accounts.id, accounts.tier, accounts.day_on, accounts.day_starts_at, threshold
      FROM entries JOIN accounts ON accounts.id = entries.account_id
      JOIN watched ON watched.tier = accounts.tier
     WHERE entries.id > $3 AND entries.id <= $4 AND kind = 'spend' AND accounts.day_on IS NOT NULL
)
INSERT INTO alerts (kind, account_id, tier, day_on, threshold, value, raised_at)
SELECT 'unusual_use', spending.id, tier, day_on, threshold, spent.amount, tallybook_now()
  FROM spending
  JOIN LATERAL (SELECT sum(amount)::bigint AS amount FROM entries
                 WHERE account_id = spending.id AND kind = 'spend' AND entries.id <= $4
                   AND recorded_at >= spending.day_starts_at) AS spent
    ON spent.amount >= threshold
ON CONFLICT (account_id, day_on) WHERE kind = 'unusual_use' DO NOTHING
RETURNING id, kind, account_id, tier, threshold, value
"""


class Watches(msgspec.Struct, frozen=True):
    """The thresholds by tier; a tier that sets none is not looked at."""

    low_balance: dict[str, int]
    unusual_use: dict[str, int]


class AlertQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The filters of the list; None filters nothing."""

    kind: str | None = None
    of_account: OfAccount | None = None

    @property
    def asked(self) -> AlertQuery:
        """What a cursor is bound to."""
        return msgspec.structs.replace(self, of_account=self.of_account and self.of_account.asked)


def watches(catalogue: Catalogue) -> Watches:
    """What the catalogue sets."""
    return Watches(
        {t.name: t.low_balance_alert for t in catalogue.tiers if t.low_balance_alert is not None},
        {t.name: t.unusual_use_alert for t in catalogue.tiers if t.unusual_use_alert is not None},
    )


async def raise_alerts(database: Database, watches: Watches, after: int, to: int) -> None:
    """Raise what the entries above ``after``, up to ``to``, call for, in the fold's transaction."""
    for statement, thresholds in (
        (_LOW_BALANCE, watches.low_balance),
        (_UNUSUAL_USE, watches.unusual_use),
    ):
        if not thresholds:
            continue
        rows = await database.fetch(
            statement, list(thresholds), list(thresholds.values()), after, to
        )
        for row in rows:
            log.warning(
                "alert",
                kind=row["kind"],
                account=row["account_id"],
                tier=row["tier"],
                threshold=row["threshold"],
                value=row["value"],
            )


async def alerts(
    database: Database, horizons: Horizons, query: AlertQuery, cursor: str | None, limit: int
) -> Page:
    """One page by id, oldest first; raises InvalidCursorError."""
    rows = await database.fetch(
        *_SQL["page"](
            kind=query.kind,
            account_ids=query.of_account and list(query.of_account.numbers),
            after=cursors.decode_number(cursor, query.asked),
            horizon=await horizons.of(database, "alerts"),
            limit=limit + 1,
        )
    )
    return cursors.page(rows, limit, query.asked)
