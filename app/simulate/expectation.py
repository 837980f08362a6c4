"""What a customer should have in the end: whole numbers, worked out without asking the service.

A second reading of the rules, as small as can be: no lots, no journals, no database. It knows
accounts in zones of a fixed offset, one subscription each, and tiers that carry nothing over.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

# The default catalogue, app/grants/tiers.toml; a test holds these to it.
DAILY_CREDITS: Final = {"FREE": 5, "PRO": 20, "ENTERPRISE": 50}
GRACE: Final = timedelta(days=7)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Expected:
    """An account at the tape's end."""

    tier: str
    state: str | None
    available: int
    granted: int
    spent: int
    expired: int


class ExpectedAccount:
    """Told what happens, in time order; ``end`` says what must have come of it."""

    def __init__(self, opened_at: datetime, utc_offset: timedelta = timedelta(0)) -> None:
        local = opened_at + utc_offset
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        self._day_ends_at = midnight + _DAY - utc_offset
        self._state: str | None = None
        self._tier = "FREE"
        self._grace_ends_at: datetime | None = None
        self._granted = self._free = DAILY_CREDITS["FREE"]
        self._used = self._spent = self._expired = 0

    def activate(self, at: datetime, tier: str) -> None:
        """The subscription gives this tier from now on, also after a failure."""
        self._pass(at)
        self._state, self._tier, self._grace_ends_at = "active", tier, None
        self._settle()

    def fail(self, at: datetime) -> None:
        """A payment failed; the first failure starts the grace, later ones do not stretch it."""
        self._pass(at)
        if self._state == "active":
            self._state, self._grace_ends_at = "past_due", at + GRACE

    def cancel(self, at: datetime) -> None:
        """The subscription is gone."""
        self._pass(at)
        self._state, self._tier, self._grace_ends_at = "canceled", "FREE", None
        self._settle()

    def spend(self, at: datetime, amount: int) -> bool:
        """All or nothing; whether it is granted."""
        self._pass(at)
        if amount > self._free:
            return False
        self._free -= amount
        self._used += amount
        self._spent += amount
        return True

    def end(self, at: datetime) -> Expected:
        """How it stands at this instant."""
        self._pass(at)
        return Expected(
            tier=self._tier,
            state=self._state,
            available=self._free,
            granted=self._granted,
            spent=self._spent,
            expired=self._expired,
        )

    def _pass(self, to: datetime) -> None:
        """Let time pass: each midnight and a grace's end, whichever is first."""
        while min(self._day_ends_at, self._grace_ends_at or to + _DAY) <= to:
            if self._grace_ends_at is not None and self._grace_ends_at <= self._day_ends_at:
                self._tier, self._grace_ends_at = "FREE", None
                self._settle()
            else:
                self._begin_day()

    def _begin_day(self) -> None:
        self._day_ends_at += _DAY
        self._expired += self._free
        self._used = 0
        self._free = DAILY_CREDITS[self._tier]
        self._granted += self._free

    def _settle(self) -> None:
        """The allowance rule: max(0, allowance - used) is free today."""
        free = max(0, DAILY_CREDITS[self._tier] - self._used)
        self._granted += max(0, free - self._free)
        self._expired += max(0, self._free - free)
        self._free = free
