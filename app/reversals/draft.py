"""Draft the reversal of one journal, on the account that now holds its credits.

That is usually the journal's own account. If it was joined to another account later, what is given
back moves from its lot to the lot's successor there, and what is taken back is taken there. A
day's own lot ended with the join: what comes back to it expires, and no longer counts against the
day to which the join brought its use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from app.accounts import day_use
from app.allowance import load
from app.allowance.catalogues import Catalogues
from app.allowance.day import AccountDay
from app.allowance.load_more import load_clawbacks, load_past
from app.allowance.origin import Origin
from app.allowance.store import store_days
from app.errors import NotReversibleError, ShortfallError
from app.infrastructure import sql
from app.infrastructure.db import Database, Record
from app.infrastructure.ids import AccountNumber, LotNumber
from app.ledger import backings, clawbacks, moved_lots, post, reserved
from app.ledger.clawbacks import Clawback, Policy
from app.ledger.kinds import Act, House, Kind, LotSource, Side
from app.ledger.moved_lots import Trail
from app.ledger.sheet import JournalDraft, Lot
from app.reversals import owed
from app.reversals.record import ReversalOrder

if TYPE_CHECKING:
    from app.reversals import row_types


_SQL: Final[row_types.DraftSql] = sql.beside(__file__)
ENTRIES: Final = _SQL["entries"]

# What each reversible journal's entries are, and which way they are undone.
GIVING: Final = {
    Act.GRANT: (Kind.GRANT, Kind.PURCHASE),
    Act.OPENING: (Kind.GRANT,),
    Act.TOP_UP: (Kind.GRANT,),
    Act.PURCHASE: (Kind.PURCHASE,),
    Act.RETURN: (Kind.RETURN,),
}
TAKING: Final = dict.fromkeys((Act.SPEND, Act.CAPTURE, Act.PART_CAPTURE), Kind.SPEND)


@dataclass(slots=True)
class Place:
    """A lot of the journal's account, and the lot that it is now; usually the same lot."""

    lot: Lot
    now: Lot
    before: Sequence[Lot] = ()  # what it was until it went on as ``now``
    astray: int = 0  # moved to no lot that is known

    @property
    def lapsed(self) -> int:
        """Return how much of it expired, or went into another account's day."""
        absorbed = self.astray if self.lot.source is LotSource.DAILY else 0
        return self.now.lapsed + sum(lot.lapsed for lot in self.before) + absorbed


@dataclass(slots=True)
class Parties:
    """The account of the journal, and the account that now holds its credits."""

    own: AccountDay
    present: AccountDay
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
        return [self.own, self.present] if self.joined else [self.own]


@dataclass(slots=True)
class Undone:
    """The amount to undo, and the clawback if the journal had given it.

    Of what was given back, ``expired`` expired at once and ``carried`` went into today's carried
    lot. ``unused`` is how much less counts as used in the day of a joined account whose lot this
    is.
    """

    requested: int
    expired: int = 0
    carried: int = 0
    clawback: Clawback | None = None
    unused: int = 0
    day_lot: LotNumber | None = None


async def lock(database: Database, catalogues: Catalogues, number: AccountNumber) -> Parties:
    """Lock a journal's account, and the account that it is joined to."""
    query = "SELECT coalesce(joined_to, id) FROM accounts WHERE id = $1"
    present: AccountNumber = await database.fetchval(query, number)
    while True:
        days = await load.lock(database, catalogues, {number, present})
        parties = parties_of(days, number)
        if parties is not None:
            return parties
        present = await database.fetchval(query, number)


def parties_of(days: dict[AccountNumber, AccountDay], number: AccountNumber) -> Parties | None:
    """Return both accounts out of locked ones; None if one of them is missing."""
    if number not in days:
        return None
    present = days[number].joined_to or number
    return Parties(days[number], days[present]) if present in days else None


async def draft(
    database: Database, parties: Parties, row: Record, order: ReversalOrder
) -> tuple[JournalDraft, Undone]:
    """Draft the reversal of a journal on the accounts' sheets.

    Raises NotReversibleError, ShortfallError.
    """
    day = parties.present
    entries = await database.fetch(ENTRIES(journal_ids=[row["id"]]))
    header = day.sheet.begin(_header(day, row, order))
    kind = Act(row["kind"])
    given = [entry for entry in entries if _gave(kind, entry)]
    taken = [(entry, entry["amount_left"]) for entry in entries if _took(kind, entry)]
    await load_lots(database, parties, header, entries, taken)
    if kind is Act.RETURN and (len(given) > 1 or any(one["credit"] == Side.DEBT for one in given)):
        raise NotReversibleError(
            "What came back went into several lots, or against a debt: spend it again instead.",
            kind=kind,
        )
    if given:
        undone = _take_back(parties, header, kind, given[0], order.policy)
    elif any(left for _, left in taken):
        undone = restore(parties, header, taken)
    elif taken:
        raise NotReversibleError("All of it was returned already.", kind=kind)
    else:  # a day that was opened with nothing; what was left of the day before lapsed in it
        raise NotReversibleError("This journal gave nothing that could be taken back.", kind=kind)
    await settle(database, parties, header, undone)
    return header, undone


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
    await _find_places(database, parties, header, sorted({entry["lot_id"] for entry in named}))
    day = parties.present
    if not parties.joined:
        await load_past(database, day, [place.lot for place in parties.places.values()])
    await _load_open(database, day, parties)


async def settle(
    database: Database, parties: Parties, header: JournalDraft, undone: Undone
) -> None:
    """Apply the allowance rule again after credits were taken back or given back."""
    day = parties.present
    if undone.unused:
        brought = await day_use.brought_with(database, day, undone.day_lot)
        undone.unused = min(undone.unused, brought)
        day.used_brought -= undone.unused
    day.changed = True
    day.settle(day.now, Origin("api", header.actor))
    day.refresh_due()


async def write(database: Database, parties: Parties, undone: Undone) -> None:
    """Write what was drafted; the caller stores the reversal's own row."""
    await store_days(database, parties.days)
    await moved_lots.store(database, parties.new, parties.present.now)
    if undone.unused:
        await day_use.count_less(database, parties.present, undone.day_lot, undone.unused)


def _header(day: AccountDay, row: Record, order: ReversalOrder) -> JournalDraft:
    return JournalDraft(
        act=Act.REVERSAL,
        source="api",
        actor=order.actor,
        effective_at=day.now,
        reason=order.reason,
        reverses_journal_id=row["id"],
        idempotency_key=order.key.key if order.key else None,
        request_hash=order.key.request_hash if order.key else None,
    )


async def _find_places(
    database: Database, parties: Parties, header: JournalDraft, numbers: Sequence[LotNumber]
) -> None:
    """Load the journal's lots on its account's sheet, and their successors on the present one."""
    await post.load_lots(database, parties.own.sheet, numbers)
    found = {number: parties.own.sheet.lot(number) for number in numbers}
    lots = {number: lot for number, lot in found.items() if lot is not None}
    if not parties.joined:
        parties.places = {number: Place(lot, lot) for number, lot in lots.items()}
        return
    trails = await moved_lots.trails(database, numbers)
    sheet = parties.present.sheet
    ends = {number: trail.lots[-1] for number, trail in trails.items()}
    here = [
        end.number for end in ends.values() if end.account_id == sheet.account_id and end.number
    ]
    await post.load_lots(database, sheet, here)
    for number, lot in lots.items():
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


def _gave(kind: Act, entry: Record) -> bool:
    if kind is Act.ADJUSTMENT:
        return bool(entry["kind"] == Kind.ADJUSTMENT and entry["credit"] == Side.FREE)
    return entry["kind"] in GIVING.get(kind, ())


def _took(kind: Act, entry: Record) -> bool:
    if kind is Act.ADJUSTMENT:
        return bool(entry["kind"] == Kind.ADJUSTMENT and entry["debit"] == Side.FREE)
    return kind in TAKING and entry["kind"] == TAKING[kind]


def _take_back(
    parties: Parties, header: JournalDraft, kind: Act, entry: Record, policy: Policy
) -> Undone:
    day, place = parties.present, parties.places[entry["lot_id"]]
    lot = place.now
    if place.astray and lot.source is not LotSource.DAILY:
        raise NotReversibleError(
            "The journal's account was joined to another before it was kept where its credits "
            f"went: take them by an adjustment of at most -{entry['amount']} on the account that "
            f"it was joined to, under the reason of this reversal."
        )
    clawback = Clawback(lot, entry["id"], House(entry["debit"]), policy, entry["amount"])
    for backing in day.backings:
        if backing.lot is lot and kind is Act.PURCHASE:
            # What went back with the money is not taken a second time.
            clawback.requested -= backing.clawback.requested
            backings.close(day.sheet, header, backing)
    lapsed = place.lapsed - sum(one.expired for one in day.clawbacks_of(lot))
    clawbacks.begin(day.sheet, header, clawback, max(0, lapsed), day.spare(lot))
    if policy is Policy.REJECT and clawback.shortfall:
        raise ShortfallError(
            f"{clawback.shortfall} of {clawback.requested} credits were spent already.",
            requested=clawback.requested,
            shortfall=clawback.shortfall,
        )
    if kind is Act.OPENING and lot is day.lot:
        day.withdrawn = True  # a reversed day stays withdrawn
    undone = Undone(clawback.requested, clawback.expired, clawback=clawback)
    if parties.joined and policy is Policy.DEBT and lot.source is LotSource.DAILY:
        undone.unused = clawback.shortfall  # what is owed is not used as well
        undone.day_lot = entry["lot_id"]
    return undone


def restore(
    parties: Parties,
    header: JournalDraft,
    entries: Sequence[tuple[Record, int]],
    kind: Kind = Kind.REVERSAL,
) -> Undone:
    """Give back this much of what each entry took, in reverse order; debt comes first."""
    own, day = parties.own, parties.present
    undone = Undone(sum(amount for _, amount in entries))
    day.sheet.check_room(undone.requested)
    _restore_debt(parties, header, entries, kind)
    for entry, amount in reversed(entries):
        if amount == 0 or entry["debit"] == Side.DEBT:
            continue
        place, back = parties.places[entry["lot_id"]], amount
        own.sheet.write(
            header,
            place.lot,
            kind,
            House(entry["credit"]),
            Side.FREE,
            back,
            reverses_entry_id=entry["id"],
        )
        if parties.joined:
            _move(parties, header, place, back)
        written_off = _written_off(day, place.now)
        back = _came_back(parties, header, place.now, back)
        if place.lot.source is LotSource.DAILY and (parties.joined or place.lot is not day.lot):
            # A day that was opened again counts what its first opening wrote off as used.
            undone.unused += back if parties.joined else written_off - _written_off(day, place.now)
            undone.day_lot = entry["lot_id"]
    undone.expired = day.sheet.sum_of(header, Kind.EXPIRY)
    undone.carried = day.carried_on(header)
    return undone


def _written_off(day: AccountDay, lot: Lot) -> int:
    return sum(one.short for one in day.clawbacks_of(lot) if one.policy is not Policy.DEBT)


def _came_back(parties: Parties, header: JournalDraft, lot: Lot, amount: int) -> int:
    """Process an amount that is free again in a lot; return how much no clawback takes."""
    day = parties.present
    for clawback in day.clawbacks_of(lot):
        amount -= clawbacks.restored(day.sheet, header, clawback, amount)
    day.came_back(header, [lot], day.now)
    return amount


def _restore_debt(
    parties: Parties, header: JournalDraft, entries: Sequence[tuple[Record, int]], kind: Kind
) -> None:
    """Lower the debt by what was owed for these entries.

    If part of it was repaid, that part is first owed again, so that it is free again in the lots
    that repaid it.
    """
    sheet = parties.present.sheet
    for entry, amount in parties.repaid:
        place = parties.places[entry["lot_id"]]
        if place.lot.account_id == sheet.account_id:
            owed.owe_again(sheet, header, place.now, entry["id"], amount)
        else:  # a lot of an account that was joined since repaid it there: both sides go on here
            owed.owe_again(parties.own.sheet, header, place.lot, entry["id"], amount)
            owed.move(parties.own.sheet, sheet, header, (place.lot, place.now), amount)
            _move(parties, header, place, amount)
    for entry, amount in entries:
        if amount and entry["debit"] == Side.DEBT:
            lot = parties.places[entry["lot_id"]].now
            house = House(entry["credit"])
            sheet.write(header, lot, kind, house, Side.DEBT, amount, reverses_entry_id=entry["id"])
    for entry, amount in parties.repaid:
        _came_back(parties, header, parties.places[entry["lot_id"]].now, amount)


def _move(parties: Parties, header: JournalDraft, place: Place, amount: int) -> None:
    """Move what came back to the lot's successor."""
    parties.own.sheet.write(header, place.lot, Kind.TRANSFER, Side.FREE, House.TRANSFERRED, amount)
    place.now.granted += amount
    parties.present.sheet.write(
        header, place.now, Kind.TRANSFER, House.TRANSFERRED, Side.FREE, amount
    )
