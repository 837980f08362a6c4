"""Draft the reversal of one journal, on the account that now holds its credits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from app.allowance.day import AccountDay
from app.errors import NotReversibleError, ShortfallError
from app.infrastructure import sql
from app.infrastructure.db import Database, Record
from app.ledger import backings, clawbacks
from app.ledger.clawbacks import Clawback, Policy
from app.ledger.kinds import Act, House, Kind, LotSource, Side
from app.ledger.sheet import JournalDraft, Lot
from app.reversals import owed, returned
from app.reversals.parties import Parties, Place, Undone, load_lots, settle
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
}
TAKING: Final = dict.fromkeys((Act.SPEND, Act.CAPTURE, Act.PART_CAPTURE), Kind.SPEND)


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
    if kind is Act.RETURN:
        undone = await returned.take_back(database, parties, header, entries, order.policy)
        await settle(database, parties, header, undone)
        return header, undone
    await load_lots(database, parties, header, entries, taken)
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
    undone = Undone(clawback.requested, clawback.expired, clawbacks=[clawback])
    if parties.joined and policy is Policy.DEBT and lot.source is LotSource.DAILY:
        undone.unused[entry["lot_id"]] = clawback.shortfall  # what is owed is not used as well
    return undone


def restore(
    parties: Parties,
    header: JournalDraft,
    entries: Sequence[tuple[Record, int]],
    kind: Kind = Kind.REVERSAL,
) -> Undone:
    """Give back this much of what each entry took, in reverse order; debt comes first."""
    day = parties.present
    undone = Undone(sum(amount for _, amount in entries))
    day.sheet.check_room(undone.requested)
    _restore_debt(parties, header, entries, kind)
    for entry, amount in reversed(entries):
        if amount == 0 or entry["debit"] == Side.DEBT:
            continue
        place, back = parties.places[entry["lot_id"]], amount
        parties.sheet_of(place.lot).write(
            header,
            place.lot,
            kind,
            House(entry["credit"]),
            Side.FREE,
            back,
            reverses_entry_id=entry["id"],
        )
        if place.moved:
            _move(parties, header, place, back)
        written_off = _written_off(day, place.now)
        back = _came_back(parties, header, place.now, back)
        if place.lot.source is LotSource.DAILY and place.lot is not day.lot:
            # A day that was opened again counts what its first opening wrote off as used.
            less = back if place.moved else written_off - _written_off(day, place.now)
            undone.unused[entry["lot_id"]] += less
    undone.expired = day.sheet.sum_of(header, Kind.EXPIRY)
    undone.carried = day.carried_on(header)
    return undone


def _written_off(day: AccountDay, lot: Lot) -> int:
    """Return what of a lot's grant was written off; a reversed return is no grant."""
    return sum(
        one.short
        for one in day.clawbacks_of(lot)
        if one.policy is not Policy.DEBT and not one.of_return
    )


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
            theirs = parties.sheet_of(place.lot)
            owed.owe_again(theirs, header, place.lot, entry["id"], amount)
            owed.move(theirs, sheet, header, (place.lot, place.now), amount)
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
    sheet = parties.sheet_of(place.lot)
    sheet.write(header, place.lot, Kind.TRANSFER, Side.FREE, House.TRANSFERRED, amount)
    place.now.granted += amount
    parties.present.sheet.write(
        header, place.now, Kind.TRANSFER, House.TRANSFERRED, Side.FREE, amount
    )
