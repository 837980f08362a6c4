"""Holds, captures and returns as they must end: which day's credits they took and gave back.

It knows days by their number, and no lots: what comes back to a day that is over expires, what
comes back to the running one is free again as far as the allowance goes, and debt is repaid by the
next credits that are free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

Over = Literal["refuse", "available", "debt"]
Refusal = str | None  # the stable code of the answer; None where it is granted

LACKING: Final = "insufficient_credits"
HOLD_MAX: Final = timedelta(days=7)  # however often it is extended


@dataclass
class Part:
    """Credits of the day of this number; None were owed."""

    day: int | None
    amount: int


@dataclass
class ExpectedSpend:
    """A spend or a capture: its parts in the order in which they were taken."""

    parts: list[Part]

    @property
    def amount(self) -> int:
        """The credits that have not come back yet."""
        return sum(part.amount for part in self.parts)


@dataclass
class ExpectedHold:
    """A hold of one day's credits, and its captures."""

    day: int
    left: int
    taken_at: datetime
    ends_at: datetime
    captures: list[ExpectedSpend] = field(default_factory=list)
    closed: bool = False  # it was released, or captured for the last time

    def refusal(self, at: datetime, amount: int, over: Over) -> Refusal:
        """Say why it cannot be captured so; ``left`` is what it holds at that instant."""
        if self.closed:
            return "hold_closed"
        if over == "refuse" and self.ends_at <= at:
            return "hold_expired"
        return "refused" if over == "refuse" and amount > self.left else None

    def refusal_of_change(self, at: datetime) -> Refusal:
        """Say why it can be neither released nor extended."""
        if self.closed:
            return "hold_closed"
        return "hold_expired" if self.ends_at <= at else None


def come_back(spends: Sequence[ExpectedSpend], amount: int) -> list[Part] | None:
    """Take so much out of the parts, the latest first; None where there is less."""
    if amount > sum(spend.amount for spend in spends):
        return None
    back = []
    for spend in reversed(spends):
        for part in reversed(spend.parts):
            taken = min(part.amount, amount)
            part.amount -= taken
            amount -= taken
            if taken:
                back.append(Part(part.day, taken))
    return back
