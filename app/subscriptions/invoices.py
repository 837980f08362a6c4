"""Which invoice decides whether a subscription is past due: the latest one, as with Stripe."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec

from app.subscriptions.facts import Fact, FactKind, Invoice

# Only those made when the latest was made are ever asked for; the others are remembered so that
# one of them is known again, and a subscription that is left past due for years may have many.
FAILED_MAX: Final = 12


class Invoices(msgspec.Struct, frozen=True, kw_only=True):
    """When the latest invoice that was told of was made, and which failed and were not paid.

    Stripe's rule (docs.stripe.com/billing/subscriptions/overview, "Subscription statuses"):
    past_due says that the payment of the latest invoice failed; paying that one makes it active,
    whatever stays open. So neither the payment nor another failure of an older invoice has a say.
    Invoices made within one second are all the latest: each that failed has to be paid.

    That one is voided or marked uncollectible is not read. Stripe tells what comes of it by a
    snapshot, and until that comes the failure stands.
    """

    latest_at: datetime | None = None
    failed: Mapping[str, datetime] = msgspec.field(default_factory=dict)

    def take(self, fact: Fact, latest: str | None = None) -> tuple[Invoices, bool]:
        """The invoices once this payment or failure is known, and whether it has a say.

        ``latest`` is the invoice that the newest snapshot names: then it alone has a say. A fact
        that does not tell of its invoice has one: so did all that were stored before it was kept.
        """
        invoice = fact.invoice
        if invoice is None:
            return self, True
        taken, has_say = self._take(fact, invoice)
        return taken, has_say if latest is None else invoice.id == latest

    def _take(self, fact: Fact, invoice: Invoice) -> tuple[Invoices, bool]:
        # No invoice is made twice: what was told of it first stands.
        made_at = self.failed.get(invoice.id) or invoice.made_at or fact.occurred_at
        if self.latest_at is not None and made_at < self.latest_at:
            return self, False
        others = {number: at for number, at in self.failed.items() if number != invoice.id}
        if fact.kind is FactKind.PAYMENT_FAILED:
            failed = sorted([*others.items(), (invoice.id, made_at)], key=lambda one: one[1])
            return Invoices(latest_at=made_at, failed=dict(failed[-FAILED_MAX:])), True
        stands = any(at >= made_at for at in others.values())
        return Invoices(latest_at=made_at, failed=others), not stands

    def in_order(self) -> Invoices:
        """The same once a snapshot says that nothing is due."""
        return Invoices(latest_at=self.latest_at) if self.failed else self
