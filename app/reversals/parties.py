"""The accounts of a journal that is undone, and the lots that its lots are now.

That is usually the journal's own account. If it was joined to another account later, what is given
back moves from its lot to the lot's successor there, and what is taken back is taken there. A
day's own lot ended with the join: what comes back to it expires, and no longer counts against the
day to which the join brought its use.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from app.accounts import day_use
from app.allowance import load
from app.allowance.catalogues import Catalogues
from app.allowance.day import AccountDay
from app.allowance.entitlement import Use
from app.allowance.load_more import load_clawbacks, load_past
from app.allowance.origin import Origin
from app.allowance.store import store_days
from app.infrastructure import sql
from app.infrastructure.db import Database, Record
from app.infrastructure.ids import AccountNumber, EntryNumber, JournalNumber, LotNumber
from app.ledger import moved_lots, post, reserved
from app.ledger.clawbacks import Clawback
from app.ledger.kinds import LotSource
from app.ledger.moved_lots import Trail
from app.ledger.sheet import JournalDraft, Lot, Sheet
from app.reversals import owed

if TYPE_CHECKING:
    from app.reversals import row_types


_SQL: Final[row_types.PartiesSql] = sql.beside(__file__)


@dataclass(slots=True)
class Place:
    """A lot of the journal's account, and the lot that it is now; usually the same lot."""

    lot: Lot
    now: Lot
    before: Sequence[Lot] = ()  # what it was until it went on as ``now``
    astray: int = 0  # moved to no lot that is known

    @property
    def moved(self) -> bool:
        """Return whether the lot goes on in another account."""
        return self.lot is not self.now

    @property
    def lapsed(self) -> int:
        """Return how much of it expired, or went into another account's day."""
        absorbed = self.astray if self.lot.source is LotSource.DAILY else 0
        return self.now.lapsed + sum(lot.lapsed for lot in self.before) + absorbed


@dataclass(slots=True)
class Parties:
    """The account of the journal, and the account that now holds its credits.

    ``others`` were joined there too, and their lots repaid debt: maybe that of this journal.
    """

    own: AccountDay
    present: AccountDay
    others: Sequence[AccountDay] = ()
    places: dict[LotNumber, Place] = field(default_factory=dict)
    repaid: list[tuple[Record, int]] = field(default_factory=list)  # of debt that comes back
    new: list[tuple[Lot, Lot]] = field(default_factory=list)  # a lot, and the one it goes on as

    @property
    def joined(self) -> bool:
        """Return whether they are two accounts."""
        return self.own is not self.present

    @property
    def days(self) -> list[AccountDay]:
        """Return each account once."""
        return [self.own, *self.others, self.present] if self.joined else [*self.others, self.own]

    def sheet_of(self, lot: Lot) -> Sheet:
        """Return the sheet of the account whose lot this is."""
        return next(day.sheet for day in self.days if day.sheet.account_id == lot.account_id)


@dataclass(slots=True)
class Undone:
    """The amount to undo, and the clawbacks if the journal had given it.

    Of what was given back, ``expired`` expired at once and ``carried`` went into today's carried
    lot. ``unused`` is how much less counts as used in the days of joined accounts, by own lot;
    ``used`` how much more. ``of_return`` is the return that is undone; ``owed`` has (entry,
    what is owed again, what had expired) for its entries that had lowered a debt.
    """

    requested: int
    expired: int = 0
    carried: int = 0
    clawbacks: list[Clawback] = field(default_factory=list)
    unused: dict[LotNumber, int] = field(default_factory=lambda: defaultdict(int))
    used: list[Use] = field(default_factory=list)
    of_return: JournalNumber | None = None
    owed: list[tuple[EntryNumber, int, int]] = field(default_factory=list)

    @property
    def clawed(self) -> int:
        """Return what was taken back: of lots, and by owing it again."""
        return sum(owed for _, owed, _ in self.owed) + sum(one.clawed for one in self.clawbacks)


async def lock(
    database: Database, catalogues: Catalogues, numbers: Sequence[AccountNumber]
) -> Parties:
    """Lock the accounts of journals, the one that they are joined to, and the others joined there.

    A hold that was captured in parts before and after its account was joined has two.
    """
    while True:
        rows = await database.fetch(_SQL["parties"](account_ids=numbers))
        days = await load.lock(database, catalogues, [row["id"] for row in rows])
        parties = parties_of(days, numbers[0])
        if parties is not None:
            return parties


def parties_of(days: Mapping[AccountNumber, AccountDay], number: AccountNumber) -> Parties | None:
    """Return the accounts out of locked ones; None if one of the two is missing."""
    if number not in days:
        return None
    present = days[number].joined_to or number
    if present not in days:
        return None
    others = [
        day
        for one, day in days.items()
        if day.joined_to == present and one not in (number, present)
    ]
    return Parties(days[number], days[present], others)


async def load_lots(
    database: Database,
    parties: Parties,
    header: JournalDraft,
    entries: Sequence[Record],
    back: Sequence[tuple[Record, int]] = (),
) -> None:
    """Load the lots of these entries, their successors, and what is open on them.

    ``back`` is how much of each entry comes back. Of a debt that was repaid, this goes to the lots
    that repaid it.
    """
    numbers = [day.sheet.account_id for day in parties.days]
    parties.repaid = await owed.repaid(database, numbers, parties.present.sheet.debt, back)
    named = [*entries, *(entry for entry, _ in parties.repaid)]
    await _find_places(database, parties, header, named)
    day = parties.present
    if not parties.joined:
        present = [place.now for place in parties.places.values() if place.now is place.lot]
        await load_past(database, day, present)
    await _load_open(database, day, parties)


async def settle(
    database: Database, parties: Parties, header: JournalDraft, undone: Undone
) -> None:
    """Apply the allowance rule again after credits were taken back or given back."""
    day = parties.present
    for lot, amount in undone.unused.items():
        brought = await day_use.brought_with(database, day, lot)
        undone.unused[lot] = min(amount, brought)
        day.used_brought -= undone.unused[lot]
    day_use.use_again(day, undone.used)
    day.changed = True
    day.settle(day.now, Origin("api", header.actor))
    day.refresh_due()


async def write(database: Database, parties: Parties, undone: Undone) -> None:
    """Write what was drafted; the caller stores the reversal's own row."""
    await store_days(database, parties.days)
    await moved_lots.store(database, parties.new, parties.present.now)
    for lot, amount in undone.unused.items():
        await day_use.count_less(database, parties.present, lot, amount)
    await day_use.count_again(database, parties.present, undone.used)


async def _find_places(
    database: Database, parties: Parties, header: JournalDraft, entries: Sequence[Record]
) -> None:
    """Load the entries' lots on their accounts' sheets, and their successors on the present one."""
    lots: dict[LotNumber, Lot] = {}
    for day in parties.days:
        own = {row["lot_id"] for row in entries if row["account_id"] == day.sheet.account_id}
        await post.load_lots(database, day.sheet, own)
        lots |= {lot.number: lot for lot in day.sheet.lots if lot.number and lot.number in own}
    sheet = parties.present.sheet
    parties.places = {
        number: Place(lot, lot)
        for number, lot in lots.items()
        if lot.account_id == sheet.account_id
    }
    gone = {number: lot for number, lot in sorted(lots.items()) if number not in parties.places}
    trails = await moved_lots.trails(database, list(gone)) if gone else {}
    ends = {number: trail.lots[-1] for number, trail in trails.items()}
    here = [
        end.number for end in ends.values() if end.account_id == sheet.account_id and end.number
    ]
    await post.load_lots(database, sheet, here)
    for number, lot in gone.items():
        present = sheet.lot(ends[number].number) or _go_on(parties, header, ends[number])
        parties.places[number] = _place(lot, present, trails[number])


def _place(lot: Lot, present: Lot, trail: Trail) -> Place:
    before = [one for one in trail.lots if one.number != present.number]
    return Place(lot, present, before, trail.astray)


def _go_on(parties: Parties, header: JournalDraft, last: Lot) -> Lot:
    """Draft an empty successor for a lot that has none; a day's own lot has ended."""
    now = parties.present.now
    ends_at = min(last.expires_at, now) if last.source is LotSource.DAILY else last.expires_at
    sheet = parties.present.sheet
    lot = sheet.grant(header, last.source, 0, ends_at, priority=last.priority)
    lot.granted_at = last.granted_at
    parties.new.append((last, lot))
    return lot


async def _load_open(database: Database, day: AccountDay, parties: Parties) -> None:
    """Load every clawback and backing of the lots and of the lots they came from."""
    await load_clawbacks(database, [day])
    former = {
        lot.number: place.now
        for place in parties.places.values()
        for lot in place.before
        if lot.number is not None
    }
    day.clawbacks += await reserved.clawbacks_of_former_lots(database, former)
    backed = {backing.number: backing for backing in day.backings}
    behind = await reserved.backings_of_lots(database, day.sheet)
    day.backings = [backed.get(backing.number, backing) for backing in behind]
