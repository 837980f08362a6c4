"""Alerts on accounts, computed from the entries that the fold reads: spends do no work for them.

Alerts tell that a balance is low, used up or recovered (see ``crossings``), that a day's use is
unusual, or that a hold was never ended. Each is judged by the account's day in which the entry was
made, however late the fold runs. ``gift_disputed`` is raised by the refund itself
(app/purchases/gifts.py).
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from app.allowance.catalogue import Catalogue
from app.audit import cursor as cursors
from app.audit.entries import OfAccount
from app.audit.horizon import Horizons
from app.infrastructure import sql
from app.infrastructure.db import Database, Record
from app.usage.crossings import EMPTY, Movement, Raised, Standing, crossings

if TYPE_CHECKING:
    from app.usage import row_types


log = structlog.get_logger(__name__)

_SQL: Final[row_types.AlertsSql] = sql.beside(__file__)
_FOR_A_PERSON: Final = ("low", "unusual_use", "hold_leaked")


class Watches(msgspec.Struct, frozen=True):
    """The thresholds by tier; in every tier accounts that have used up everything raise
    an alert.
    """

    low_balance: dict[str, int]
    unusual_use: dict[str, int]


class AlertQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The filters of the list; None filters nothing."""

    kind: str | None = None
    of_account: OfAccount | None = None

    @property
    def asked(self) -> AlertQuery:
        """Return the filters that a cursor belongs to."""
        return msgspec.structs.replace(self, of_account=self.of_account and self.of_account.asked)


def watches(catalogue: Catalogue) -> Watches:
    """Return the thresholds that the catalogue sets."""
    return Watches(
        {t.name: t.low_balance_alert for t in catalogue.tiers if t.low_balance_alert is not None},
        {t.name: t.unusual_use_alert for t in catalogue.tiers if t.unusual_use_alert is not None},
    )


async def raise_alerts(database: Database, watches: Watches, after: int, to: int) -> None:
    """Raise the alerts for the entries above ``after``, up to ``to``, in the fold's transaction."""
    span = {"after": after, "to": to}
    rows = await _raise_crossings(database, watches.low_balance, after, to)
    if watches.unusual_use:
        rows += await database.fetch(
            _SQL["raise_unusual_use"](
                tiers=list(watches.unusual_use),
                thresholds=list(watches.unusual_use.values()),
                **span,
            )
        )
    rows += await database.fetch(_SQL["raise_hold_leaked"](**span))
    for row in rows:
        write = log.warning if row["kind"] in _FOR_A_PERSON else log.info
        write(
            "alert",
            kind=row["kind"],
            account=row["account_id"],
            tier=row["tier"],
            threshold=row["threshold"],
            value=row["value"],
        )


async def _raise_crossings(
    database: Database, thresholds: dict[str, int], after: int, to: int
) -> list[row_types.AlertsRaiseCrossings]:
    levels = [EMPTY, *thresholds.values()]
    rows = await database.fetch(_SQL["movements"](after=after, to=to, levels=levels))
    found: list[tuple[int, Raised]] = []
    for account_id, of_account in groupby(rows, key=lambda row: row["account_id"]):
        own = list(of_account)
        standing = Standing(own[0]["low"], own[0]["depleted"])
        found += [
            (account_id, raised) for raised in crossings(standing, map(_movement, own), thresholds)
        ]
    if not found:
        return []
    found.sort(key=lambda one: one[1].at)
    return await database.fetch(
        _SQL["raise_crossings"](
            kinds=[raised.kind for _, raised in found],
            account_ids=[account_id for account_id, _ in found],
            tiers=[raised.tier for _, raised in found],
            days=[raised.day_on for _, raised in found],
            journal_ids=[raised.journal_id for _, raised in found],
            thresholds=[raised.threshold for _, raised in found],
            balances=[raised.balance for _, raised in found],
            instants=[raised.at for _, raised in found],
        )
    )


def _movement(row: Record) -> Movement:
    return Movement(
        row["journal_id"],
        row["change"],
        row["balance"],
        row["undoes"],
        row["recorded_at"],
        row["day_on"],
        row["tier"],
    )


async def alerts(
    database: Database, horizons: Horizons, query: AlertQuery, cursor: str | None, limit: int
) -> tuple[list[row_types.AlertsPage], str]:
    """Return one page by id, oldest first, and the cursor to continue with, also at the end.

    Raises InvalidCursorError.
    """
    after = cursors.decode_number(cursor, query.asked)
    rows = await database.fetch(
        _SQL["page"](
            kind=query.kind,
            account_ids=query.of_account and list(query.of_account.numbers),
            after=after,
            horizon=await horizons.of(database, "alerts"),
            limit=limit,
        )
    )
    last = rows[-1]["id"] if rows else after
    return rows, cursors.encode(str(last), query.asked)
