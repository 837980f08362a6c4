"""Move purchased lots with the money behind them when two accounts are joined."""

from __future__ import annotations

from app.allowance.day import AccountDay
from app.infrastructure.db import Database
from app.ledger import post, reserved
from app.ledger.backings import Backing
from app.ledger.kinds import House, Kind, Side
from app.ledger.sheet import JournalDraft, Lot


async def load_backings(database: Database, day: AccountDay) -> None:
    """Load every purchase backing of the account, also those of empty lots."""
    rows = await database.fetch(
        "SELECT lot_id FROM backings WHERE account_id = $1", day.sheet.account_id
    )
    await post.load_lots(database, day.sheet, {row["lot_id"] for row in rows})
    # Backings that posting the due acts has changed stay as they are, and are written.
    moved = {backing.number: backing for backing in day.backings}
    stored = await reserved.backings_of_account(database, day.sheet)
    day.backings = [moved.get(backing.number, backing) for backing in stored]


def move_backing(
    journal: JournalDraft, backing: Backing, source: AccountDay, target: AccountDay
) -> Lot:
    """Move the free and the frozen part of a purchased lot; the held part follows with its holds.

    The new lot first gets the whole pack, then what is gone already leaves it. So money that is
    given back later finds its room in the lot.

    Example: of a pack of 100, 30 are spent, 10 frozen and 60 free. The new lot is granted 100; 30
    leave it at once; 10 are frozen.
    """
    lot, free, frozen = backing.lot, backing.lot.free, backing.frozen
    gone = max(0, backing.credits - free - lot.held)
    moved = target.sheet.grant(journal, lot.source, 0, lot.expires_at, priority=lot.priority)
    moved.granted_at = lot.granted_at
    moved.granted = free + gone + frozen
    if free:
        source.sheet.write(journal, lot, Kind.TRANSFER, Side.FREE, House.TRANSFERRED, free)
    if free + gone:
        target.sheet.write(journal, moved, Kind.TRANSFER, House.TRANSFERRED, Side.FREE, free + gone)
    if gone:
        target.sheet.write(journal, moved, Kind.TRANSFER, Side.FREE, House.TRANSFERRED, gone)
    if frozen:
        source.sheet.write(journal, lot, Kind.TRANSFER, Side.HELD, House.TRANSFERRED, frozen)
        target.sheet.write(journal, moved, Kind.TRANSFER, House.TRANSFERRED, Side.HELD, frozen)
    target.sheet.repay(journal, moved)
    backing.lot = backing.clawback.lot = moved
    backing.clawback.changed = True
    target.backings.append(backing)
    move_clawbacks(lot, moved, source, target)
    return moved


def move_clawbacks(lot: Lot, moved: Lot, source: AccountDay, target: AccountDay) -> None:
    """Move clawbacks that wait for a release of the lot to the lot that it became."""
    for clawback in [
        clawback for clawback in source.clawbacks if clawback.lot is lot and clawback.pending
    ]:
        clawback.lot, clawback.changed = moved, True
        source.clawbacks.remove(clawback)
        target.clawbacks.append(clawback)
