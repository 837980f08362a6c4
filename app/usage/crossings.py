"""Decide which alerts an account's movements raise: low, depleted, recovered.

The balance is compared: free + held - debt. A hold takes nothing until it is captured. A spend
that was reversed among the same movements counts only for its rest. An alert is raised when the
balance crosses its threshold, and the same kind is raised again only after ``recovered``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from typing import Final, NamedTuple

import msgspec

from app.infrastructure.ids import JournalNumber

EMPTY: Final = 1  # below one credit an account is depleted


class Movement(NamedTuple):
    """An entry that changed a balance; ``undoes`` is the spend's journal that it reverses."""

    journal_id: JournalNumber
    change: int
    balance: int
    undoes: JournalNumber | None
    at: datetime
    day_on: date | None
    tier: str | None


class Standing(NamedTuple):
    """The alerts that were raised since the account last recovered."""

    low: bool
    depleted: bool


class Raised(msgspec.Struct, frozen=True):
    """An alert: its threshold, and the balance after the journal that crossed it."""

    kind: str
    journal_id: JournalNumber
    at: datetime
    day_on: date | None
    tier: str
    threshold: int
    balance: int


def crossings(
    standing: Standing, movements: Iterable[Movement], thresholds: Mapping[str, int]
) -> Iterator[Raised]:
    """Yield the alerts of one account's movements, given in the order of their entries.

    ``thresholds`` are those of the tiers with an alert on low balances.
    """
    low, depleted = standing
    journals: dict[JournalNumber, list[Movement]] = {}
    for movement in movements:
        journals.setdefault(movement.journal_id, []).append(movement)
    balance = _before(journals)
    for number, change in _net(journals).items():
        last = journals[number][-1]
        before, balance = balance, balance + change
        tier = last.tier or "FREE"
        watched = thresholds.get(tier, 0)
        crossed = []
        if balance >= max(watched, EMPTY):
            if low or depleted:
                crossed.append(("recovered", watched))
            low = depleted = False
        if watched and not low and balance < watched <= before:
            crossed.append(("low", watched))
            low = True
        if not depleted and balance < EMPTY <= before:
            crossed.append(("depleted", 0))
            depleted = True
        for kind, threshold in crossed:
            yield Raised(kind, number, last.at, last.day_on, tier, threshold, balance)


def _before(journals: Mapping[JournalNumber, list[Movement]]) -> int:
    first = next(iter(journals.values()))[0]
    return first.balance - first.change


def _net(journals: Mapping[JournalNumber, list[Movement]]) -> dict[JournalNumber, int]:
    """Each journal's change; what takes back a spend of these journals counts with the spend."""
    net = dict.fromkeys(journals, 0)
    for number, movements in journals.items():
        for movement in movements:
            undone = movement.undoes
            net[number if undone is None or undone not in net else undone] += movement.change
    return net
