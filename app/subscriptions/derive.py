"""Derive a subscription's state, and what it gives, from the set of its facts in any order."""

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

# Raise this number if a fold stores more, or if its meaning changes. Stored folds of other forms
# are then not used, and all facts are folded again.
FOLD_FORM: Final = 6

_INVOICE_KINDS: Final = frozenset({FactKind.PAYMENT_FAILED, FactKind.PAYMENT_SUCCEEDED})


class Pricing(Protocol):
    """The catalogue's knowledge of prices and tiers."""

    def tier_of(self, prices: Sequence[str]) -> str | None:
        """Return the best tier among the prices; None if no price belongs to a tier."""

    def ignores(self, prices: Sequence[str]) -> bool:
        """Return whether every price is listed as ignored."""

    def lesser(self, one: str, other: str) -> str:
        """Return the tier with fewer daily credits."""

    def grace(self, tier: str) -> timedelta:
        """Return how long the tier lasts after a failed payment."""

    def grants_in_trial(self, tier: str) -> bool:
        """Return whether a trial of this tier grants."""

    def gives_while_paused(self, tier: str) -> bool:
        """Return whether a subscription whose collection is paused gives this tier."""


class Derived(msgspec.Struct, frozen=True, kw_only=True):
    """The derived state of a subscription.

    ``tier`` is what it gives outside a grace period. ``grace_tier`` is what it gives from
    ``failing_since`` until ``grace_ends_at``, which each day's catalogue computes again.
    ``decided_by`` is the fact that led to ``state``, by ``trigger``. ``snapshot`` is the last one
    that counted for the state; ``last_snapshot`` is the last of all: after the end it still says
    whose customer it is. ``ever_known`` says whether the catalogue ever knew one of its prices:
    without that it gives nothing and links nothing.
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
    """The values carried from fact to fact; stored too, so that a long history is folded once.

    ``to`` is when the last folded fact occurred; ``last_snapshot`` is the last in order, also if
    it came after the end. ``form`` is the FOLD_FORM that made it.
    """

    form: int = 1  # the first form had no number
    state: State = State.CREATED
    trigger: Trigger | None = None
    decided_by: Fact | None = None
    snapshot: Fact | None = None
    standing: str = "incomplete"  # Stripe's status, updated by invoices
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
        if trigger is not None:  # an unknown status leaves the state unchanged
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
        """Return whether the fact changes anything; of invoices only the latest does, in active or
        past_due.
        """
        if fact.kind not in _INVOICE_KINDS:
            return True
        snapshot = self.last_snapshot
        self.invoices, has_say = self.invoices.take(fact, _latest_invoice(snapshot, fact))
        # A change that waits for its payment has not been made yet; its failure changes nothing.
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
            # A test clock may report a failure two months ahead: grace begins when the report
            # arrived.
            self.failing_since = min(fact.occurred_at, fact.arrived_at or fact.occurred_at)

    def gives(self, pricing: Pricing) -> str | None:
        """Return the tier it gives outside a grace period, or None."""
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
        """Return the tier during grace: at most what it gave when last active; None if it never
        was.
        """
        if self.state is not State.PAST_DUE or self.standing != "past_due":
            return None
        if self.tier is None or self.gave_when_active is None:
            return None
        return pricing.lesser(self.tier, self.gave_when_active)


def checkpoint_of(stored: str | bytes | None) -> Fold | None:
    """Return a stored fold; None if there is none, or if it has another form."""
    fold = None if stored is None else msgspec.json.decode(stored, type=Fold)
    return fold if fold is not None and fold.form == FOLD_FORM else None


class Folded(msgspec.Struct, frozen=True):
    """The derived state, and the fold of everything before the newest second."""

    derived: Derived
    settled: Fold | None


def derive(facts: Sequence[Fact], pricing: Pricing, details: Mapping[str, Detail]) -> Derived:
    """Derive the state from at least one fact, in Stripe's order.

    ``details`` holds the raw objects of the events that ``order.undecided`` named.
    """
    return fold(facts, pricing, details, None).derived


def fold(
    facts: Sequence[Fact], pricing: Pricing, details: Mapping[str, Detail], settled: Fold | None
) -> Folded:
    """Like `derive`, but continue from the fold ``settled``.

    ``settled`` is the fold, by the same catalogue, of all facts up to ``settled.to``, and
    ``facts`` are those after it. The result is the same as from all facts.
    """
    ordered, tied = in_order(facts, details, settled.last_snapshot if settled else None)
    taken = Fold(form=FOLD_FORM) if settled is None else copy(settled)
    newest_at = ordered[-1].occurred_at
    for fact in ordered:
        if fact.occurred_at == newest_at and (taken.to is None or taken.to < newest_at):
            # More facts of the newest second may arrive, in another order.
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


def _latest_invoice(snapshot: Fact | None, fact: Fact) -> str | None:
    """Return the invoice that the snapshot names; None if the fact's invoice was made after it.

    Stripe may report a renewal by its invoice alone: then that invoice is the latest.
    """
    if snapshot is None:
        return None
    made_at = fact.invoice.made_at if fact.invoice else None
    return None if made_at and made_at > snapshot.occurred_at else snapshot.latest_invoice


def _of_update(fact: Fact) -> bool:
    reason = fact.invoice.billing_reason if fact.invoice else None
    return fact.kind is FactKind.PAYMENT_FAILED and reason == "subscription_update"


def _trigger_of(fact: Fact) -> Trigger | None:
    """Return the trigger that the fact is for the state machine; None for an unknown status."""
    if fact.kind is FactKind.PAYMENT_FAILED:
        return Trigger.PAYMENT_FAILED
    if fact.kind is FactKind.PAYMENT_SUCCEEDED:
        return Trigger.PAYMENT_SUCCEEDED
    if fact.kind in (FactKind.DELETED, FactKind.CUSTOMER_DELETED):
        return Trigger.CANCEL
    return trigger_of_status(fact.status or "")
