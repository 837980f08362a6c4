"""A payment as Stripe would live it, in plain integers, and the events that tell of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

from tests.conftest import NOW
from tests.money_events import (
    make_charge_event,
    make_dispute_event,
    make_refund_event,
    make_session_event,
)
from tests.stripe_events import make_event

PACK_CREDITS = 100
TERMINAL = ("won", "lost")


@dataclass
class PaymentLife:
    """Each step happens a second after the one before, and tells of itself by an event or two."""

    name: str
    paid: int
    random: Random
    at: datetime = NOW
    events: list[dict[str, Any]] = field(default_factory=list)
    refunds: dict[str, int] = field(default_factory=dict)  # those that stand
    made: dict[str, datetime] = field(default_factory=dict)
    disputes: dict[str, tuple[int, str]] = field(default_factory=dict)
    captured: bool = False  # then its charge is told, and others may name that alone

    def number(self) -> str:
        return f"evt_{self.name}_{len(self.events)}"

    def buy(self) -> None:
        """At once, by a method that takes its time, or by a capture that may come first."""
        ids = {
            "session": f"cs_{self.name}",
            "intent": f"pi_{self.name}",
            "customer": f"cus_{self.name}",
            "amount": self.paid,
        }
        way = self.random.choice(["at once", "slow", "captured"])
        status = "paid" if way == "at once" else "unpaid"
        self.events.append(make_session_event(self.number(), self.at, status=status, **ids))
        self.captured = way == "captured"
        if self.captured:
            self.tick()
            self.events.append(self._capture())
        elif way == "slow":
            self.tick()
            self.events.append(
                make_session_event(self.number(), self.at, "async_payment_succeeded", **ids)
            )

    def _capture(self) -> dict[str, Any]:
        intent, charge = f"pi_{self.name}", f"ch_{self.name}"
        if self.random.random() < 0.5:
            thing = {"id": charge, "object": "charge", "payment_intent": intent}
            return make_event(
                self.number(), "charge.captured", self.at, {**thing, "amount_captured": self.paid}
            )
        thing = {"id": intent, "object": "payment_intent", "latest_charge": charge}
        return make_event(
            self.number(),
            "payment_intent.succeeded",
            self.at,
            {**thing, "amount_received": self.paid},
        )

    def _intent(self) -> str | None:
        return None if self.captured and self.random.random() < 0.5 else f"pi_{self.name}"

    def tick(self) -> None:
        self.at += timedelta(seconds=1)

    def step(self) -> None:
        """Something happens to the payment."""
        self.tick()
        act = self.random.choice([self.refund, self.refund, self.fail, self.dispute, self.decide])
        act()

    def refund(self) -> None:
        left = self.paid - sum(self.refunds.values())
        if left <= 0:
            return
        amount = self.random.randint(1, left)
        name = f"re_{self.name}_{len(self.made)}"
        self.refunds[name], self.made[name] = amount, self.at
        told = self.random.choice([("refund",), ("charge",), ("refund", "charge")])
        if "refund" in told:
            status = self.random.choice(["pending", "succeeded", "requires_action"])
            self._tell_refund(name, amount, "refund.created", status)
        if "charge" in told:
            cumulative = sum(self.refunds.values())
            self.events.append(
                make_charge_event(
                    self.number(),
                    self.at,
                    cumulative,
                    amount=self.paid,
                    charge=f"ch_{self.name}",
                    intent=f"pi_{self.name}",
                )
            )

    def fail(self) -> None:
        if not self.refunds:
            return
        name = self.random.choice(sorted(self.refunds))
        amount = self.refunds.pop(name)
        kind = self.random.choice(["refund.failed", "refund.updated", "charge.refund.updated"])
        self._tell_refund(name, amount, kind, self.random.choice(["failed", "canceled"]))

    def _tell_refund(self, name: str, amount: int, kind: str, status: str) -> None:
        self.events.append(
            make_refund_event(
                self.number(),
                self.at,
                amount,
                kind,
                refund=name,
                made_at=self.made[name],
                status=status,
                intent=self._intent(),
                charge=f"ch_{self.name}",
            )
        )

    def dispute(self) -> None:
        name = f"du_{self.name}_{len(self.disputes)}"
        if len(self.disputes) < 2:
            status = self.random.choice(["needs_response", "warning_needs_response"])
            self._tell_dispute(name, self.random.randint(1, self.paid), status, "created")

    def decide(self) -> None:
        if not self.disputes:
            return
        name = self.random.choice(sorted(self.disputes))
        amount, status = self.disputes[name]
        following = {
            "needs_response": ["under_review", "won", "lost"],
            "under_review": ["won", "lost"],
            "warning_needs_response": ["warning_under_review", "needs_response", "warning_closed"],
            "warning_under_review": ["warning_closed", "needs_response"],
            "lost": ["won"],
        }.get(status, [])
        if following:
            self._tell_dispute(name, amount, self.random.choice(following), "updated")

    def _tell_dispute(self, name: str, amount: int, status: str, kind: str) -> None:
        self.disputes[name] = (amount, status)
        self.events.append(
            make_dispute_event(
                self.number(),
                self.at,
                status,
                kind,
                dispute=name,
                amount=amount,
                intent=self._intent(),
                charge=f"ch_{self.name}",
            )
        )

    def taken(self) -> int:
        """DESIGN's formula."""
        lost = sum(amount for amount, status in self.disputes.values() if status == "lost")
        return self._share(sum(self.refunds.values()) + lost)

    def frozen(self) -> int:
        open_ones = sum(
            amount
            for amount, status in self.disputes.values()
            if status in ("needs_response", "under_review")
        )
        lost = sum(amount for amount, status in self.disputes.values() if status == "lost")
        return self._share(sum(self.refunds.values()) + lost + open_ones) - self.taken()

    def _share(self, back: int) -> int:
        return PACK_CREDITS * min(self.paid, back) // self.paid
