"""The day's use that travels with a customer, so that tying and untying gains nobody a credit."""

from __future__ import annotations

from app.db import Database
from app.grants.day import AccountDay


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
    uses[source.sheet.account_id] = source.lot.drawn - moved_held
    uses.pop(target.sheet.account_id, None)
    before = await _brought_to(database, target)
    for origin_id, use in uses.items():
        more = use - before.get(origin_id, 0)
        if more > 0:
            target.used_brought += more
            target.changed = True
            await _store(database, target, origin_id, use)


async def _brought_to(database: Database, day: AccountDay) -> dict[int, int]:
    assert day.day is not None
    rows = await database.fetch(
        """SELECT from_account_id, amount FROM brought_use
            WHERE account_id = $1 AND day_on = $2 AND opening = $3""",
        day.sheet.account_id, day.day.on, day.opening,
    )  # fmt: skip
    return {row["from_account_id"]: row["amount"] for row in rows}


async def _store(database: Database, day: AccountDay, origin_id: int, amount: int) -> None:
    assert day.day is not None
    await database.execute(
        """INSERT INTO brought_use (account_id, day_on, opening, from_account_id, amount)
           VALUES ($1, $2, $3, $4, $5)
           ON CONFLICT (account_id, day_on, opening, from_account_id)
           DO UPDATE SET amount = excluded.amount""",
        day.sheet.account_id, day.day.on, day.opening, origin_id, amount,
    )  # fmt: skip
