"""What a customer should have in the end: whole numbers, worked out without asking the service.

A second reading of the rules, as small as can be: no lots, no journals, no database. It knows
accounts in zones of a fixed offset and tiers that carry nothing over; what was bought it counts,
and nobody spends of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

_DAY: Final = timedelta(days=1)
_MOST_ALIVE: Final = ("active", "past_due", "created", "canceled")


@dataclass(frozen=True, kw_only=True)
class TierRules:
    """What a tier gives, and how long a failed payment leaves it."""

    daily_credits: int
    grace: timedelta = timedelta(days=7)
    trial_grants: bool = True


# The default catalogue, app/allowance/tiers.toml; a test holds these to it. The worst stands first:
# among equal credits the catalogue's own order would decide, and no two are equal here.
SHIPPED: Final[Mapping[str, TierRules]] = MappingProxyType(
    {
        "FREE": TierRules(daily_credits=5),
        "PRO": TierRules(daily_credits=20),
        "ENTERPRISE": TierRules(daily_credits=50),
    }
)


@dataclass(frozen=True, kw_only=True)
class Expected:
    """An account at the tape's end; ``subscriptions`` has the state of each."""

    tier: str
    state: str | None
    available: int
    granted: int
    spent: int
    expired: int
    subscriptions: Mapping[str, str] = field(default_factory=dict)


@dataclass
class _Subscription:
    state: str
    tier: str | None = None  # what it gives; in past_due until the grace ends
    grace_ends_at: datetime | None = None

    def gives(self, at: datetime) -> str | None:
        if self.state == "past_due" and not (self.grace_ends_at and at < self.grace_ends_at):
            return None
        return self.tier


class ExpectedAccount:
    """Told what happens, in time order; ``end`` says what must have come of it.

    ``subscription`` tells several apart; who has but one need not name it.
    """

    def __init__(
        self, opened_at: datetime, utc_offset: timedelta = timedelta(0),
        tiers: Mapping[str, TierRules] = SHIPPED,
    ) -> None:  # fmt: skip
        local = opened_at + utc_offset
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        self._day_ends_at = midnight + _DAY - utc_offset
        self._tiers = tiers
        self._subscriptions: dict[str, _Subscription] = {}
        self._now = opened_at
        self._tier = "FREE"
        self._granted = self._free = tiers["FREE"].daily_credits
        self._used = self._spent = self._expired = self._purchased = 0

    def activate(self, at: datetime, tier: str | None, subscription: str = "") -> None:
        """The subscription gives this tier from now on, also after a failure."""
        self._change(at, subscription, _Subscription("active", tier))

    def begin_trial(self, at: datetime, tier: str, subscription: str = "") -> None:
        """A trial is active, and gives its tier where the tier says so."""
        given = tier if self._tiers[tier].trial_grants else None
        self._change(at, subscription, _Subscription("active", given))

    def begin(self, at: datetime, subscription: str = "") -> None:
        """It waits for its first payment, and gives nothing."""
        self._change(at, subscription, _Subscription("created"))

    def fail(self, at: datetime, subscription: str = "") -> None:
        """A payment failed; the first failure starts the grace, later ones do not stretch it."""
        self._pass(at)
        one = self._subscriptions.get(subscription)
        if one is not None and one.state == "active":
            one.state = "past_due"
            one.grace_ends_at = at + self._tiers[one.tier].grace if one.tier else None
            self._settle(at)

    def stop(self, at: datetime, subscription: str = "") -> None:
        """Unpaid or paused: past due, without any grace."""
        self._change(at, subscription, _Subscription("past_due"))

    def cancel(self, at: datetime, subscription: str = "") -> None:
        """The subscription is gone."""
        self._change(at, subscription, _Subscription("canceled"))

    def buy(self, credits: int) -> None:
        """Credits bought; a negative number was refunded or is in dispute."""
        self._purchased += credits

    def spend(self, at: datetime, amount: int) -> bool:
        """All or nothing, of the day's credits; whether it is granted."""
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
        self._settle(at)  # at an instant before the last event a grace may still run
        states = {name: one.state for name, one in self._subscriptions.items()}
        return Expected(
            tier=self._tier,
            state=self._state(at),
            available=self._free + self._purchased,
            granted=self._granted,
            spent=self._spent,
            expired=self._expired,
            subscriptions={name: state for name, state in states.items() if name},
        )

    def _state(self, at: datetime) -> str | None:
        """Of the one that gives the tier, else of the most alive."""
        every = self._subscriptions.values()
        giving = {one.state for one in every if one.gives(at) == self._tier}
        states = giving or {one.state for one in every}
        return next((state for state in _MOST_ALIVE if state in states), None)

    def _change(self, at: datetime, name: str, one: _Subscription) -> None:
        self._pass(at)
        self._subscriptions[name] = one
        self._settle(at)

    def _pass(self, to: datetime) -> None:
        """Let time pass: each midnight and each grace's end, in order."""
        while True:
            grace = self._next_grace_end()
            if grace is not None and grace <= min(self._day_ends_at, to):
                self._settle(grace)
            elif self._day_ends_at <= to:
                self._begin_day()
            else:
                break
        self._now = max(self._now, to)

    def _next_grace_end(self) -> datetime | None:
        ends = (one.grace_ends_at for one in self._subscriptions.values())
        return min((end for end in ends if end is not None and end > self._now), default=None)

    def _best(self, at: datetime) -> str:
        given = [tier for one in self._subscriptions.values() if (tier := one.gives(at))]
        return max(given, key=lambda tier: self._tiers[tier].daily_credits, default="FREE")

    def _begin_day(self) -> None:
        self._now = self._day_ends_at
        self._day_ends_at += _DAY
        self._expired += self._free
        self._used = 0
        self._free = self._tiers[self._tier].daily_credits
        self._granted += self._free

    def _settle(self, at: datetime) -> None:
        """The allowance rule: max(0, allowance - used) is free today."""
        self._now = max(self._now, at)
        self._tier = self._best(at)
        free = max(0, self._tiers[self._tier].daily_credits - self._used)
        self._granted += max(0, free - self._free)
        self._expired += max(0, self._free - free)
        self._free = free
