"""Holds on a sheet: reserve, capture, release, lot by lot. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from app.infrastructure.clock import NEVER
from app.infrastructure.ids import AccountNumber, HoldNumber
from app.ledger.kinds import House, Kind, LotSource, Side
from app.ledger.sheet import JournalDraft, Lot, Sheet

HOLD_SECONDS_DEFAULT: Final = 900
HOLD_SECONDS_MAX: Final = 86_400
HOLD_LIFE_MAX: Final = timedelta(days=7)  # however often it is extended


class HoldState(StrEnum):
    """The states of a hold; the last three are final."""

    HELD = "held"
    CAPTURED = "captured"
    RELEASED = "released"
    EXPIRED = "expired"


@dataclass(slots=True, eq=False)
class Hold:
    """A reservation; ``parts`` lists the credits it holds of each lot, in drawing order."""

    number: HoldNumber
    account_id: AccountNumber
    amount: int
    expires_at: datetime
    state: HoldState = HoldState.HELD
    captured: int = 0
    parts: list[tuple[Lot, int]] = field(default_factory=list)
    new: bool = False
    changed: bool = False

    @property
    def left(self) -> int:
        """Return what it still holds."""
        return sum(part for _, part in self.parts)

    @property
    def shown(self) -> HoldState:
        """Return the state that callers see: captured if anything was captured and nothing
        is held.
        """
        done = self.state is not HoldState.HELD
        return HoldState.CAPTURED if done and self.captured else self.state


def take(sheet: Sheet, journal: JournalDraft, hold: Hold, next_grant_at: datetime | None) -> None:
    """Draw the hold's amount in burn order, all or nothing; raise InsufficientCreditsError."""
    for lot, part in sheet.draws(hold.amount, next_grant_at):
        sheet.write(journal, lot, Kind.HOLD, Side.FREE, Side.HELD, part, hold_id=hold.number)
        hold.parts.append((lot, part))
    hold.new = hold.changed = True


def capture(
    sheet: Sheet, journal: JournalDraft, hold: Hold, amount: int, *, final: bool = True
) -> list[Lot]:
    """Spend this much of the hold and, if ``final``, release the rest.

    Returns the lots that got something back.
    """
    left = amount
    given_back, kept = [], []
    for lot, part in hold.parts:
        taken = min(part, left)
        left -= taken
        if taken:
            sheet.write(
                journal, lot, Kind.SPEND, Side.HELD, House.SPENT, taken, hold_id=hold.number
            )
        if part > taken and final:
            _give_back(sheet, journal, hold, lot, part - taken)
            given_back.append(lot)
        elif part > taken:
            kept.append((lot, part - taken))
    hold.parts, hold.changed = kept, True
    hold.captured += amount
    if not kept:
        hold.state = HoldState.CAPTURED
    return given_back


def capture_more(sheet: Sheet, journal: JournalDraft, hold: Hold, free: int, debt: int) -> None:
    """Spend free credits and owe the rest: for a capture beyond what is held, or after the
    deadline.
    """
    for lot, part in sheet.draws(free, None) if free else ():
        sheet.write(journal, lot, Kind.SPEND, Side.FREE, House.SPENT, part, hold_id=hold.number)
    if debt:
        # A debt has a lot like everything else: the day's own, or the one that burned last.
        lots = sorted(sheet.lots, key=lambda lot: (lot.of_running_day, lot.number or 0))
        lot = lots[-1] if lots else sheet.grant(journal, LotSource.PROMOTIONAL, 0, NEVER)
        sheet.write(journal, lot, Kind.SPEND, Side.DEBT, House.SPENT, debt, hold_id=hold.number)
    hold.captured += free + debt
    hold.changed = True


def release(sheet: Sheet, journal: JournalDraft, hold: Hold, state: HoldState) -> list[Lot]:
    """Release the whole hold; return the lots that got something back."""
    given_back, hold.parts = hold.parts, []
    for lot, part in given_back:
        _give_back(sheet, journal, hold, lot, part)
    hold.state, hold.changed = state, True
    return [lot for lot, _ in given_back]


def _give_back(sheet: Sheet, journal: JournalDraft, hold: Hold, lot: Lot, amount: int) -> None:
    sheet.write(journal, lot, Kind.RELEASE, Side.HELD, Side.FREE, amount, hold_id=hold.number)
