"""Store what was drafted on accounts: their journals, the days opened, the accounts' rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from app.allowance.day import AccountDay, OpenedDay
from app.allowance.load import Drawable
from app.infrastructure.db import Database
from app.ledger import post, reserved
from app.ledger.sheet import Sheet
from app.ledger.statement import Drafts, sides_of, transposed

# Parameters 50 to 66: the accounts' rows, whole. 67 to 80: the days opened. A lot that is new has
# no number yet but an ordinal in ``lot_in``.
_DAYS: Final = """
opened AS (
    INSERT INTO daily_grants (account_id, day_on, opening, starts_at, ends_at, time_zone, tier,
                              credits, previous_on, lot_id, run_id, recorded_at, after_dormancy)
    SELECT day.account_id, day_on, opening, starts_at, ends_at, time_zone, tier, credits,
           previous_on, coalesce(day.lot_id, lot_in.id), run_id, recorded_at, after_dormancy
      FROM unnest($67::bigint[], $68::date[], $69::int[], $70::timestamptz[], $71::timestamptz[],
                  $72::text[], $73::text[], $74::bigint[], $75::date[], $76::bigint[],
                  $77::bigint[], $78::bigint[], $79::timestamptz[], $80::boolean[])
        AS day (account_id, day_on, opening, starts_at, ends_at, time_zone, tier, credits,
                previous_on, lot_id, lot_ord, run_id, recorded_at, after_dormancy)
      LEFT JOIN lot_in ON lot_in.ord = day.lot_ord
), days_changed AS (
    UPDATE accounts SET
        free = change.free, held = change.held, debt = change.debt,
        last_used_at = coalesce(change.used_at, accounts.last_used_at),
        tier = change.tier, time_zone = change.time_zone,
        day_on = change.day_on, day_opening = change.day_opening,
        day_starts_at = change.day_starts_at, day_ends_at = change.day_ends_at,
        day_lot_id = coalesce(change.day_lot_id, lot_in.id),
        day_catalogue_id = change.day_catalogue_id, day_used_brought = change.day_used_brought,
        day_withdrawn = change.day_withdrawn, due_at = change.due_at
      FROM unnest($50::bigint[], $51::bigint[], $52::bigint[], $53::bigint[], $54::timestamptz[],
                  $55::text[], $56::text[], $57::date[], $58::int[], $59::timestamptz[],
                  $60::timestamptz[], $61::bigint[], $62::bigint[], $63::bigint[], $64::bigint[],
                  $65::boolean[], $66::timestamptz[])
        AS change (id, free, held, debt, used_at, tier, time_zone, day_on, day_opening,
                   day_starts_at, day_ends_at, day_lot_id, day_lot_ord, day_catalogue_id,
                   day_used_brought, day_withdrawn, due_at)
      LEFT JOIN lot_in ON lot_in.ord = change.day_lot_ord
     WHERE accounts.id = change.id
)"""


async def store_drawn(database: Database, drawn: Iterable[Drawable]) -> None:
    """Write what was drawn, and what was due before."""
    drawn = list(drawn)
    days = [one.day for one in drawn if one.day is not None]
    await _store(database, days, [one.sheet for one in drawn if one.day is None])


async def store_days(database: Database, days: Iterable[AccountDay]) -> None:
    """Write the sheets' journals, the days that were opened, and the accounts' day columns."""
    await _store(database, list(days), [])


async def _store(database: Database, days: Sequence[AccountDay], others: Sequence[Sheet]) -> None:
    # A hold's row stands before the entries that name it.
    await reserved.store_holds(database, [hold for day in days for hold in day.holds])
    changed = [day for day in days if day.changed or day.opened]
    sheets = [*others, *(day.sheet for day in days)]
    await post.write(database, sheets, _Days(changed) if changed else None)
    await reserved.store_claws(database, [claw for day in days for claw in day.claws])
    await reserved.store_backings(database, [one for day in days for one in day.backings])
    for day in days:
        day.opened, day.changed = [], False


class _Days:
    """Opened and changed days, beside the journals of their sheets."""

    ctes = _DAYS

    def __init__(self, days: Sequence[AccountDay]) -> None:
        self._days = days
        self.sheets: Sequence[Sheet] = [day.sheet for day in days]

    def columns(self, drafts: Drafts) -> list[list[object]]:
        """The accounts' rows, and those of the days that were opened."""
        opened = [(day, row) for day in self._days for row in day.opened]
        return [
            *transposed([_account_row(day, drafts) for day in self._days], 17),
            *transposed([_opened_row(day, row, drafts) for day, row in opened], 14),
        ]


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
        day.day_catalogue_id,
        day.used_brought,
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
        row.run_id,
        day.now,
        row.after_dormancy,
    )
