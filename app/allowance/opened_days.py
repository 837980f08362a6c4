"""Days as daily_grants keeps them: one that is being opened, and the last that an account had."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from app.allowance.zones import Day
from app.infrastructure.ids import AccountNumber, RunNumber
from app.ledger.sheet import Lot


@dataclass(frozen=True, slots=True)
class OpenedDay:
    """A row of daily_grants to be."""

    account_id: AccountNumber
    day: Day
    opening: int
    time_zone: str
    tier: str
    credits: int
    previous_on: date | None
    lot: Lot
    carried: Lot | None
    run_id: RunNumber | None
    after_dormancy: bool
    # What could be carried into it at most, and what the rule allowed when the day before ended.
    carry_over_max: int = 0
    previous_allowed: int = 0


@dataclass(frozen=True, slots=True)
class LastDay:
    """The last day that a closed account had, and its lots."""

    day: Day
    opening: int
    lot: Lot
    carried: Lot | None
