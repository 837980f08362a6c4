"""Load locked accounts with their days."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from app.allowance.catalogue import Catalogue
from app.allowance.catalogues import Catalogues
from app.allowance.day import AccountDay
from app.allowance.entitlement import Giving, Use
from app.allowance.load_more import load_past
from app.allowance.origin import Origin
from app.allowance.zones import Day
from app.infrastructure import sql
from app.infrastructure.db import Database, Record
from app.infrastructure.ids import AccountNumber
from app.ledger import post, reserved
from app.ledger.idempotency import RequestKey, StoredAnswer
from app.ledger.post import Locked
from app.ledger.sheet import Sheet

if TYPE_CHECKING:
    from app.allowance import row_types


_MICROSECOND = timedelta(microseconds=1)
_SQL: Final[row_types.LoadSql] = sql.beside(__file__)


@dataclass(slots=True)
class Drawable:
    """A locked account, ready to draw from; ``day`` is set if something was due."""

    row: Record
    sheet: Sheet
    day: AccountDay | None

    @property
    def closed(self) -> bool:
        """Return whether an operator closed the account."""
        return self.row["closed_at"] is not None

    @property
    def next_grant_at(self) -> datetime | None:
        """Return when the next day opens; None for a closed account."""
        if self.day is not None:
            return self.day.next_grant_at
        return None if self.closed else self.row["day_ends_at"]

    @property
    def suspended(self) -> bool:
        """Return whether an operator suspended the account."""
        return self.row["suspended_at"] is not None


async def lock(
    database: Database, catalogues: Catalogues, numbers: Iterable[AccountNumber]
) -> dict[AccountNumber, AccountDay]:
    """Lock these accounts in order, and load sheet, day and givings of each."""
    return await _days(database, catalogues, await post.lock(database, numbers))


async def to_draw(
    database: Database,
    catalogues: Catalogues,
    rows: Sequence[Record],
    keys: Sequence[RequestKey],
    origin: Origin,
) -> tuple[dict[AccountNumber, Drawable], dict[str, StoredAnswer]]:
    """Locked accounts with what is due on them posted, and what stands under the keys.

    Most accounts have nothing due; one statement is enough for them.
    """
    locked, answers = await post.sheets_and_answers(database, rows, keys)
    overdue = {n: one for n, one in locked.items() if _next_due(one.row) <= one.sheet.now}
    days = await _days(database, catalogues, overdue) if overdue else {}
    for day in days.values():
        day.post_due(origin)
    return {
        number: Drawable(one.row, one.sheet, days.get(number)) for number, one in locked.items()
    }, answers


async def view(
    database: Database, catalogues: Catalogues, rows: Sequence[Record]
) -> dict[AccountNumber, AccountDay]:
    """Return the same accounts from rows that were read without a lock: to compute with, not to
    write.
    """
    return await _days(database, catalogues, await post.sheets_of(database, rows))


def is_plain(row: Record) -> bool:
    """Return whether the account's lots and subscriptions alone decide what it has.

    False if credits are held, or if usage was brought from another account.
    """
    return not row["held"] and not _counts(row)


async def plain_view(
    database: Database,
    catalogues: Catalogues,
    one: Locked,
    subscriptions: Iterable[Record],
    newest_catalogue_id: int,
) -> AccountDay:
    """Build the day of a plain account from rows that were all read; it must not be stored."""
    present_id, present = await catalogues.known(database, newest_catalogue_id)
    day_catalogue = await catalogues.of(database, one.row["day_catalogue_id"] or present_id)
    gives = [giving(row) for row in subscriptions if row["tier"] or row["grace_tier"]]
    return _day(one, gives, present_id, present, day_catalogue)


async def _days(
    database: Database, catalogues: Catalogues, locked: Mapping[AccountNumber, Locked]
) -> dict[AccountNumber, AccountDay]:
    givings = await _givings(database, list(locked))
    present_id, present = await catalogues.known(database, givings[None][0]["catalogue_id"])
    brought = await _brought(database, [n for n, one in locked.items() if _counts(one.row)])
    reserving = {number: one.sheet for number, one in locked.items() if one.sheet.held}
    holds = await reserved.open_holds(database, reserving) if reserving else {}
    clawbacks = await reserved.clawbacks_of_lots(database, reserving) if reserving else {}
    backings = await reserved.open_backings(database, reserving) if reserving else {}
    days = {}
    for number, one in locked.items():
        catalogue_id = one.row["day_catalogue_id"] or present_id
        day_catalogue = await catalogues.of(database, catalogue_id)
        gives = [giving(row, brought.moved) for row in givings[number]]
        day = _day(one, gives, present_id, present, day_catalogue)
        day.brought = brought.joined.get(number, ())
        day.holds, day.clawbacks = holds.get(number, []), clawbacks.get(number, [])
        day.backings = backings.get(number, [])
        days[number] = day
        # What is released after a midnight goes back to the day in which it was held.
        await load_past(database, day, [lot for hold in day.holds for lot, _ in hold.parts])
    return days


async def reread(database: Database, days: Iterable[AccountDay]) -> None:
    """Read again what the accounts' subscriptions give, and the usage that was brought to them."""
    days = list(days)
    givings = await _givings(database, [day.sheet.account_id for day in days])
    brought = await _brought(
        database, [day.sheet.account_id for day in days if day.brought_until is not None]
    )
    for day in days:
        number = day.sheet.account_id
        day.givings = [giving(row, brought.moved) for row in givings[number]]
        day.brought = brought.joined.get(number, ())


@dataclass(slots=True)
class _Brought:
    """Usage of other accounts' days: by the account they were joined to, and by subscription."""

    joined: dict[AccountNumber, list[Use]]
    moved: dict[str, tuple[Use, ...]]


async def _brought(database: Database, numbers: Sequence[AccountNumber]) -> _Brought:
    joined: dict[AccountNumber, list[Use]] = defaultdict(list)
    moved: dict[str, tuple[Use, ...]] = defaultdict(tuple)
    rows = await database.fetch(_SQL["brought"](account_ids=list(numbers))) if numbers else []
    for row in rows:
        use = Use(row["from_account_id"], row["until_at"], row["amount"])
        if row["subscription_id"] is None:
            joined[row["account_id"]].append(use)
        else:
            moved[row["subscription_id"]] += (use,)
    return _Brought(joined, moved)


async def _givings(
    database: Database, numbers: Sequence[AccountNumber]
) -> dict[AccountNumber | None, list[Record]]:
    """The rows of the accounts' subscriptions that give something; the newest catalogue's id.

    The id comes in a row without an account, which saves a round trip.
    """
    rows = await database.fetch(_SQL["givings"](account_ids=list(numbers)))
    givings: dict[AccountNumber | None, list[Record]] = {number: [] for number in (None, *numbers)}
    for row in rows:
        givings[row["account_id"]].append(row)
    return givings


def giving(row: Record, moved: Mapping[str, tuple[Use, ...]] | None = None) -> Giving:
    """Return what a subscription's row gives; ``moved`` is the usage that subscriptions brought."""
    return Giving(
        row["tier"],
        row["grace_tier"],
        row["grace_ends_at"],
        row["failing_since"],
        (moved or {}).get(row["id"], ()),
    )


def _counts(row: Record) -> bool:
    """Return whether usage that was brought may count in the running day or later."""
    until: datetime | None = row["brought_until"]
    return until is not None and until > (row["day_starts_at"] or datetime.min.replace(tzinfo=UTC))


def _next_due(row: Record) -> datetime:
    """A dormant account's day ends before the tick looks again; a suspended account's day waits."""
    due_at: datetime = row["due_at"]
    waits = row["suspended_at"] is not None or row["day_ends_at"] is None
    return due_at if waits else min(due_at, row["day_ends_at"])


def _posted_to(row: Record, now: datetime) -> datetime:
    """Return until when all is posted; a grace period from before the day began is over."""
    posted_to = min(_next_due(row) - _MICROSECOND, now)
    return max(posted_to, row["day_starts_at"] or posted_to)


def _day(
    one: Locked,
    givings: Sequence[Giving],
    present_id: int,
    present: Catalogue,
    day_catalogue: Catalogue,
) -> AccountDay:
    row, sheet = one.row, one.sheet
    lot = sheet.lot(row["day_lot_id"])
    day = None
    if row["day_on"] is not None:
        day = Day(row["day_on"], row["day_starts_at"], row["day_ends_at"])
    return AccountDay(
        sheet=sheet,
        tier=row["tier"],
        time_zone=row["time_zone"],
        day=day,
        opening=row["day_opening"],
        lot=lot,
        carried=sheet.lot(row["day_carried_lot_id"]),
        used_brought=row["day_used_brought"],
        due_at=row["due_at"],
        closed_at=row["closed_at"],
        suspended_at=row["suspended_at"],
        joined_to=row["joined_to"],
        brought_until=row["brought_until"],
        catalogue=present,
        catalogue_id=present_id,
        day_catalogue=day_catalogue,
        day_catalogue_id=row["day_catalogue_id"] or present_id,
        givings=givings,
        withdrawn=row["day_withdrawn"],
        posted_to=_posted_to(row, sheet.now),
        dormant=day is not None and row["due_at"] > day.ends_at,
    )
