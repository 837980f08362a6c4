"""Load what an act needs of the past: days that have ended, and clawbacks of lots."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from app.allowance.day import AccountDay
from app.allowance.past_days import DAY_SOURCES, PastDay
from app.infrastructure import sql
from app.infrastructure.db import Database
from app.ledger import post, reserved
from app.ledger.sheet import Lot

if TYPE_CHECKING:
    from app.allowance import row_types


# A day ends at most this many days after its date: in any zone it lasts 50 hours at most.
_AFTER_ITS_DATE: Final = timedelta(days=4)
_SQL: Final[row_types.LoadMoreSql] = sql.beside(__file__)


async def load_past(database: Database, day: AccountDay, lots: Iterable[Lot]) -> None:
    """Put on ``day.past`` the days that these lots ended with, and the days up to the running one.

    The lots are on the day's sheet. Nothing is loaded for lots of the running day, for lots with
    an end of their own, or for a closed account whose last day is over: it has no day to carry
    into.
    """
    if day.day is None:
        return
    ended = [lot for lot in lots if _has_ended(day, lot)]
    for lot in [lot for lot in ended if _join_known(day, lot)]:
        ended.remove(lot)
    if not ended:
        return
    ends = {lot.expires_at for lot in ended}
    rows = await database.fetch(
        _SQL["days_since"](
            account_id=day.sheet.account_id, since_on=(min(ends) - _AFTER_ITS_DATE).date()
        )
    )
    wanted = _reached(day, rows, ends)
    numbers = {row[name] for row, _ in wanted for name in ("lot_id", "carried_lot_id")}
    await post.load_lots(database, day.sheet, numbers)
    await load_clawbacks(database, [day])
    built = {row["day_on"]: _past_day(day, row, after, ended) for row, after in wanted}
    for row, after in wanted:
        on = after["day_on"]
        built[row["day_on"]].following = built.get(on) or day.past.get(on)
    day.past |= built


async def load_clawbacks(database: Database, days: Iterable[AccountDay]) -> None:
    """Put every clawback of the sheets' lots on the days.

    Clawbacks that are on the days already stay: posting due acts may have changed them, and they
    are written.
    """
    of_account = {day.sheet.account_id: day for day in days}
    sheets = {number: day.sheet for number, day in of_account.items()}
    for number, stored in (await reserved.clawbacks_of_lots(database, sheets)).items():
        day = of_account[number]
        known = {one.number: one for one in day.clawbacks}
        day.clawbacks = [known.get(one.number, one) for one in stored]


def _has_ended(day: AccountDay, lot: Lot) -> bool:
    assert day.day is not None
    known = any(lot in past.lots for past in day.past.values())
    return lot.source in DAY_SOURCES and lot.expires_at < day.day.ends_at and not known


def _join_known(day: AccountDay, lot: Lot) -> bool:
    """Return whether the lot ended with a day that is loaded already; it then joins that day."""
    for past in day.past.values():
        if past.own.expires_at == lot.expires_at:
            past.others = [*past.others, lot]
            return True
    return False


def _reached(
    day: AccountDay, rows: Sequence[row_types.LoadMoreDaysSince], ends: set[datetime]
) -> list[tuple[row_types.LoadMoreDaysSince, row_types.LoadMoreDaysSince]]:
    """Return the days that ended then, and the days reached from them, each with the next one."""
    wanted, reached = [], False
    for row, after in pairwise(rows):
        if row["day_on"] not in day.past and (reached or row["expires_at"] in ends):
            wanted.append((row, after))
            reached = after["carry_over_max"] > 0
    return wanted


def _past_day(
    day: AccountDay,
    row: row_types.LoadMoreDaysSince,
    after: row_types.LoadMoreDaysSince,
    ended: Sequence[Lot],
) -> PastDay:
    own, carried = day.sheet.lot(row["lot_id"]), day.sheet.lot(row["carried_lot_id"])
    assert own is not None
    others = [one for one in ended if one.expires_at == own.expires_at]
    return PastDay(
        own=own,
        carried=carried,
        others=[one for one in others if one is not own and one is not carried],
        allowed=after["previous_allowed"],
        carry_over_max=after["carry_over_max"],
    )
