"""The right end of each account: whole numbers, worked out without asking the service.

A second reading of the rules, as small as can be: no lots, no journals, no database. It knows
accounts in zones of a fixed offset and tiers that carry nothing over; it counts what was bought,
and assumes that nobody spends of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

ANY: Final = "any customer"  # which customer the account shows is not compared
_DAY: Final = timedelta(days=1)
_MOST_ALIVE: Final = ("active", "past_due", "created", "canceled")


@dataclass(frozen=True, kw_only=True)
class TierRules:
    """A tier's credits, and when a subscription without a payment gives them."""

    daily_credits: int
    grace: timedelta = timedelta(days=7)
    trial_grants: bool = True
    pause_collection: str = "keep"  # or "none"


@dataclass(frozen=True, kw_only=True)
class Expected:
    """An account at an instant.

    ``subscriptions`` has the state of each, ``ends`` the scheduled end of those that have one.
    """

    tier: str
    state: str | None
    available: int
    granted: int
    spent: int
    expired: int
    customer_id: str | None = ANY
    subscriptions: Mapping[str, str] = field(default_factory=dict)
    ends: Mapping[str, datetime | None] = field(default_factory=dict)


@dataclass
class _Subscription:
    state: str
    tier: str | None = None  # the tier that it gives; in past_due until the grace ends
    grace_ends_at: datetime | None = None
    collection_paused: bool = False

    def gives(self, at: datetime) -> str | None:
        if self.state == "past_due" and not (self.grace_ends_at and at < self.grace_ends_at):
            return None
        return self.tier


class ExpectedAccount:
    """An account that is told what happens, in time order; ``end`` says what must come of it."""

    def __init__(
        self,
        opened_at: datetime,
        tiers: Mapping[str, TierRules],
        utc_offset: timedelta = timedelta(0),
    ) -> None:
        local = opened_at + utc_offset
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        self._day_ends_at = midnight + _DAY - utc_offset
        self._tiers = tiers
        self._subscriptions: dict[str, _Subscription] = {}
        self._ends: dict[str, datetime] = {}
        self._customer_id: str | None = ANY
        self._now = opened_at
        self._closed = False
        self._tier = "FREE"
        self._granted = self._free = tiers["FREE"].daily_credits
        self._used = self._spent = self._expired = self._purchased = 0

    def activate(self, at: datetime, subscription: str, tier: str | None) -> None:
        """Have the subscription give this tier from now on, also after a failure."""
        self._change(at, subscription, _Subscription("active", tier))

    def begin_trial(self, at: datetime, subscription: str, tier: str) -> None:
        """Begin a trial, which is active, and gives its tier if the tier says so."""
        given = tier if self._tiers[tier].trial_grants else None
        self._change(at, subscription, _Subscription("active", given))

    def begin(self, at: datetime, subscription: str) -> None:
        """Begin a subscription that waits for its first payment, and gives nothing."""
        self._change(at, subscription, _Subscription("created"))

    def fail(self, at: datetime, subscription: str) -> None:
        """Fail a payment; the first failure starts the grace, later ones do not stretch it."""
        self._pass(at)
        one = self._subscriptions[subscription]
        if one.state == "active":
            one.state = "past_due"
            one.grace_ends_at = at + self._tiers[one.tier].grace if one.tier else None
            self._settle(at)

    def stop(self, at: datetime, subscription: str) -> None:
        """Leave the subscription unpaid or paused: past due, without any grace."""
        self._change(at, subscription, _Subscription("past_due"))

    def pause_collection(self, at: datetime, subscription: str) -> None:
        """Stop collecting payments: the tier says whether it gives its credits meanwhile."""
        self._pass(at)
        self._subscriptions[subscription].collection_paused = True
        self._settle(at)

    def resume_collection(self, at: datetime, subscription: str) -> None:
        """Collect payments again."""
        self._pass(at)
        self._subscriptions[subscription].collection_paused = False
        self._settle(at)

    def cancel(self, at: datetime, subscription: str) -> None:
        """End the subscription."""
        self._ends.pop(subscription, None)
        self._change(at, subscription, _Subscription("canceled"))

    def schedule_end(self, subscription: str, ends_at: datetime) -> None:
        """Plan the subscription's end; it gives its tier until then."""
        self._ends[subscription] = ends_at

    def buy(self, credits: int) -> None:
        """Add credits that were bought; a negative number was refunded or is in dispute."""
        self._purchased += credits

    def show(self, customer_id: str | None) -> None:
        """Show this Stripe customer as the account's."""
        self._customer_id = customer_id

    def close(self, at: datetime) -> None:
        """Close the account: it is granted no more, and keeps its running day's credits."""
        self._pass(at)
        self._closed = True

    def reopen(self, at: datetime) -> None:
        """Open it again; a day that began while it was closed is granted now."""
        self._pass(at)
        self._closed = False
        self._settle(at)

    def spend(self, at: datetime, amount: int) -> bool:
        """Spend the day's credits, all or nothing; return whether it is granted."""
        self._pass(at)
        if amount > self._free:
            return False
        self._free -= amount
        self._used += amount
        self._spent += amount
        return True

    def end(self, at: datetime) -> Expected:
        """Return how it stands at this instant."""
        self._pass(at)
        self._settle(at)  # at an instant before the last event a grace may still run
        return Expected(
            tier=self._tier,
            state=self._state(at),
            available=self._free + self._purchased,
            granted=self._granted,
            spent=self._spent,
            expired=self._expired,
            customer_id=self._customer_id,
            subscriptions={name: one.state for name, one in self._subscriptions.items()},
            ends=dict(self._ends),
        )

    def _state(self, at: datetime) -> str | None:
        """Return the state of the one that gives the tier, else of the most alive."""
        every = self._subscriptions.values()
        giving = {one.state for one in every if self._given(one, at) == self._tier}
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

    def _given(self, one: _Subscription, at: datetime) -> str | None:
        tier = one.gives(at)
        withheld = tier and one.collection_paused and self._tiers[tier].pause_collection == "none"
        return None if withheld else tier

    def _best(self, at: datetime) -> str:
        given = [tier for one in self._subscriptions.values() if (tier := self._given(one, at))]
        return max(given, key=lambda tier: self._tiers[tier].daily_credits, default="FREE")

    def _begin_day(self) -> None:
        self._now = self._day_ends_at
        self._day_ends_at += _DAY
        self._expired += self._free
        self._used = 0
        self._free = 0 if self._closed else self._tiers[self._tier].daily_credits
        self._granted += self._free

    def _settle(self, at: datetime) -> None:
        """Make the allowance rule true: max(0, allowance - used) is free today."""
        self._now = max(self._now, at)
        self._tier = self._best(at)
        if self._closed:
            return
        free = max(0, self._tiers[self._tier].daily_credits - self._used)
        self._granted += max(0, free - self._free)
        self._expired += max(0, self._free - free)
        self._free = free
