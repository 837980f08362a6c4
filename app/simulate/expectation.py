"""The right end of each account: whole numbers, worked out without asking the service.

A second reading of the rules, as small as can be: no lots, no journals, no database. It knows
accounts in zones of a fixed offset and tiers that carry nothing over; it counts what was bought,
and assumes that nobody spends of it, nor buys while anything is owed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from app.simulate.expected_jobs import (
    HOLD_MAX,
    ExpectedHold,
    ExpectedSpend,
    Over,
    Part,
    Refusal,
    come_back,
)

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
        self._day = 0  # the running day's number
        self._owed = 0
        self._repaid: list[Part] = []  # by which days' credits, the earliest first
        self._holds: list[ExpectedHold] = []

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

    def spend(self, at: datetime, amount: int) -> ExpectedSpend | None:
        """Spend the day's credits, all or nothing; None where it is refused."""
        self._pass(at)
        if amount > self._free:
            return None
        return ExpectedSpend(self._spent_of([self._draw(amount)]))

    def hold(self, at: datetime, amount: int, lasts: timedelta) -> ExpectedHold | None:
        """Reserve the day's credits; None where it is refused."""
        self._pass(at)
        if amount > self._free:
            return None
        self._draw(amount)
        held = ExpectedHold(self._day, amount, at, at + lasts)
        self._holds.append(held)
        return held

    def capture(
        self, at: datetime, hold: ExpectedHold, amount: int, over: Over, *, final: bool
    ) -> Refusal:
        """Spend of a hold, and beyond it as ``over`` says; the last capture frees its rest."""
        self._pass(at)
        refusal = hold.refusal(at, amount, over)
        if refusal is not None:
            return refusal
        held = min(amount, hold.left)
        free = min(amount - held, self._free)
        owed = amount - held - free if over == "debt" else 0
        hold.left -= held
        parts = [Part(hold.day, held), self._draw(free), Part(None, owed)]
        self._owed += owed
        if not held and not free and not owed:  # all of it is uncovered
            hold.closed = final and hold.ends_at > at
            return None
        hold.captures.append(ExpectedSpend(self._spent_of(parts)))
        hold.closed = final
        if final:
            self._free_again(hold)
            self._settle(at)
        return None

    def extend(self, at: datetime, hold: ExpectedHold, lasts: timedelta) -> Refusal:
        """Have the hold last so long from now on."""
        self._pass(at)
        refusal = hold.refusal_of_change(at)
        if refusal is None and at + lasts > hold.taken_at + HOLD_MAX:
            refusal = "hold_too_long"
        if refusal is None:
            hold.ends_at = at + lasts
        return refusal

    def release(self, at: datetime, hold: ExpectedHold) -> Refusal:
        """Give back all that the hold still holds."""
        self._pass(at)
        refusal = hold.refusal_of_change(at)
        if refusal is None:
            hold.closed = True
            self._free_again(hold)
            self._settle(at)
        return refusal

    def give_back(self, at: datetime, spends: Sequence[ExpectedSpend], amount: int) -> Refusal:
        """Return so much of what was spent, the latest part first."""
        self._pass(at)
        back = come_back(spends, amount)
        if back is None:
            return "return_exceeds_spend"
        owed = sum(part.amount for part in back if part.day is None)
        # What was repaid of it meanwhile comes back to the days that repaid it.
        repaid = come_back([ExpectedSpend(self._repaid)], max(0, owed - self._owed)) or []
        self._owed = max(0, self._owed - owed)
        for part in [*repaid, *back]:
            if part.day is not None:
                self._comes_back(part.day, part.amount)
        self._settle(at)
        return None

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

    def _draw(self, amount: int) -> Part:
        """Take free credits of the running day."""
        self._free -= amount
        self._used += amount
        return Part(self._day, amount)

    def _spent_of(self, parts: Sequence[Part]) -> list[Part]:
        self._spent += sum(part.amount for part in parts)
        return [part for part in parts if part.amount]

    def _free_again(self, hold: ExpectedHold) -> None:
        self._comes_back(hold.day, hold.left)
        hold.left = 0

    def _comes_back(self, day: int, amount: int) -> None:
        """Have credits of this day free again; those of a day that is over expire."""
        if day == self._day:
            self._free += amount
            self._used -= amount
        else:
            self._expired += amount

    def _repay(self) -> None:
        """Debt never stands beside free credits."""
        amount = min(self._owed, self._free)
        self._owed -= amount
        self._repaid.append(self._draw(amount))

    def _pass(self, to: datetime) -> None:
        """Let time pass: each midnight, each hold's and each grace's end, in order."""
        while True:
            grace = self._next_grace_end()
            over = [hold for hold in self._holds if hold.left]
            first = min(over, key=lambda hold: hold.ends_at, default=None)
            if first is not None and first.ends_at <= min(
                self._day_ends_at, to, *([grace] if grace else [])
            ):
                self._free_again(first)
                self._settle(first.ends_at)
            elif grace is not None and grace <= min(self._day_ends_at, to):
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
        self._day += 1
        self._repay()

    def _settle(self, at: datetime) -> None:
        """Make the allowance rule true: max(0, allowance - used) is free today."""
        self._now = max(self._now, at)
        self._tier = self._best(at)
        if self._closed:
            self._repay()
            return
        free = max(0, self._tiers[self._tier].daily_credits - self._used)
        self._granted += max(0, free - self._free)
        self._expired += max(0, self._free - free)
        self._free = free
        self._repay()
