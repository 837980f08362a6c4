"""A small Stripe that makes one subscription's facts, in the order in which they were made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec

from app.allowance.catalogue import parse
from app.allowance.entitlement import CataloguePricing
from app.subscriptions.derive import Derived, Fold, Folded, checkpoint_of, derive, fold
from app.subscriptions.facts import Fact, FactKind, Invoice
from app.subscriptions.order import Detail, undecided

START = datetime(2026, 1, 1, tzinfo=UTC)
PRO, ENTERPRISE, TRIALLESS = "price_pro", "price_enterprise", "price_trialless"
IGNORED, UNKNOWN = "price_hours", "price_nobody_knows"

PRICING = CataloguePricing(
    parse(
        """
ignored_prices = ["price_hours"]
[tiers.FREE]
daily_credits = 5
prices = []
[tiers.PRO]
daily_credits = 20
prices = ["price_pro"]
[tiers.ENTERPRISE]
daily_credits = 50
prices = ["price_enterprise"]
past_due_grace_days = 3
[tiers.TRIALLESS]
daily_credits = 30
prices = ["price_trialless"]
trial_grants = false
pause_collection = "none"
""",
        "tiers.toml",
    )
)


def at(second: int) -> datetime:
    """So many seconds after the start."""
    return START + timedelta(seconds=second)


@dataclass
class Made:
    """The facts of one subscription in Stripe's own order, and the objects behind them."""

    facts: list[Fact] = field(default_factory=list)
    details: dict[str, Detail] = field(default_factory=dict)
    objects: dict[str, dict[str, object]] = field(default_factory=dict)
    present: dict[str, object] = field(default_factory=dict)

    def created(self, second: int, status: str = "active", price: str = PRO, **more: object) -> str:
        """customer.subscription.created."""
        self.present = {"status": status, "price": price, **more}
        return self._snapshot(FactKind.CREATED, second, {}, None)

    def updated(
        self,
        second: int,
        event_id: str | None = None,
        unread: Sequence[str] = (),
        **changes: object,
    ) -> str:
        """customer.subscription.updated, with the previous values of what changed.

        Nobody can read the ``unread`` parts of it, by the names of a fact's fields.
        """
        previous = {name: self.present.get(name) for name in changes}
        self.present = {**self.present, **changes}
        return self._snapshot(FactKind.UPDATED, second, previous, event_id, unread)

    def deleted(self, second: int) -> str:
        """customer.subscription.deleted."""
        self.present = {**self.present, "status": "canceled"}
        return self._snapshot(FactKind.DELETED, second, {}, None)

    def copied(self, event_id: str, copy_id: str) -> None:
        """A second Event object for the same change."""
        original = next(fact for fact in self.facts if fact.event_id == event_id)
        self.objects[copy_id] = self.objects[event_id]
        self.details[copy_id] = self.details[event_id]
        self.facts.append(_renamed(original, copy_id))

    def payment_failed(
        self, second: int, invoice: int | None = None, reason: str = "subscription_cycle"
    ) -> str:
        """invoice.payment_failed; ``invoice`` is the second in which it was made."""
        return self._add(FactKind.PAYMENT_FAILED, second, None, invoice, reason)

    def payment_succeeded(self, second: int, invoice: int | None = None) -> str:
        """A renewal's invoice.paid."""
        return self._add(FactKind.PAYMENT_SUCCEEDED, second, None, invoice)

    def _snapshot(
        self,
        kind: FactKind,
        second: int,
        previous: dict[str, object],
        event_id: str | None,
        unread: Sequence[str] = (),
    ) -> str:
        event_id = self._add(kind, second, event_id, unread=unread)
        self.objects[event_id] = dict(self.present)
        self.details[event_id] = Detail(self.objects[event_id], previous)
        return event_id

    def _add(
        self,
        kind: FactKind,
        second: int,
        event_id: str | None,
        invoice: int | None = None,
        reason: str = "subscription_cycle",
        unread: Sequence[str] = (),
    ) -> str:
        event_id = event_id or f"evt_{len(self.facts):02}"
        of_invoice = kind in (FactKind.PAYMENT_FAILED, FactKind.PAYMENT_SUCCEEDED)
        told = Invoice(f"in_{invoice}", at(invoice or 0), reason) if invoice is not None else None
        fact = Fact(
            event_id=event_id,
            subscription_id="sub_1",
            customer_id="cus_1",
            kind=kind,
            occurred_at=at(second),
            invoice=told,
        )
        if not of_invoice:
            parts = {name: value for name, value in self._parts().items() if name not in unread}
            fact = msgspec.structs.replace(
                fact, **parts, unread=dict.fromkeys(unread, "unreadable")
            )
        self.facts.append(fact)
        return event_id

    def _parts(self) -> dict[str, object]:
        """The fields of a snapshot's fact; a ``price`` of None is kept at quantity 0."""
        latest = self.present.get("latest_invoice")
        return {
            "status": str(self.present["status"]),
            "prices": (str(self.present["price"]),) if self.present["price"] else (),
            "latest_invoice": None if latest is None else f"in_{latest}",
            "pending_update": bool(self.present.get("pending_update")),
            "collection_paused": bool(self.present.get("collection_paused")),
            "cancel_at": self.present.get("cancel_at"),
        }

    def without(self, *event_ids: str) -> Made:
        """The same where these events were never delivered."""
        kept = [fact for fact in self.facts if fact.event_id not in event_ids]
        return Made(kept, self.details, self.objects, self.present)

    def derived(self) -> Derived:
        """What the facts come to; only the details that were asked for are given."""
        return derive_asked(self.facts, self.details)


def derive_asked(facts: Sequence[Fact], details: Mapping[str, Detail]) -> Derived:
    """Derive with those details that ``undecided`` asks for, as the store does."""
    asked = {event_id: details[event_id] for event_id in undecided(facts)}
    return derive(facts, PRICING, asked)


def _renamed(fact: Fact, event_id: str) -> Fact:
    values = {name: getattr(fact, name) for name in fact.__struct_fields__}
    return Fact(**{**values, "event_id": event_id})


class Stored:
    """What the store keeps of a subscription, and what it reads again when a fact comes."""

    def __init__(self, made: Made) -> None:
        self.made = made
        self.facts: list[Fact] = []
        self.settled: bytes | None = None
        self.read_count = 0

    def take(self, fact: Fact) -> Folded:
        """The rule of the store's query: from the checkpoint if the fact is newer."""
        if fact not in self.facts:  # a copy is kept once
            self.facts.append(fact)
        settled = checkpoint_of(self.settled)
        if settled is not None and (settled.to is None or fact.occurred_at <= settled.to):
            settled = None
        since = settled.to if settled else None
        facts = [one for one in self.facts if since is None or one.occurred_at > since]
        self.read_count = len(facts)
        folded = self._fold(facts, settled)
        self.settled = msgspec.json.encode(folded.settled) if folded.settled else None
        return folded

    def whole(self) -> Folded:
        """From all facts."""
        return self._fold(self.facts, None)

    def _fold(self, facts: list[Fact], settled: Fold | None) -> Folded:
        wanted = undecided(facts, settled.last_snapshot if settled else None)
        return fold(facts, PRICING, {i: self.made.details[i] for i in wanted}, settled)
