"""Carries today's usage to the account that something moves to, so that moving creates no credits.

Usage of a day in the old account also counts in the new account, for every day that starts before
the old day would have ended. A join adds it to the use of the account that remains. A subscription
that moves alone takes its usage with it, and takes it away again when it leaves: there it lowers
only what the subscription itself adds (see `AccountDay.rule`).

Example: a subscription of 20 credits a day leaves an account in Kiritimati, whose day ends at
10:00 UTC. It leaves at 23:00 with 20 used. In an account in UTC it adds nothing until midnight,
and nothing in the day that starts then, because that day starts before 10:00.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from app.allowance.day import AccountDay
from app.allowance.entitlement import Use
from app.infrastructure import sql
from app.infrastructure.db import Database
from app.infrastructure.ids import AccountNumber

if TYPE_CHECKING:
    from app.accounts import row_types


# The longest possible day: its zone changes from UTC+14 to UTC-12.
DAY_MAX: Final = timedelta(hours=50)

_SQL: Final[row_types.DayUseSql] = sql.beside(__file__)


async def bring_with(
    database: Database, subscription_ids: Sequence[str], source: AccountDay, target: AccountDay
) -> None:
    """Record, for subscriptions that move, the usage of the source's days that counts against them.

    Both accounts are locked. The caller then points the subscriptions to the target, reads both
    accounts again and stores them.
    """
    for subscription_id in subscription_ids:
        moved_at: datetime | None = await database.fetchval(
            "SELECT moved_at FROM subscriptions WHERE id = $1", subscription_id
        )
        for use in await _uses(database, source, moved_at):
            await database.execute(
                _SQL["move"](
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
    """Add the usage of the source's days to the account that it is joined to.

    ``moved_held`` credits of it are held. They move into the target's own lot and count there by
    themselves. Both accounts are locked, and the caller stores them.
    """
    for use in await _uses(database, source, None, moved_held):
        if use.from_account != target.sheet.account_id:  # this is the target's own use already
            await _add(database, target.sheet.account_id, use)
            _counts_until(target, use.until)
    _counts_until(target, source.brought_until)
    if target.day is not None:
        target.used_brought = await database.fetchval(
            _SQL["counting"](account_id=target.sheet.account_id, starts_at=target.day.starts_at)
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
    """Move the end of the running day, and of its earlier openings, after a change of zone."""
    await database.execute(
        _SQL["shift_own"](account_id=day.sheet.account_id, was_until=ended_at, until_at=ends_at)
    )
    _counts_until(day, ends_at if day.brought_until is not None else None)


async def brought_with(database: Database, day: AccountDay, lot_number: int | None) -> int:
    """Return the usage, in credits, that was brought from other accounts to the day of this lot."""
    if day.day is None:
        return 0
    amount: int | None = await database.fetchval(
        _SQL["brought_with"](
            account_id=day.sheet.account_id, lot_id=lot_number, starts_at=day.day.starts_at
        )
    )
    return amount or 0


async def count_less(
    database: Database, day: AccountDay, lot_number: int | None, amount: int
) -> None:
    """Lower by this amount the usage that was brought to the day of this lot."""
    await database.execute(
        _SQL["count_less"](account_id=day.sheet.account_id, lot_id=lot_number, amount=amount)
    )


def use_again(day: AccountDay, used: Sequence[Use]) -> None:
    """Add to the day's usage what counts as used of joined accounts' days again."""
    for use in used:
        if day.day is not None and use.until > day.day.starts_at:
            day.used_brought += use.amount
            _counts_until(day, use.until)


async def count_again(database: Database, day: AccountDay, used: Sequence[Use]) -> None:
    """Store the usage that `use_again` added to the day."""
    for use in used:
        if day.day is not None and use.until > day.day.starts_at:
            await _add(database, day.sheet.account_id, use)


async def _uses(
    database: Database, source: AccountDay, since: datetime | None, moved_held: int = 0
) -> list[Use]:
    """Read the usage of the source's running day, and of its days that ended after ``since``.

    This includes usage that joins brought to it. A day that ended longer ago than the longest
    possible day counts nowhere any more.
    """
    earliest = source.now - DAY_MAX
    rows = await database.fetch(
        _SQL["uses"](
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
        _SQL["add"](
            account_id=number,
            from_account_id=use.from_account,
            until_at=use.until,
            amount=use.amount,
        )
    )


def _counts_until(day: AccountDay, until: datetime | None) -> None:
    if until is not None and (day.brought_until is None or day.brought_until < until):
        day.brought_until, day.changed = until, True
