"""Join two accounts, or move subscriptions between them; the day's usage is added up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from app.accounts.day_use import bring_joined, bring_with
from app.accounts.move_backing import load_backings, move_backing, move_clawbacks
from app.allowance import load
from app.allowance.day import AccountDay
from app.allowance.origin import Origin
from app.allowance.store import store_days
from app.book import Book
from app.errors import RefusedError
from app.infrastructure import sql
from app.infrastructure.clock import NEVER
from app.infrastructure.ids import AccountNumber, JournalNumber
from app.ledger import moved_lots
from app.ledger.holds import Hold, HoldState
from app.ledger.kinds import BALANCE_MAX, Act, House, Kind, Side
from app.ledger.sheet import JournalDraft, Lot

if TYPE_CHECKING:
    from app.accounts import row_types


_SQL: Final[row_types.JoinSql] = sql.beside(__file__)


async def join(
    book: Book,
    source: AccountNumber,
    target: AccountNumber,
    origin: Origin,
    *,
    reason: str | None = None,
) -> JournalNumber:
    """Move everything of ``source`` to ``target``; the source stays, closed, for its entries.

    Returns the id of the transfer's journal, which keeps an operator's reason. The caller has
    locked the source's customers and owns the transaction. Raises RefusedError if the sum would
    pass the largest allowed balance.
    """
    database = book.database
    days = await load.lock(database, book.catalogues, [source, target])
    for day in days.values():
        day.post_due(origin)
    _check_sums(days[source], days[target])
    held = _held_of_day(days[source]) if _keeps_held(days[source], days[target]) else 0
    await bring_joined(database, days[source], days[target], held)
    await load_backings(database, days[source])
    journal = JournalDraft(
        Act.TRANSFER, origin.source, origin.actor, days[target].now, reason=reason
    )
    moved = _move(journal, days[source], days[target], origin)
    await database.execute(
        "UPDATE customers SET account_id = $2 WHERE account_id = $1", source, target
    )
    await database.execute(
        "UPDATE subscriptions SET account_id = $2 WHERE account_id = $1", source, target
    )
    await load.reread(database, [days[target]])
    days[target].entitle(days[target].now, origin)
    # A lot goes on in a later one: what was due opened lots of the source in this transaction too.
    await store_days(database, [days[source], days[target]])
    await moved_lots.store(database, moved.items(), days[target].now)
    await database.execute(_SQL["take_over_use"](source=source, target=target))
    await database.execute(_SQL["end_joined"](source=source, target=target, never=NEVER))
    assert journal.number is not None
    return journal.number


async def may_join(book: Book, source: AccountNumber, target: AccountNumber) -> bool:
    """Return whether an event may join the two.

    It may not if that would bring debt to another account, or if the sum would pass the largest
    allowed balance.
    """
    return await book.database.fetchval(  # type: ignore[no-any-return]
        _SQL["may_join"](source=source, target=target, most=BALANCE_MAX)
    )


def _check_sums(source: AccountDay, target: AccountDay) -> None:
    """Raise RefusedError if the sum of the two would pass the largest allowed balance or debt."""
    coming, sheet = source.sheet, target.sheet
    sheet.check_room(coming.free + coming.held)
    if coming.debt + sheet.debt > BALANCE_MAX:
        raise RefusedError(f"The debt would pass {BALANCE_MAX} credits.", maximum=BALANCE_MAX)


async def move_subscriptions(
    book: Book,
    subscription_ids: Sequence[str],
    source: AccountNumber,
    target: AccountNumber,
    origin: Origin,
) -> None:
    """Make another account the receiver of these subscriptions from now on.

    Nothing else moves. The subscriptions take their usage of the day with them, so that nobody
    gets a day's allowance twice. The caller has locked their customer.
    """
    database = book.database
    days = await load.lock(database, book.catalogues, [source, target])
    for day in days.values():
        day.post_due(origin)
    await bring_with(database, subscription_ids, days[source], days[target])
    await database.execute(
        """UPDATE subscriptions SET account_id = $2, moved_at = $3
            WHERE id = ANY($1::text[])""",
        list(subscription_ids),
        target,
        days[target].now,
    )
    await load.reread(database, days.values())
    for day in days.values():
        day.entitle(day.now, origin)
    await store_days(database, days.values())


def _move(
    journal: JournalDraft, source: AccountDay, target: AccountDay, origin: Origin
) -> dict[Lot, Lot]:
    """Draft the whole move; return the lots that moved, each with its successor."""
    source.sheet.begin(journal)
    target.sheet.begin(journal)
    if source.lot is not None:
        # The allowances of the two days do not add up: the source's usage was brought to the
        # target.
        source.sheet.expire(journal, source.lot)
    moved: dict[Lot, Lot] = {}
    backings = {backing.lot: backing for backing in source.backings}
    source.backings = []
    # In burn order: lots that only their age in numbers tells apart keep burning in turn.
    for lot in sorted(source.sheet.lots, key=Lot.burn_order):
        if lot in backings:
            moved[lot] = move_backing(journal, backings[lot], source, target)
        elif lot.free > 0:
            moved[lot] = _move_lot(journal, lot, source, target)
    into = moved | _of_day(source, target)
    for hold in source.holds:
        if hold.state is HoldState.HELD:
            _move_hold(journal, hold, source, target, into)
    # What joins the target's day belongs to that day from now on, and is not tracked as moved.
    moved |= {lot: now for lot, now in into.items() if now is not target.lot}
    # The usage that was brought is counted first. Otherwise an allowance that is used up already
    # would repay the debt.
    target.settle(target.now, origin)
    if source.sheet.debt and source.lot is not None and target.lot is not None:
        owed = source.sheet.debt
        source.sheet.write(journal, source.lot, Kind.TRANSFER, House.TRANSFERRED, Side.DEBT, owed)
        target.sheet.write(journal, target.lot, Kind.TRANSFER, Side.DEBT, House.TRANSFERRED, owed)
        for lot in target.sheet.spendable():
            target.sheet.repay(journal, lot)
    source.leave_day()
    # Those whose deadline this has posted stay, to be written.
    source.holds = [hold for hold in source.holds if hold.state is not HoldState.HELD]
    source.givings = ()
    source.due_at = NEVER
    source.changed = target.changed = True
    return moved


def _of_day(source: AccountDay, target: AccountDay) -> dict[Lot, Lot]:
    """Move the held part of the source's own day into the target's day."""
    if source.lot is None or target.lot is None or not _keeps_held(source, target):
        return {}
    return {source.lot: target.lot}


def _move_hold(
    journal: JournalDraft,
    hold: Hold,
    source: AccountDay,
    target: AccountDay,
    into: dict[Lot, Lot],
) -> None:
    """Move a hold's credits into lots of the target, one for each lot of the source."""
    parts = []
    for lot, part in hold.parts:
        source.sheet.write(
            journal, lot, Kind.TRANSFER, Side.HELD, House.TRANSFERRED, part, hold_id=hold.number
        )
        moved = into.get(lot) or _held_lot(journal, lot, source, target)
        into[lot] = moved
        moved.granted += part
        target.sheet.write(
            journal, moved, Kind.TRANSFER, House.TRANSFERRED, Side.HELD, part, hold_id=hold.number
        )
        parts.append((moved, part))
    hold.parts, hold.account_id, hold.changed = parts, target.sheet.account_id, True
    target.holds.append(hold)


def _keeps_held(source: AccountDay, target: AccountDay) -> bool:
    """Return whether the held part of the source's day moves into the target's own day.

    If it is given back, it is free again there, as far as the allowance goes. It does not move if
    some of it is to be clawed back: that would take credits of the target's own.
    """
    clawed = any(clawback.lot is source.lot and clawback.pending for clawback in source.clawbacks)
    return source.lot is not None and target.lot is not None and not target.closed and not clawed


def _held_of_day(source: AccountDay) -> int:
    parts = [part for hold in source.holds for lot, part in hold.parts if lot is source.lot]
    return sum(parts)


def _held_lot(journal: JournalDraft, lot: Lot, source: AccountDay, target: AccountDay) -> Lot:
    moved = target.sheet.grant(journal, lot.source, 0, lot.expires_at, priority=lot.priority)
    moved.granted_at = lot.granted_at
    if lot is source.lot:
        # This usage counts against the target's allowance already. If it were given back, it would
        # count twice, so a released hold lapses at once.
        moved.expires_at = target.now
    move_clawbacks(lot, moved, source, target)
    return moved


def _move_lot(journal: JournalDraft, lot: Lot, source: AccountDay, target: AccountDay) -> Lot:
    amount = lot.free
    source.sheet.write(journal, lot, Kind.TRANSFER, Side.FREE, House.TRANSFERRED, amount)
    moved = target.sheet.grant(
        journal,
        lot.source,
        amount,
        lot.expires_at,
        priority=lot.priority,
        house=House.TRANSFERRED,
        kind=Kind.TRANSFER,
    )
    moved.granted_at = lot.granted_at
    move_clawbacks(lot, moved, source, target)
    return moved
