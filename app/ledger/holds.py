"""Holds on a sheet: reserve, take, give back; drawn lot by lot. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from app.ledger.kinds import House, Kind, Side
from app.ledger.sheet import JournalDraft, Lot, Sheet

HOLD_SECONDS_DEFAULT: Final = 900
HOLD_SECONDS_MAX: Final = 86_400
HOLD_LIFE_MAX: Final = timedelta(days=7)  # however often it is extended


class HoldState(StrEnum):
    """The last three are final."""

    HELD = "held"
    CAPTURED = "captured"
    RELEASED = "released"
    EXPIRED = "expired"


@dataclass(slots=True, eq=False)
class Hold:
    """A reservation; ``parts`` say what it holds of which lot, in drawing order."""

    number: int
    account_id: int
    amount: int
    expires_at: datetime
    state: HoldState = HoldState.HELD
    captured: int = 0
    parts: list[tuple[Lot, int]] = field(default_factory=list)
    new: bool = False
    changed: bool = False


def take(sheet: Sheet, journal: JournalDraft, hold: Hold, next_grant_at: datetime | None) -> None:
    """Draw the hold's amount in burn order, all or nothing; raises InsufficientCreditsError."""
    for lot, part in sheet.draws(hold.amount, next_grant_at):
        sheet.write(journal, lot, Kind.HOLD, Side.FREE, Side.HELD, part, hold_id=hold.number)
        hold.parts.append((lot, part))
    hold.new = hold.changed = True


def capture(sheet: Sheet, journal: JournalDraft, hold: Hold, amount: int) -> list[Lot]:
    """Spend this much of the hold and give back the rest; the lots that got something back."""
    left = amount
    given_back = []
    for lot, part in hold.parts:
        taken = min(part, left)
        left -= taken
        if taken:
            sheet.write(
                journal, lot, Kind.SPEND, Side.HELD, House.SPENT, taken, hold_id=hold.number
            )
        if part > taken:
            _give_back(sheet, journal, hold, lot, part - taken)
            given_back.append(lot)
    hold.state, hold.captured, hold.changed = HoldState.CAPTURED, amount, True
    return given_back


def capture_free(sheet: Sheet, journal: JournalDraft, hold: Hold, amount: int) -> None:
    """Spend so much of what is free for a hold, beyond what it holds or though it has expired."""
    for lot, part in sheet.draws(amount, None):
        sheet.write(journal, lot, Kind.SPEND, Side.FREE, House.SPENT, part, hold_id=hold.number)
    hold.state, hold.changed = HoldState.CAPTURED, True
    hold.captured += amount


def release(sheet: Sheet, journal: JournalDraft, hold: Hold, state: HoldState) -> list[Lot]:
    """Give back all of it; the lots that got something back."""
    for lot, part in hold.parts:
        _give_back(sheet, journal, hold, lot, part)
    hold.state, hold.changed = state, True
    return [lot for lot, _ in hold.parts]


def _give_back(sheet: Sheet, journal: JournalDraft, hold: Hold, lot: Lot, amount: int) -> None:
    sheet.write(journal, lot, Kind.RELEASE, Side.HELD, Side.FREE, amount, hold_id=hold.number)
