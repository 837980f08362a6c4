"""Reverse a return: what came back is spent again.

The credits are taken from the lots that they went to, also if a midnight carried them on in the
return itself. A debt that the return lowered is owed again, and what the return had freed of the
lots that once repaid it repays it again. Afterwards the spend counts as not returned.

Example: 9 were captured of a hold of 5, so that 4 were owed, and a gift of 4 repaid them. A return
of all 9 freed the gift. Its reversal takes the 5 and owes the 4, and the gift repays them again. If
the gift was spent meanwhile, they stay owed, whatever the policy; if it ended, they are not owed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from app.allowance.entitlement import Use
from app.errors import ShortfallError
from app.infrastructure.db import Database, Record
from app.infrastructure.ids import EntryNumber, LotNumber
from app.ledger import backings, clawbacks
from app.ledger.clawbacks import Clawback, Policy
from app.ledger.kinds import House, Kind, LotSource, Side
from app.ledger.sheet import JournalDraft
from app.reversals.parties import Parties, Place, Undone, load_lots

_OF_LOTS: Final = (Kind.RETURN, Kind.REPAYMENT)


@dataclass(slots=True)
class Gave:
    """The effects of a return: free credits by lot, and the debt that it lowered.

    ``freed`` of the credits had repaid debt. ``by_lots`` of the debt was repaid by what came back.
    """

    lots: dict[LotNumber, int] = field(default_factory=lambda: defaultdict(int))
    freed: int = 0
    owed: int = 0
    by_lots: int = 0


@dataclass(slots=True)
class Named:
    """The return's entries, each with what of it no entry of the reversal names yet."""

    entries: list[Record]
    left: dict[EntryNumber, int]

    def take(
        self, credit: Side, amount: int, lot: LotNumber | None = None
    ) -> Iterator[tuple[Record, int]]:
        """Return (entry, part) for this amount that came to a side; its own lot first."""
        fitting = [entry for entry in self.entries if entry["credit"] == credit]
        for entry in sorted(fitting, key=lambda entry: entry["lot_id"] != lot):
            part = min(amount, self.left[entry["id"]])
            amount -= part
            self.left[entry["id"]] -= part
            if part:
                yield entry, part


@dataclass(slots=True)
class Share:
    """The credits that the return gave to a lot: ``freed`` had repaid debt, ``rest`` had not.

    Of what was freed, ``repays`` is free now, and ``expired`` is gone without having been used.
    """

    place: Place
    freed: int
    rest: int
    repays: int = 0
    expired: int = 0


async def take_back(
    database: Database,
    parties: Parties,
    header: JournalDraft,
    entries: Sequence[Record],
    policy: Policy,
) -> Undone:
    """Draft the reversal of a return, of which these are all entries; raise ShortfallError."""
    own = [row for row in entries if row["account_id"] == parties.own.sheet.account_id]
    gave = _gave(entries)
    named = [row for row in own if row["kind"] in _OF_LOTS or gave.lots[row["lot_id"]] > 0]
    await load_lots(database, parties, header, named)
    back = [row for row in entries if row["kind"] == Kind.RETURN]
    left = Named(back, {row["id"]: row["amount"] for row in back})
    undone = Undone(sum(left.left.values()), of_return=header.reverses_journal_id)
    undone.used = _used_again(parties, entries)
    _fall_short_again(parties, header, own, undone)
    _freeze_less(parties, header, own)
    numbers = dict.fromkeys(row["lot_id"] for row in named)  # those that had repaid debt first
    shares = [_share(parties, parties.places[number], gave, number) for number in numbers]
    _owe_again(parties, header, gave, shares, left, undone)
    _take(parties, header, shares, left, policy, undone)
    sheet = parties.present.sheet
    for lot in sheet.spendable():
        sheet.repay(header, lot)
    undone.expired = sum(share.expired for share in shares)
    undone.expired += sum(one.expired for one in undone.clawbacks)
    return undone


def _gave(entries: Sequence[Record]) -> Gave:
    gave = Gave()
    for row in entries:
        kind, amount = row["kind"], row["amount"]
        if kind in (*_OF_LOTS, Kind.TRANSFER):
            came = (row["credit"] == Side.FREE) - (row["debit"] == Side.FREE)
            gave.lots[row["lot_id"]] += amount * came
        if kind == Kind.REPAYMENT and row["debit"] == Side.DEBT:
            gave.freed += amount
        elif kind == Kind.REPAYMENT:
            gave.by_lots += amount
        elif kind == Kind.RETURN and row["credit"] == Side.DEBT:
            gave.owed += amount
    return gave


def _used_again(parties: Parties, entries: Sequence[Record]) -> list[Use]:
    """Return the use that came back to joined accounts' days, less what made shortfalls good."""
    made_good = sum(
        row["amount"]
        for row in entries
        if row["lot_source"] == LotSource.DAILY
        and row["kind"] == Kind.REVERSAL
        and row["debit"] == Side.FREE
    )
    used = []
    for row in entries:
        of_day = row["lot_source"] == LotSource.DAILY and row["credit"] == Side.FREE
        elsewhere = row["account_id"] != parties.present.sheet.account_id
        if row["kind"] == Kind.RETURN and of_day and elsewhere:
            amount = max(0, row["amount"] - made_good)
            made_good = max(0, made_good - row["amount"])
            used.append(Use(row["account_id"], row["lot_ends_at"], amount))
    return used


def _fall_short_again(
    parties: Parties, header: JournalDraft, entries: Sequence[Record], undone: Undone
) -> None:
    """Undo what the return made good of other reversals: they fall short of it again."""
    day = parties.present
    for row in entries:
        place = parties.places.get(row["lot_id"])
        if place is None or row["kind"] != Kind.REVERSAL or row["debit"] != Side.FREE:
            continue
        for one in day.clawbacks_of(place.now):
            if one.entry_id == row["reverses_entry_id"]:
                again = clawbacks.unrestored(day.sheet, header, one, row["amount"])
                if _of_earlier_opening(parties, one):
                    undone.unused[row["lot_id"]] -= again


def _of_earlier_opening(parties: Parties, one: Clawback) -> bool:
    """Return whether what falls short of it counts as used in a day that was opened again."""
    day, lot = parties.present, one.lot
    written_off = one.policy is not Policy.DEBT and not one.of_return
    of_day = lot.source is LotSource.DAILY and lot is not day.lot and not parties.joined
    return written_off and of_day and day.day is not None and lot.expires_at == day.day.ends_at


def _freeze_less(parties: Parties, header: JournalDraft, entries: Sequence[Record]) -> None:
    """Free what a dispute froze as it came back; it goes with the rest."""
    day = parties.present
    for row in entries:
        place = parties.places.get(row["lot_id"])
        if place is not None and row["kind"] == Kind.FREEZE:
            for backing in day.backings:
                if backing.lot is place.now:
                    backings.unfreeze(day.sheet, header, backing, row["amount"])


def _share(parties: Parties, place: Place, gave: Gave, number: LotNumber) -> Share:
    day, lot = parties.present, place.now
    given = max(0, gave.lots[number])
    freed = min(given, gave.freed)
    gave.freed -= freed
    share = Share(place, freed, given - freed)
    share.repays = min(lot.free, freed)
    held = min(day.spare(lot), freed - share.repays)
    share.expired = min(_lapsed(parties, share), freed - share.repays - held)
    return share


def _lapsed(parties: Parties, share: Share) -> int:
    """Return what expired of a lot and no clawback has counted."""
    counted = sum(one.expired for one in parties.present.clawbacks_of(share.place.now))
    return max(0, share.place.lapsed - share.expired - counted)


def _owe_again(
    parties: Parties,
    header: JournalDraft,
    gave: Gave,
    shares: Sequence[Share],
    left: Named,
    undone: Undone,
) -> None:
    """Owe the debt again that the return had lowered, and repay it with what it had freed."""
    day = parties.present
    lapsed = sum(share.expired for share in shares)
    for side, amount in ((Side.DEBT, gave.owed), (Side.FREE, gave.by_lots)):
        for row, part in left.take(side, amount):
            expired = min(lapsed, part)
            lapsed -= expired
            undone.owed.append((row["id"], part - expired, expired))
            if part > expired:
                place = parties.places.get(row["lot_id"], shares[0].place)
                _write(parties, header, place, part - expired, row)
    for share in shares:
        if share.repays:
            lot = share.place.now
            day.sheet.write(header, lot, Kind.REPAYMENT, Side.FREE, Side.DEBT, share.repays)


def _write(parties: Parties, header: JournalDraft, place: Place, amount: int, of: Record) -> None:
    parties.present.sheet.write(
        header,
        place.now,
        Kind.REVERSAL,
        Side.DEBT,
        House.SPENT,
        amount,
        reverses_entry_id=of["id"],
    )


def _take(
    parties: Parties,
    header: JournalDraft,
    shares: Sequence[Share],
    left: Named,
    policy: Policy,
    undone: Undone,
) -> None:
    """Take the rest from the lots: first all that is there; the policy decides on the rest."""
    day, short = parties.present, []
    for share in shares:
        lot = share.place.now
        for row, part in left.take(Side.FREE, share.rest, share.place.lot.number):
            one = Clawback(lot, row["id"], House.SPENT, policy, part)
            lapsed, held = _lapsed(parties, share), day.spare(lot)
            short.append(clawbacks.seize(day.sheet, header, one, part, lapsed, held))
            undone.clawbacks.append(one)
            day.clawbacks.append(one)
    if policy is Policy.REJECT and any(short):
        raise ShortfallError(
            f"{sum(short)} of {undone.requested} credits were spent already.",
            requested=undone.requested,
            shortfall=sum(short),
        )
    for one, amount in zip(undone.clawbacks, short, strict=True):
        clawbacks.fall_short(day.sheet, header, one, amount)
