"""The jobs that an application runs for a customer: holds, captures and returns.

Each act tells the expectation, and makes the call that must end so.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from app.simulate.expected_jobs import LACKING, ExpectedHold, ExpectedSpend, Over
from app.simulate.steps import Capture, Extend, Hold, Release, Return, Spend, Step, Use

if TYPE_CHECKING:
    from app.simulate.customer_story import Customer

Named = Literal["id", "key"]


class Job:
    """One job of the customer's account, paid for by a hold or by a spend."""

    def __init__(self, customer: Customer, key: str) -> None:
        self._customer = customer
        self._account_id = customer.account_id
        self._key = key
        self._calls = 0
        self._hold: ExpectedHold | None = None
        self._spend: ExpectedSpend | None = None

    def spends(self, amount: int) -> Step:
        """Pay at once."""
        at = self._customer.reach()
        self._spend = self._customer.expected(self._account_id).spend(at, amount)
        spend = Spend(
            account_id=self._account_id,
            amount=amount,
            key=self._key,
            reason="run a job",
            refused=self._spend is None,
        )
        return self._customer.acts(f"spends {amount} on a job", spend)

    def holds(self, amount: int, *, minutes: int = 15) -> Step:
        """Reserve what it may cost."""
        at, lasts = self._customer.reach(), timedelta(minutes=minutes)
        self._hold = self._customer.expected(self._account_id).hold(at, amount, lasts)
        hold = Hold(
            account_id=self._account_id,
            amount=amount,
            expires_in_s=minutes * 60,
            key=self._key,
            refused=LACKING if self._hold is None else None,
        )
        return self._does(f"holds {amount} for a job", hold)

    def costs(self, amount: int, *, over: Over = "refuse", final: bool = True) -> Step:
        """Settle what it really cost, or a part of that."""
        at = self._customer.reach()
        account = self._customer.expected(self._account_id)
        refused = account.capture(at, self._held, amount, over, final=final)
        key = self._next_key()
        capture = Capture(
            hold_key=self._key, amount=amount, over=over, final=final, key=key, refused=refused
        )
        return self._does(f"pays {amount} for a job", capture)

    def takes_longer(self, *, minutes: int) -> Step:
        """Have the hold last so long from now on."""
        at, lasts = self._customer.reach(), timedelta(minutes=minutes)
        refused = self._customer.expected(self._account_id).extend(at, self._held, lasts)
        key = self._next_key()
        extend = Extend(hold_key=self._key, expires_in_s=minutes * 60, key=key, refused=refused)
        return self._does("has a job that takes longer", extend)

    def fails(self) -> Step:
        """Give back all that is held for it."""
        at = self._customer.reach()
        refused = self._customer.expected(self._account_id).release(at, self._held)
        release = Release(hold_key=self._key, key=self._next_key(), refused=refused)
        return self._does("has a job that fails", release)

    def gives_back(self, amount: int, *, by: Named = "id") -> Step:
        """Return so much of what was paid for it, by its id or by its own key."""
        at = self._customer.reach()
        spends = [self._spend] if self._spend else self._held.captures
        refused = self._customer.expected(self._account_id).give_back(at, spends, amount)
        back = Return(
            account_id=self._account_id,
            of_key=self._key,
            of_hold=self._spend is None,
            by_key=by == "key",
            amount=amount,
            key=self._next_key(),
            refused=refused,
        )
        return self._does(f"is given {amount} back of a job", back)

    @property
    def left(self) -> int:
        """The credits that may still be returned of it."""
        spends = [self._spend] if self._spend else self._held.captures
        return sum(spend.amount for spend in spends)

    @property
    def was_paid(self) -> bool:
        """Return whether anything was spent or held for it."""
        return self._spend is not None or self._hold is not None

    @property
    def is_held(self) -> bool:
        """Return whether it is paid for by a hold."""
        return self._hold is not None

    @property
    def _held(self) -> ExpectedHold:
        assert self._hold is not None, "it was refused, or pays at once"
        return self._hold

    def _does(self, what: str, use: Use) -> Step:
        told = f"{what}: {use.refused}" if use.refused else what
        return self._customer.acts(told, use)

    def _next_key(self) -> str:
        self._calls += 1
        return f"{self._key}-{self._calls}"
