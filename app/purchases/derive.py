"""Compute what a payment's lot is owed from all facts of the payment. Pure.

The result depends on the *set* of facts, not on their order. A refund counts by its furthest
status, a dispute by its newest. A charge's ``amount_refunded`` is cumulative; it counts for what
it adds to the refunds that are known by themselves.

Example: of a charge of 1000, a refund of 300 is known, and the charge says 500 are refunded. So
200 more count, in all 500: half of the pack's credits are taken back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

import msgspec

from app.purchases.facts import (
    ChargeFact,
    DisputeFact,
    DisputeStatus,
    MoneyFact,
    RefundFact,
    RefundStatus,
)


class Standing(StrEnum):
    """The effect of a refund or dispute: it takes credits, freezes them, or does nothing."""

    OUT = "out"
    COUNTED = "counted"
    FROZEN = "frozen"


class MoneyBack(msgspec.Struct, frozen=True):
    """One refund or dispute, or the part of a charge's refunded amount that no known refund
    explains.
    """

    kind: str
    id: str
    amount: int
    standing: Standing


class Owing(msgspec.Struct, frozen=True):
    """The credits of a pack that are to be taken back, and those that are to be frozen."""

    taken: int
    frozen: int


_FAILED: Final = frozenset({RefundStatus.FAILED, RefundStatus.CANCELED})
_RANK_OF_REFUND: Final = {status: rank for rank, status in enumerate(RefundStatus)}
_RANK_OF_DISPUTE: Final = {status: rank for rank, status in enumerate(DisputeStatus)}
# An inquiry (warning_*) withdraws no funds. A dispute that was prevented, or that ended as
# charge_refunded, was settled by a refund: the refund counts and the dispute does not. From
# needs_response on, the bank has the funds: the credits are frozen until it decides.
_STANDING_OF_DISPUTE: Final = {
    DisputeStatus.NEEDS_RESPONSE: Standing.FROZEN,
    DisputeStatus.RESPONSE_DISABLED: Standing.FROZEN,
    DisputeStatus.UNDER_REVIEW: Standing.FROZEN,
    DisputeStatus.LOST: Standing.COUNTED,
}
_EVER: Final = datetime.min.replace(tzinfo=UTC)


def owing(credits: int, paid: int, parts: Iterable[MoneyBack]) -> Owing:
    """Return what is owed: pack x min(paid, refunded + disputed) / paid, rounded down.

    What open disputes add is frozen.
    """
    counted = frozen = 0
    for part in parts:
        counted += part.amount if part.standing is Standing.COUNTED else 0
        frozen += part.amount if part.standing is Standing.FROZEN else 0
    taken = _share(credits, paid, counted)
    return Owing(taken, _share(credits, paid, counted + frozen) - taken)


def _share(credits: int, paid: int, back: int) -> int:
    # A free session has no money that could go back.
    return credits * min(paid, back) // paid if paid else 0


def money_back(
    facts: Iterable[MoneyFact], currency: str | None, pins: Mapping[str, Standing]
) -> list[MoneyBack]:
    """Return every refund and dispute of one payment once, by kind and id.

    ``pins`` are events that an operator reversed: what such an event said keeps that standing,
    whatever follows. Amounts in another currency than the payment's do not count.
    """
    return _Told(facts, currency, pins).parts()


class _Told:
    """A payment's facts, by object."""

    def __init__(
        self, facts: Iterable[MoneyFact], currency: str | None, pins: Mapping[str, Standing]
    ) -> None:
        self._refunds: dict[str, list[RefundFact]] = defaultdict(list)
        self._charges: dict[str, list[ChargeFact]] = defaultdict(list)
        self._disputes: dict[str, list[DisputeFact]] = defaultdict(list)
        for fact in facts:
            if not same_currency(fact, currency):
                continue
            match fact:
                case RefundFact():
                    self._refunds[fact.refund_id].append(fact)
                case ChargeFact():
                    self._charges[fact.charge_id].append(fact)
                case DisputeFact():
                    self._disputes[fact.dispute_id].append(fact)
        self._known = {number: furthest(told) for number, told in self._refunds.items()}
        self._pins = pins

    def parts(self) -> list[MoneyBack]:
        pinned = self._pinned()
        parts = [
            *(_refund(refund) for refund in self._known.values()),
            *(self._charge(number) for number in self._charges),
            *(_dispute(told) for told in self._disputes.values()),
        ]
        return [
            msgspec.structs.replace(part, standing=pinned.get((part.kind, part.id), part.standing))
            for part in sorted(parts, key=lambda part: (part.kind, part.id))
        ]

    def _charge(self, number: str) -> MoneyBack:
        told = sorted(self._charges[number], key=_order)
        newest = told[-1]
        explained = sum(
            refund.amount
            for refund in self._of_charge(number)
            if refund.made_at <= newest.occurred_at
            and not self._failed_before(refund.refund_id, newest.occurred_at)
        )
        pinned = sum(
            self._unexplained(before, fact)
            for before, fact in zip([None, *told], told, strict=False)
            if fact.event_id in self._pins
        )
        amount = max(0, newest.amount_refunded - explained - pinned)
        return MoneyBack("charge", number, amount, Standing.COUNTED if amount else Standing.OUT)

    def _unexplained(self, before: ChargeFact | None, fact: ChargeFact) -> int:
        """Return what this fact adds to the earlier one, less the refunds that are known by id."""
        rise = fact.amount_refunded - (before.amount_refunded if before else 0)
        return max(0, rise - sum(refund.amount for refund in self._between(before, fact)))

    def _between(self, before: ChargeFact | None, fact: ChargeFact) -> list[RefundFact]:
        after = before.occurred_at if before else _EVER
        return [
            refund
            for refund in self._of_charge(fact.charge_id)
            if after < refund.made_at <= fact.occurred_at
        ]

    def _of_charge(self, number: str) -> list[RefundFact]:
        return [one for one in self._known.values() if one.charge_id in (None, number)]

    def _failed_before(self, refund_id: str, instant: datetime) -> bool:
        told = self._refunds[refund_id]
        return any(one.status in _FAILED and one.occurred_at < instant for one in told)

    def _pinned(self) -> dict[tuple[str, str], Standing]:
        """Return what the pinned events said; a charge's event includes the refunds made
        before it.
        """
        pinned: dict[tuple[str, str], Standing] = {}
        charging = {fact.event_id for told in self._charges.values() for fact in told}
        for event_id, standing in self._pins.items():
            for number, refunds in self._refunds.items():
                if event_id not in charging and any(one.event_id == event_id for one in refunds):
                    pinned["refund", number] = standing
            for number, disputes in self._disputes.items():
                if any(one.event_id == event_id for one in disputes):
                    pinned["dispute", number] = standing
            for told in self._charges.values():
                facts = sorted(told, key=_order)
                for before, fact in zip([None, *facts], facts, strict=False):
                    if fact.event_id == event_id:
                        for refund in self._between(before, fact):
                            pinned["refund", refund.refund_id] = standing
        return pinned


def same_currency(fact: MoneyFact, currency: str | None) -> bool:
    """Return whether the fact is in the payment's currency, or names none."""
    return currency is None or fact.currency in (None, currency)


def furthest(told: Sequence[RefundFact]) -> RefundFact:
    """Return the fact with the furthest status of a refund; a refund's status never goes back."""
    return max(
        told, key=lambda fact: (_RANK_OF_REFUND[fact.status], fact.occurred_at, fact.event_id)
    )


def newest(told: Sequence[DisputeFact]) -> DisputeFact:
    """Return the newest fact of a dispute; within one second, the one with the further status.

    A dispute may be lost and then won, so the furthest status alone does not decide.
    """
    return max(
        told, key=lambda fact: (fact.occurred_at, _RANK_OF_DISPUTE[fact.status], fact.event_id)
    )


def _order(fact: ChargeFact) -> tuple[datetime, int, str]:
    return (fact.occurred_at, fact.amount_refunded, fact.event_id)


def _refund(fact: RefundFact) -> MoneyBack:
    standing = Standing.OUT if fact.status in _FAILED else Standing.COUNTED
    return MoneyBack("refund", fact.refund_id, fact.amount, standing)


def _dispute(told: Sequence[DisputeFact]) -> MoneyBack:
    fact = newest(told)
    standing = _STANDING_OF_DISPUTE.get(fact.status, Standing.OUT)
    return MoneyBack("dispute", fact.dispute_id, fact.amount, standing)
