"""The day's use that travels with a customer, so that tying and untying gains nobody a credit."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from app.allowance.day import AccountDay
from app.infrastructure.db import Database


async def bring_use(
    database: Database, source: AccountDay, target: AccountDay, *, moved_held: int = 0
) -> None:
    """Count what the source had of its running day's own lot against the target's allowance.

    What others had brought to the source goes on to the target. Each account's use counts once
    however often a customer comes and goes, and what is the target's own is not brought back.
    ``moved_held`` of it is held and moves into the target's own lot, where it counts by itself.
    Both accounts are locked, and the caller stores and entitles them.
    """
    if source.day is None or source.lot is None or target.day is None:
        return
    uses = await _brought_to(database, source)
    own = source.sheet.account_id  # with a day that was opened again: the earlier lots' use too
    uses[own] = source.lot.drawn - moved_held + uses.get(own, 0)
    uses.pop(target.sheet.account_id, None)
    before = await _brought_to(database, target)
    for origin_id, use in uses.items():
        more = use - before.get(origin_id, 0)
        if more > 0:
            target.used_brought += more
            target.changed = True
            await _store(database, target, origin_id, use)


async def keep_use(database: Database, on: date, opening: int, used: Mapping[int, int]) -> None:
    """Days were opened again as this opening: what counts against them, by the account whose it is.

    ``used`` is what each account had of the lot that was taken back.
    """
    await database.execute(
        """INSERT INTO brought_use (account_id, day_on, opening, from_account_id, amount)
           SELECT account_id, $2, $3, from_account_id, sum(amount) FROM (
               SELECT account_id, from_account_id, amount FROM brought_use
                WHERE account_id = ANY($1::bigint[]) AND day_on = $2 AND opening = $3 - 1
               UNION ALL SELECT id, id, amount
                 FROM unnest($1::bigint[], $4::bigint[]) AS own (id, amount) WHERE amount > 0
           ) AS uses GROUP BY account_id, from_account_id""",
        list(used),
        on,
        opening,
        list(used.values()),
    )


async def brought_with(database: Database, day: AccountDay, lot_number: int | None) -> int:
    """What counts against the running day of the use of this lot and of its account's same day.

    0 where the lot is of a day before the one whose use was brought.
    """
    if day.day is None:
        return 0
    amount: int | None = await database.fetchval(
        """SELECT amount FROM daily_grants AS own
             JOIN brought_use ON from_account_id = own.account_id AND brought_use.account_id = $1
              AND brought_use.day_on = $2 AND brought_use.opening = $3
            WHERE own.lot_id = $4 AND own.day_on = (
                  SELECT max(day_on) FROM daily_grants WHERE account_id = own.account_id)""",
        day.sheet.account_id,
        day.day.on,
        day.opening,
        lot_number,
    )
    return amount or 0


async def count_less(database: Database, day: AccountDay, source: int, amount: int) -> None:
    """The use that was brought from this account counts as this much less from now on."""
    assert day.day is not None
    await database.execute(
        """UPDATE brought_use SET amount = amount - $5
            WHERE account_id = $1 AND day_on = $2 AND opening = $3 AND from_account_id = $4""",
        day.sheet.account_id,
        day.day.on,
        day.opening,
        source,
        amount,
    )


async def _brought_to(database: Database, day: AccountDay) -> dict[int, int]:
    assert day.day is not None
    rows = await database.fetch(
        """SELECT from_account_id, amount FROM brought_use
            WHERE account_id = $1 AND day_on = $2 AND opening = $3""",
        day.sheet.account_id,
        day.day.on,
        day.opening,
    )
    return {row["from_account_id"]: row["amount"] for row in rows}


async def _store(database: Database, day: AccountDay, origin_id: int, amount: int) -> None:
    assert day.day is not None
    await database.execute(
        """INSERT INTO brought_use (account_id, day_on, opening, from_account_id, amount)
           VALUES ($1, $2, $3, $4, $5)
           ON CONFLICT (account_id, day_on, opening, from_account_id)
           DO UPDATE SET amount = excluded.amount""",
        day.sheet.account_id,
        day.day.on,
        day.opening,
        origin_id,
        amount,
    )
