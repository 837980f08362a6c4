"""Reconcile with Stripe: fetch the events that it could not deliver, and mend every difference.

Everything goes through the inbox like a delivered event. A dry run does the same and rolls it
back, so that it reports the real effect of each mend.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import orjson

from app.book import Book
from app.errors import PayloadRefusedError, StripeRefusedError
from app.infrastructure import sql
from app.reconcile import store
from app.reconcile.drift import Difference, Drift, Ours, customer_event, drift_of, snapshot
from app.reconcile.missing_payments import Comparing, compare
from app.reconcile.store import Finding, Outcome, Part, Reconciliation
from app.webhooks.inbox import Verdict
from app.webhooks.receive import receive
from app.webhooks.translate import CustomerFact, translate

if TYPE_CHECKING:
    from app.reconcile import row_types
    from app.stripe_client import Page, StripeApi

EVENT_DAYS_MAX: Final = 30  # Stripe keeps events for no longer
SAVED_EVERY: Final = 20  # events between two saves
BATCH_SIZE: Final = 100
# Stripe accepts no group such as customer.subscription.* if several types are wanted.
EVENT_TYPES: Final = (
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.resumed",
    "customer.subscription.pending_update_applied",
    "customer.subscription.pending_update_expired",
    "customer.subscription.trial_will_end",
    "invoice.paid",
    "invoice.payment_succeeded",
    "invoice.payment_failed",
    "charge.captured",
    "payment_intent.succeeded",
    "customer.created",
    "customer.updated",
    "customer.deleted",
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
    "charge.refunded",
    "charge.refund.updated",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
)

_SQL: Final[row_types.ReconcileSql] = sql.beside(__file__)

Json = dict[str, Any]
Tell = Callable[[Finding], None]


class Reconciler:
    """Continues one reconciliation until it is done or the time is up.

    Everything is safe to repeat: an event is applied once by its id, and what was mended no longer
    differs. Raises StripeUnavailableError if Stripe is away; what was done until then stays.
    """

    def __init__(
        self,
        book: Book,
        stripe: StripeApi,
        one: Reconciliation,
        tell: Tell,
        within_s: float = float("inf"),
        watch: Callable[[], None] = lambda: None,
    ) -> None:
        self._book = book
        self._stripe = stripe
        self._one = one
        self._tell = tell
        self._watch = watch  # called after each step
        self._ends_at = time.monotonic() + within_s
        self._keys: Sequence[str] = ()  # the metadata keys that name an account

    async def run(self) -> bool:
        """Return whether it is done."""
        steps = {
            Part.EVENTS: self._take_events,
            Part.MONEY: self._compare_money,
            Part.LISTED: self._compare_listed,
            Part.UNLISTED: self._ask_for_unlisted,
        }
        self._keys = await self._book.catalogues.account_keys(self._book.database)
        going_on = True
        while going_on and self._one.part is not Part.DONE:
            going_on = await steps[self._one.part]()
            await self._save()
        return self._one.part is Part.DONE

    async def _take_events(self) -> bool:
        one = self._one
        since = one.since if one.reached is None else datetime.fromtimestamp(int(one.reached), UTC)
        try:
            async for event in self._stripe.events(
                EVENT_TYPES, delivery_success=False, since=since
            ):
                await self._take_event(event)
                one.reached = str(event["created"])
                if self._late():
                    return False
        except StripeRefusedError as refusal:
            one.lacks(f"Stripe's undelivered events cannot be listed: {refusal.detail}")
        one.go_on(Part.MONEY)
        return True

    async def _take_event(self, event: Json) -> None:
        if await self._book.database.fetchval(_SQL["received"](event_id=event["id"])):
            return
        self._one.counts.events_taken += 1
        self._find(event["id"], str(event.get("type")), *await self._receive(event))
        if self._one.counts.events_taken % SAVED_EVERY == 0:
            await self._save()

    async def _compare_money(self) -> bool:
        one, book = self._one, self._book
        catalogue_id, catalogue = await book.catalogues.present(book.database)
        ours = Comparing(
            database=book.database,
            catalogue=catalogue,
            catalogue_id=catalogue_id,
            livemode=book.livemode,
        )
        async for page in compare(self._stripe, ours, one.since, one.reached):
            for missing in page.missing:
                if missing.event is None:
                    self._find(missing.thing, missing.what, Outcome.UNMENDED, missing.why)
                else:
                    found = await self._receive(missing.event)
                    self._find(missing.thing, missing.what, *found)
            one.reached, one.counts.payments = page.reached, one.counts.payments + page.count
            if page.lacks:
                one.lacks(page.lacks)
            await self._save()
            if self._late():
                return False
        one.go_on(Part.LISTED)
        return True

    async def _compare_listed(self) -> bool:
        one = self._one
        resumed_at = one.reached
        try:
            async for page in self._stripe.subscriptions(after=one.reached):
                if not await self._compare(page):
                    return False
                if page.items:
                    one.reached = str(page.items[-1]["id"])
                await self._save()
                if self._late():
                    return False
        except StripeRefusedError as refusal:
            if one.resets_if_cursor_rejected(resumed_at):
                return True
            one.lacks(f"Stripe's subscriptions cannot be compared: {refusal.detail}")
            one.go_on(Part.DONE)
            return True
        one.go_on(Part.UNLISTED)
        return True

    async def _compare(self, page: Page) -> bool:
        """Compare a page, oldest first; return False if the time was up before its end."""
        ids = [str(thing.get("id")) for thing in page.items]
        ours = await self._ours(ids)
        await self._compare_customers(page)
        for thing in reversed(page.items):
            if self._drift_of(ours.get(thing["id"]), self._snapshot(thing, page.asked_at)):
                await self._look_closer(thing["id"], page.asked_at)
                if self._late():
                    return False
        await store.sight(self._book.database, self._one, ids)
        self._one.counts.recognized += await store.recognized(self._book.database, ids)
        self._one.counts.compared += len(ids)
        return True

    async def _compare_customers(self, page: Page) -> None:
        """Compare the customers that come with their subscriptions, if Stripe expands them."""
        told = [thing.get("customer") for thing in page.items]
        listed = {str(one.get("id")): one for one in told if isinstance(one, dict)}
        rows = await self._book.database.fetch(_SQL["customers"](customer_ids=list(listed)))
        known = {row["id"]: row for row in rows}
        for customer_id, customer in listed.items():
            event = customer_event(customer, page.asked_at, self._book.livemode)
            says = translate(event, self._keys)
            if not isinstance(says, CustomerFact):
                continue
            row = known.get(customer_id)
            if says.deleted:
                differs = row is not None and not row["deleted"]
                what = "customer known → deleted"
            else:
                named, before = says.account_hint or "", row["named"] if row else ""
                differs = named != before and not (row is not None and row["deleted"])
                what = f"customer names {before or 'none'} → {named or 'none'}"
            if differs:
                self._find(customer_id, what, *await self._receive(event))

    async def _ask_for_unlisted(self) -> bool:
        one, database = self._one, self._book.database
        try:
            while ids := await store.unlisted(database, one, BATCH_SIZE):
                probe = await self._stripe.retrieve("/v1/subscriptions", {"limit": 1})
                for subscription_id in ids:
                    await self._look_closer(subscription_id, probe.asked_at)
                    one.counts.compared += 1
                    one.reached = subscription_id
                    if self._late():
                        return False
                await self._save()
        except StripeRefusedError as refusal:
            one.lacks(f"Stripe cannot be asked for what it does not list: {refusal.detail}")
        one.go_on(Part.DONE)
        return True

    async def _look_closer(self, subscription_id: str, asked_at: datetime) -> None:
        """Fetch a subscription that seems to differ, and mend it.

        Its snapshot has the time of the answer before this one. So a change made while Stripe
        answers is never older than our snapshot, and its own event outranks ours.
        """
        thing = await self._ask(subscription_id)
        if thing is None:
            thing, drift = await self._gone(subscription_id)
            event = self._snapshot(thing, asked_at)
        else:
            event = self._snapshot(thing, asked_at)
            drift = self._drift_of(
                (await self._ours([subscription_id])).get(subscription_id), event
            )
        if drift is not None:
            await self._mend(drift, event)

    def _snapshot(self, thing: Json, asked_at: datetime) -> Json:
        customer = thing.get("customer")
        if isinstance(customer, dict):  # expanded: compared on its own
            thing = {**thing, "customer": customer.get("id")}
        return snapshot(thing, asked_at, self._keys, self._book.livemode)

    def _drift_of(self, ours: Ours | None, event: Json) -> Drift | None:
        return drift_of(ours, event, self._keys, self._one.since)

    async def _ask(self, subscription_id: str) -> Json | None:
        try:
            return (await self._stripe.retrieve(f"/v1/subscriptions/{subscription_id}")).body
        except StripeRefusedError as refusal:
            if refusal.missing:
                return None
            raise

    async def _gone(self, subscription_id: str) -> tuple[Json, Drift | None]:
        """Return what was last known of an object that Stripe does not know, as canceled."""
        ours = (await self._ours([subscription_id])).get(subscription_id)
        assert ours is not None, "Stripe listed it a moment ago, or it is ours"
        row = ours.row
        payload = await self._book.database.fetchval(
            _SQL["newest_snapshot"](subscription_id=subscription_id)
        )
        known = orjson.loads(payload)["data"]["object"] if payload else {}
        thing = {
            "id": subscription_id,
            "object": "subscription",
            "customer": row["customer_id"],
            "livemode": self._book.livemode,
            **known,
            "status": "canceled",
        }
        if row["state"] == "canceled":
            return thing, None
        sure = self._one.counts.recognized > 0
        doubt = "Stripe lists none that a webhook told of: is the key another account's?"
        told = (Difference("subscription", row["state"], "unknown to Stripe"),)
        return thing, Drift(subscription_id, told, None if sure else doubt)

    async def _mend(self, drift: Drift, event: Json) -> None:
        what = "; ".join(map(str, drift.differences))
        quoted_id = f'"{drift.subscription_id}"'
        queued = await self._book.database.fetchval(_SQL["queued"](quoted_id=quoted_id))
        if event["livemode"] != self._book.livemode:
            mode = "live" if event["livemode"] else "test"
            found = Outcome.UNMENDED, f"a {mode} subscription does not touch this book"
        elif drift.forbidden is not None:
            found = Outcome.UNMENDED, drift.forbidden
        elif queued is not None:
            found = Outcome.WAITING, f"{queued} is queued in the inbox"
        else:
            found = await self._receive(event, drift.subscription_id)
        self._find(drift.subscription_id, what, *found)

    async def _receive(
        self, event: Json, subscription_id: str | None = None
    ) -> tuple[Outcome, str]:
        """Store and apply the event; a dry run rolls it back and keeps the verdict and
        its reason.
        """
        if not self._one.dry_run:
            return await self._take_in(event, subscription_id)
        async with self._book.database.rehearsal():
            outcome, note = await self._take_in(event, subscription_id)
        return Outcome.FOUND if outcome is Outcome.MENDED else outcome, note

    async def _take_in(self, event: Json, subscription_id: str | None) -> tuple[Outcome, str]:
        database = self._book.database
        # Each run finds what nothing mended again, by the same event: it is stored once.
        if not await database.fetchval(_SQL["received"](event_id=event["id"])):
            await store.fetched(database, self._one, event["id"])
            try:
                await receive(self._book, orjson.dumps(event), livemode=self._book.livemode)
            except PayloadRefusedError as error:
                return Outcome.UNMENDED, error.detail
        row = await database.fetchrow(_SQL["verdict"](event_id=event["id"]))
        assert row is not None
        note = f"{row['verdict']}: {row['verdict_reason']}"
        outcome = {
            Verdict.PARKED: Outcome.UNMENDED,
            Verdict.REFUSED: Outcome.UNMENDED,
            Verdict.QUEUED: Outcome.WAITING,
        }.get(Verdict(row["verdict"]), Outcome.MENDED)
        if outcome is Outcome.MENDED and subscription_id is not None:
            ours = (await self._ours([subscription_id])).get(subscription_id)
            outcome = Outcome.UNMENDED if self._drift_of(ours, event) else outcome
        return outcome, note

    async def _ours(self, subscription_ids: Sequence[str]) -> dict[str, Ours]:
        rows = await self._book.database.fetch(
            _SQL["subscriptions"](subscription_ids=list(subscription_ids))
        )
        return {
            row["id"]: Ours(row=row, named=row["named"], collection_paused=row["collection_paused"])
            for row in rows
        }

    def _find(self, thing: str, what: str, outcome: Outcome, note: str) -> None:
        counts = self._one.counts
        counts.mended += outcome is Outcome.MENDED
        counts.waiting += outcome is Outcome.WAITING
        counts.unmended += outcome in (Outcome.UNMENDED, Outcome.FOUND)
        self._tell(Finding(thing, what, outcome, note))

    async def _save(self) -> None:
        self._watch()
        await store.save(self._book.database, self._one)

    def _late(self) -> bool:
        return time.monotonic() >= self._ends_at
