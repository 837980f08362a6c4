"""From the set of a subscription's facts to its state and what it gives; order does not matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from datetime import datetime, timedelta
from typing import Final, Protocol

import msgspec

from app.subscriptions.facts import SNAPSHOT_KINDS, Fact, FactKind
from app.subscriptions.invoices import Invoices
from app.subscriptions.order import Detail, in_order
from statemachine import State, Trigger, advance, moved_by_invoices, trigger_of_status

# Raise it when a fold comes to keep more, or to mean something else: what was stored before is
# then left, and all facts are folded again.
FOLD_FORM: Final = 5

_INVOICE_KINDS: Final = frozenset({FactKind.PAYMENT_FAILED, FactKind.PAYMENT_SUCCEEDED})


class Pricing(Protocol):
    """What the catalogue knows of prices and tiers."""

    def tier_of(self, prices: Sequence[str]) -> str | None:
        """The best tier among the prices; None where none is a tier's."""

    def ignores(self, prices: Sequence[str]) -> bool:
        """Whether every price is listed as ignored."""

    def lesser(self, one: str, other: str) -> str:
        """The tier with fewer daily credits."""

    def grace(self, tier: str) -> timedelta:
        """How long the tier outlives a failed payment."""

    def grants_in_trial(self, tier: str) -> bool:
        """Whether a trial of this tier grants."""

    def gives_while_paused(self, tier: str) -> bool:
        """Whether a subscription whose collection is paused gives this tier."""


class Derived(msgspec.Struct, frozen=True, kw_only=True):
    """Where a subscription stands.

    ``tier`` is what it gives, but for grace; ``grace_tier`` what it gives from ``failing_since``
    until ``grace_ends_at``, which each day's catalogue tells anew. ``decided_by`` is the fact
    that led to ``state``, by ``trigger``. ``snapshot`` is the last one that counted for it,
    ``last_snapshot`` the last of all: what came after the end says whose customer it is too.
    ``ever_known`` tells whether the catalogue knew a price of it at any time: one that never had
    any gives nothing and ties nothing.
    """

    state: State
    trigger: Trigger
    decided_by: Fact
    snapshot: Fact | None
    last_snapshot: Fact | None
    last: Fact
    tier: str | None
    grace_tier: str | None
    failing_since: datetime | None
    grace_ends_at: datetime | None
    prices_unknown: bool
    ever_known: bool
    tied: bool


class Fold(msgspec.Struct, kw_only=True):
    """What is carried from fact to fact; also stored, so that a long history is folded once.

    ``to`` is when the last fact taken occurred, ``last_snapshot`` the last in order, also one
    that came after the end. ``form`` tells by which FOLD_FORM it was made.
    """

    form: int = 1  # the first had no number
    state: State = State.CREATED
    trigger: Trigger | None = None
    decided_by: Fact | None = None
    snapshot: Fact | None = None
    standing: str = "incomplete"  # Stripe's status, as invoices have moved it on
    tier: str | None = None
    prices_unknown: bool = False
    ever_known: bool = False
    active_before: bool = False
    gave_when_active: str | None = None
    failing_since: datetime | None = None
    to: datetime | None = None
    last_snapshot: Fact | None = None
    invoices: Invoices = Invoices()

    def take(self, fact: Fact, pricing: Pricing) -> None:
        self.to = fact.occurred_at
        if fact.kind in SNAPSHOT_KINDS:
            self.last_snapshot = fact.completed(self.last_snapshot)
        trigger = _trigger_of(fact)
        if self.decided_by is None:
            self.trigger, self.decided_by = trigger or Trigger.BEGIN, fact
        if not self._has_say(fact):
            return
        before = self.state
        if trigger is not None:  # a status that nobody knows leaves the state as it was
            self.state = advance(self.state, trigger)
        if self.state is not before:
            self.trigger, self.decided_by = trigger, fact
        if before is State.CANCELED:
            return
        if fact.kind in SNAPSHOT_KINDS:
            self._take_snapshot(fact, pricing)
        elif self.state is not before:
            self.standing = str(self.state)
        self._take_standing(fact, pricing)

    def _has_say(self, fact: Fact) -> bool:
        """Whether it moves anything: of invoices the latest, between active and past_due alone."""
        if fact.kind not in _INVOICE_KINDS:
            return True
        snapshot = self.last_snapshot
        latest = snapshot.latest_invoice if snapshot else None
        self.invoices, has_say = self.invoices.take(fact, latest)
        # A change that waits for its payment is not made yet: its failure leaves what is.
        pending = snapshot is not None and snapshot.pending_update and _of_update(fact)
        return has_say and not pending and moved_by_invoices(self.standing)

    def _take_snapshot(self, fact: Fact, pricing: Pricing) -> None:
        self.snapshot = fact.completed(self.snapshot)
        ended = fact.kind is FactKind.DELETED
        self.standing = "canceled" if ended else (fact.status or self.standing)
        if "prices" not in fact.unread:
            known = pricing.tier_of(fact.prices)
            self.ever_known = self.ever_known or known is not None
            self.prices_unknown = (
                known is None and bool(fact.prices) and not pricing.ignores(fact.prices)
            )
            if not self.prices_unknown:
                self.tier = known  # an unknown price keeps the tier it had
        if self.state is not State.PAST_DUE:
            self.invoices = self.invoices.in_order()

    def _take_standing(self, fact: Fact, pricing: Pricing) -> None:
        if self.state is State.ACTIVE:
            self.failing_since = None
            self.active_before = self.active_before or self.standing == "active"
            self.gave_when_active = self.gives(pricing)
        elif self.standing == "past_due" and self.failing_since is None:
            # A test clock says that it failed in two months: grace begins when that was heard.
            self.failing_since = min(fact.occurred_at, fact.arrived_at or fact.occurred_at)

    def gives(self, pricing: Pricing) -> str | None:
        """The tier it gives, but for grace."""
        if self.state is not State.ACTIVE or self.tier is None:
            return None
        trial = self.standing == "trialing" and not self.active_before
        if trial and not pricing.grants_in_trial(self.tier):
            return None
        paused = self.snapshot is not None and self.snapshot.collection_paused
        if paused and not pricing.gives_while_paused(self.tier):
            return None
        return self.tier

    def grace_tier(self, pricing: Pricing) -> str | None:
        """No more than it gave when last active, and nothing where it never was."""
        if self.state is not State.PAST_DUE or self.standing != "past_due":
            return None
        if self.tier is None or self.gave_when_active is None:
            return None
        return pricing.lesser(self.tier, self.gave_when_active)


def checkpoint_of(stored: str | bytes | None) -> Fold | None:
    """A fold as it was stored; None where none was, or one of another form."""
    fold = None if stored is None else msgspec.json.decode(stored, type=Fold)
    return fold if fold is not None and fold.form == FOLD_FORM else None


class Folded(msgspec.Struct, frozen=True):
    """Where a subscription stands; and the fold of what came before its newest second."""

    derived: Derived
    settled: Fold | None


def derive(facts: Sequence[Fact], pricing: Pricing, details: Mapping[str, Detail]) -> Derived:
    """Fold the facts, at least one, in Stripe's order.

    ``details`` holds the raw objects of those that ``order.undecided`` named.
    """
    return fold(facts, pricing, details, None).derived


def fold(
    facts: Sequence[Fact], pricing: Pricing, details: Mapping[str, Detail], settled: Fold | None
) -> Folded:
    """The same, going on from ``settled``.

    That is the fold, by the same catalogue, of all facts that occurred up to ``settled.to``:
    then ``facts`` are those after it, and the outcome is the same as from all.
    """
    ordered, tied = in_order(facts, details, settled.last_snapshot if settled else None)
    taken = Fold(form=FOLD_FORM) if settled is None else copy(settled)
    newest_at = ordered[-1].occurred_at
    for fact in ordered:
        if fact.occurred_at == newest_at and (taken.to is None or taken.to < newest_at):
            # What shares the newest second may yet be joined by more of it, in another order.
            settled = copy(taken) if taken.to is not None else None
        taken.take(fact, pricing)
    return Folded(_derived(taken, pricing, ordered[-1], tied), settled)


def _derived(fold: Fold, pricing: Pricing, last: Fact, tied: bool) -> Derived:
    assert fold.trigger is not None
    assert fold.decided_by is not None
    grace_tier = fold.grace_tier(pricing)
    grace_ends_at = None
    if grace_tier is not None and fold.failing_since is not None:
        grace_ends_at = fold.failing_since + pricing.grace(grace_tier)
    return Derived(
        state=fold.state,
        trigger=fold.trigger,
        decided_by=fold.decided_by,
        snapshot=fold.snapshot,
        last_snapshot=fold.last_snapshot,
        last=last,
        tier=fold.gives(pricing),
        grace_tier=grace_tier,
        failing_since=fold.failing_since if grace_ends_at is not None else None,
        grace_ends_at=grace_ends_at,
        prices_unknown=fold.prices_unknown,
        ever_known=fold.ever_known,
        tied=tied,
    )


def _of_update(fact: Fact) -> bool:
    reason = fact.invoice.billing_reason if fact.invoice else None
    return fact.kind is FactKind.PAYMENT_FAILED and reason == "subscription_update"


def _trigger_of(fact: Fact) -> Trigger | None:
    """What it asks of the state machine; None for a status that nobody knows."""
    if fact.kind is FactKind.PAYMENT_FAILED:
        return Trigger.PAYMENT_FAILED
    if fact.kind is FactKind.PAYMENT_SUCCEEDED:
        return Trigger.PAYMENT_SUCCEEDED
    if fact.kind in (FactKind.DELETED, FactKind.CUSTOMER_DELETED):
        return Trigger.CANCEL
    return trigger_of_status(fact.status or "")
