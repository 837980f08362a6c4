"""The invoice that decides whether a subscription is past due: the latest one, as with Stripe."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec

from app.subscriptions.facts import Fact, FactKind, Invoice

# Only invoices of the latest second are ever needed. The others are kept so that they are
# recognised; a subscription that is past due for years may have many.
FAILED_MAX: Final = 12


class Invoices(msgspec.Struct, frozen=True, kw_only=True):
    """When the latest known invoice was made, and which invoices failed and were not paid.

    Stripe's rule (docs.stripe.com/billing/subscriptions/overview, "Subscription statuses"):
    past_due means that the payment of the latest invoice failed; paying that invoice makes the
    subscription active, whatever else is open. So neither the payment nor the failure of an older
    invoice counts. Invoices made within one second are all the latest: each that failed has to be
    paid.

    An invoice that is voided or marked uncollectible is not read. Stripe reports the result by a
    snapshot; until that arrives the failure stays.
    """

    latest_at: datetime | None = None
    failed: Mapping[str, datetime] = msgspec.field(default_factory=dict)

    def take(self, fact: Fact, latest: str | None = None) -> tuple[Invoices, bool]:
        """Return the invoices with this payment or failure, and whether it counts.

        ``latest`` is the invoice that the newest snapshot names: then only that one counts. It is
        None if the snapshot names none, or if this invoice was made after it. A fact without its
        invoice counts too: all facts stored before invoices were kept are like that.
        """
        invoice = fact.invoice
        if invoice is None:
            return self, True
        taken, has_say = self._take(fact, invoice)
        return taken, has_say if latest is None else invoice.id == latest

    def _take(self, fact: Fact, invoice: Invoice) -> tuple[Invoices, bool]:
        # No invoice is made twice: the first report of it stays.
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
        """Return the invoices after a snapshot says that nothing is due."""
        return Invoices(latest_at=self.latest_at) if self.failed else self
