"""Carries a day's use along with what moves to another account, so that moving gains no credit.

What was used on a day of the account that is left counts in every day that starts before that day
would have ended, in the accounts that come after too. A join adds it to the use of the account that
takes over. A subscription that moves alone brings it along and leaves with it again: there it
lowers only what the subscription adds (see `AccountDay.rule`).

Example: a subscription of 20 credits a day leaves an account in Kiritimati, whose day ends at
10:00 UTC, at 23:00 with 20 used. In an account in UTC it adds nothing until midnight, and nothing
in the day that starts then, since that starts before 10:00.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from app.allowance.day import AccountDay
from app.allowance.entitlement import Use
from app.infrastructure import sql
from app.infrastructure.db import Database
from app.infrastructure.ids import AccountNumber

# A day lasts so long at most, after a change of zone from UTC+14 to UTC-12.
DAY_MAX: Final = timedelta(hours=50)

_SQL: Final = sql.beside(__file__)


async def bring_with(
    database: Database, subscription_ids: Sequence[str], source: AccountDay, target: AccountDay
) -> None:
    """Let subscriptions bring what was used of the source's days while they were there.

    Both accounts are locked; the caller points the subscriptions to the target, rereads and stores.
    """
    for subscription_id in subscription_ids:
        moved_at: datetime | None = await database.fetchval(
            "SELECT moved_at FROM subscriptions WHERE id = $1", subscription_id
        )
        for use in await _uses(database, source, moved_at):
            await database.execute(
                *_SQL["move"](
                    subscription_id=subscription_id,
                    from_account_id=use.from_account,
                    until_at=use.until,
                    amount=use.amount,
                )
            )
        latest = await database.fetchval(
            "SELECT max(until_at) FROM moved_use WHERE subscription_id = $1", subscription_id
        )
        _counts_until(target, latest)


async def bring_joined(
    database: Database, source: AccountDay, target: AccountDay, moved_held: int
) -> None:
    """Add what was used of the source's days to the use of the account that it is joined to.

    ``moved_held`` of it is held and moves into the target's own lot, where it counts by itself.
    Both accounts are locked, and the caller stores them.
    """
    for use in await _uses(database, source, None, moved_held):
        if use.from_account != target.sheet.account_id:  # that is its own use already
            await _add(database, target.sheet.account_id, use)
            _counts_until(target, use.until)
    _counts_until(target, source.brought_until)
    if target.day is not None:
        target.used_brought = await database.fetchval(
            *_SQL["counting"](account_id=target.sheet.account_id, starts_at=target.day.starts_at)
        )
    target.changed = True


async def keep_use(
    database: Database, days: Sequence[AccountDay], used: Mapping[AccountNumber, int]
) -> None:
    """Keep what each account had used of its running day before that was opened again."""
    for day in days:
        number = day.sheet.account_id
        if day.day is not None and used[number]:
            await _add(database, number, Use(number, day.day.ends_at, used[number]))
            _counts_until(day, day.day.ends_at)


async def shift_own(
    database: Database, day: AccountDay, ended_at: datetime, ends_at: datetime
) -> None:
    """The running day ends at another time since its zone was changed; its earlier openings too."""
    await database.execute(
        *_SQL["shift_own"](account_id=day.sheet.account_id, was_until=ended_at, until_at=ends_at)
    )
    _counts_until(day, ends_at if day.brought_until is not None else None)


async def brought_with(database: Database, day: AccountDay, lot_number: int | None) -> int:
    """What counts against the running day of the use of the day whose own lot this was."""
    if day.day is None:
        return 0
    amount: int | None = await database.fetchval(
        *_SQL["brought_with"](
            account_id=day.sheet.account_id, lot_id=lot_number, starts_at=day.day.starts_at
        )
    )
    return amount or 0


async def count_less(
    database: Database, day: AccountDay, lot_number: int | None, amount: int
) -> None:
    """The use that was brought of the day whose own lot this was counts as this much less."""
    await database.execute(
        *_SQL["count_less"](account_id=day.sheet.account_id, lot_id=lot_number, amount=amount)
    )


async def _uses(
    database: Database, source: AccountDay, since: datetime | None, moved_held: int = 0
) -> list[Use]:
    """Read what was used of the source's days that ended after ``since``, and of the running one.

    What was brought to it by joins is among it. What ended longer ago than a day can last counts
    nowhere any more.
    """
    earliest = source.now - DAY_MAX
    rows = await database.fetch(
        *_SQL["uses"](
            account_id=source.sheet.account_id,
            before_on=source.day.on if source.day else None,
            since=max(since or earliest, earliest),
        )
    )
    amounts: dict[tuple[int, datetime], int] = defaultdict(int)
    for row in rows:
        amounts[row["from_account_id"], row["until_at"]] += row["amount"]
    if source.day is not None and source.lot is not None:
        own = source.lot.drawn - moved_held
        amounts[source.sheet.account_id, source.day.ends_at] += own
    return [Use(*key, amount) for key, amount in amounts.items() if amount > 0]


async def _add(database: Database, number: AccountNumber, use: Use) -> None:
    await database.execute(
        *_SQL["add"](
            account_id=number,
            from_account_id=use.from_account,
            until_at=use.until,
            amount=use.amount,
        )
    )


def _counts_until(day: AccountDay, until: datetime | None) -> None:
    if until is not None and (day.brought_until is None or day.brought_until < until):
        day.brought_until, day.changed = until, True
