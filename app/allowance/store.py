"""Store what was drafted on accounts: their journals, the days opened, the accounts' rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from app.allowance.day import AccountDay
from app.allowance.load import Drawable
from app.allowance.opened_days import OpenedDay
from app.infrastructure import sql
from app.infrastructure.db import Database
from app.ledger import post, reserved
from app.ledger.sheet import Sheet
from app.ledger.statement import Drafts, sides_of

if TYPE_CHECKING:
    from app.allowance import row_types


_SQL: Final[row_types.StoreSql] = sql.beside(__file__)


async def store_drawn(database: Database, drawn: Iterable[Drawable]) -> None:
    """Write the drafted entries, and those that were due before."""
    drawn = list(drawn)
    days = [one.day for one in drawn if one.day is not None]
    await _store(database, days, [one.sheet for one in drawn if one.day is None])


async def store_days(database: Database, days: Iterable[AccountDay]) -> None:
    """Write the sheets' journals, the opened days, and the accounts' day columns."""
    await _store(database, list(days), [])


async def _store(database: Database, days: Sequence[AccountDay], others: Sequence[Sheet]) -> None:
    # A hold's row is written before the entries that name it.
    await reserved.store_holds(database, [hold for day in days for hold in day.holds])
    changed = [day for day in days if day.changed or day.opened]
    sheets = [*others, *(day.sheet for day in days)]
    await post.write(database, sheets, _Days(changed) if changed else None)
    await reserved.store_clawbacks(
        database, [clawback for day in days for clawback in day.clawbacks]
    )
    await reserved.store_backings(database, [one for day in days for one in day.backings])
    for day in days:
        day.opened, day.changed = [], False


class _Days:
    """Opened and changed days, written with the journals of their sheets."""

    statement = _SQL["write"]

    def __init__(self, days: Sequence[AccountDay]) -> None:
        self._days = days
        self.sheets: Sequence[Sheet] = [day.sheet for day in days]

    def parameters(self, drafts: Drafts) -> dict[str, object]:
        """Return the values for the accounts' rows and for the days that were opened."""
        opened = [(day, row) for day in self._days for row in day.opened]
        return {
            "days": [_account_row(day, drafts) for day in self._days],
            "opened": [_opened_row(day, row, drafts) for day, row in opened],
        }


def _account_row(day: AccountDay, drafts: Drafts) -> tuple[object, ...]:
    running = day.day
    return (
        *sides_of(day.sheet),
        day.tier,
        day.time_zone,
        running.on if running else None,
        day.opening,
        running.starts_at if running else None,
        running.ends_at if running else None,
        day.lot.number if day.lot else None,
        drafts.ordinal(day.lot),
        day.carried.number if day.carried else None,
        drafts.ordinal(day.carried),
        day.day_catalogue_id,
        day.used_brought,
        day.brought_until,
        day.withdrawn,
        day.due_at,
    )


def _opened_row(day: AccountDay, row: OpenedDay, drafts: Drafts) -> tuple[object, ...]:
    return (
        row.account_id,
        row.day.on,
        row.opening,
        row.day.starts_at,
        row.day.ends_at,
        row.time_zone,
        row.tier,
        row.credits,
        row.previous_on,
        row.lot.number,
        drafts.ordinal(row.lot),
        row.carried.number if row.carried else None,
        drafts.ordinal(row.carried),
        row.carry_over_max,
        row.previous_allowed,
        row.run_id,
        day.now,
        row.after_dormancy,
    )
