"""Reconcile with Stripe: take in what it could not deliver, mend what differs, by one door."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import orjson

from app.book import Book
from app.errors import PayloadRefusedError, StripeRefusedError
from app.infrastructure.db import Record
from app.reconcile import missing_payments, store
from app.reconcile.drift import Difference, Drift, drift_of, snapshot
from app.reconcile.store import Finding, Outcome, Part, Reconciliation
from app.webhooks.inbox import Verdict
from app.webhooks.receive import receive

if TYPE_CHECKING:
    from app.stripe_client import Page, StripeApi

EVENT_DAYS_MAX: Final = 30  # Stripe keeps events no longer
SAVED_EVERY: Final = 20  # events between two saves
BATCH_SIZE: Final = 100
NOT_COMPARED: Final = "Stripe's subscriptions cannot be compared"
# Stripe takes no group such as customer.subscription.* where several types are wanted.
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

Json = dict[str, Any]


Tell = Callable[[Finding], None]


class Reconciler:
    """Goes on with one reconciliation until it is done or the time is up.

    Everything is safe to repeat: events come once by their id, and what is mended differs no
    more. Raises StripeUnavailableError where Stripe is away; what was done then stays.
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
        self._watch = watch  # called whenever it has come on
        self._ends_at = time.monotonic() + within_s

    async def run(self) -> bool:
        """Whether it is done."""
        steps = {
            Part.EVENTS: self._take_events,
            Part.MONEY: self._compare_money,
            Part.LISTED: self._compare_listed,
            Part.UNLISTED: self._ask_for_unlisted,
        }
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
            one.notes.append(f"Stripe's undelivered events cannot be listed: {refusal.detail}")
        one.go_on(Part.MONEY)
        return True

    async def _take_event(self, event: Json) -> None:
        held = "SELECT true FROM events WHERE id = $1"
        if await self._book.database.fetchval(held, event["id"]):
            return
        self._one.counts.events_taken += 1
        if self._one.dry_run:
            self._find(event["id"], str(event.get("type")), Outcome.FOUND, "not delivered")
            return
        self._find(event["id"], str(event.get("type")), *await self._receive(event))
        if self._one.counts.events_taken % SAVED_EVERY == 0:
            await self._save()

    async def _compare_money(self) -> bool:
        one, book = self._one, self._book
        resumed_at = one.reached
        _, catalogue = await book.catalogues.present(book.database)
        try:
            async for page in missing_payments.compare(
                book.database,
                self._stripe,
                catalogue,
                one.since,
                resumed_at,
                livemode=book.livemode,
            ):
                for lost in page.lost:
                    found = (Outcome.FOUND, "") if one.dry_run else await self._receive(lost.event)
                    self._find(lost.thing, lost.what, *found)
                one.reached, one.counts.payments = page.reached, one.counts.payments + page.count
                if page.cut:
                    one.notes.append(f"Of {page.cut} only the newest were compared.")
                await self._save()
                if self._late():
                    return False
        except StripeRefusedError as refusal:
            if one.begins_anew(resumed_at):
                return True
            one.notes.append(f"Stripe's payments cannot be compared: {refusal.detail}")
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
            if one.begins_anew(resumed_at):
                return True
            one.notes.append(f"{NOT_COMPARED}: {refusal.detail}")
            one.go_on(Part.DONE)
            return True
        one.go_on(Part.UNLISTED)
        return True

    async def _compare(self, page: Page) -> bool:
        """Compare a page; False where the time was up before its end."""
        ids = [str(thing.get("id")) for thing in page.items]
        rows = await self._book.database.fetch(
            "SELECT * FROM subscriptions WHERE id = ANY($1::text[])", ids
        )
        ours = {row["id"]: row for row in rows}
        for thing in reversed(page.items):  # oldest first
            event = snapshot(thing, page.asked_at, self._book.livemode)
            if drift_of(ours.get(thing["id"]), event, self._one.since) is not None:
                await self._look_closer(thing["id"], page.asked_at)
                if self._late():
                    return False
        await store.sight(self._book.database, self._one, ids)
        self._one.counts.recognized += await store.recognized(self._book.database, ids)
        self._one.counts.compared += len(ids)
        return True

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
            one.notes.append(f"Stripe cannot be asked for what it does not list: {refusal.detail}")
        one.go_on(Part.DONE)
        return True

    async def _look_closer(self, subscription_id: str, asked_at: datetime) -> None:
        """Ask for the one that seems to differ, and mend it.

        Its snapshot is dated by the answer before this one: a change that is made while Stripe
        answers is never older than what we then say, and its own event outranks ours.
        """
        thing = await self._ask(subscription_id)
        if thing is None:
            thing, drift = await self._gone(subscription_id)
            event = snapshot(thing, asked_at, self._book.livemode)
        else:
            event = snapshot(thing, asked_at, self._book.livemode)
            drift = drift_of(await self._row(subscription_id), event, self._one.since)
        if drift is not None:
            await self._mend(drift, event)

    async def _ask(self, subscription_id: str) -> Json | None:
        try:
            return (await self._stripe.retrieve(f"/v1/subscriptions/{subscription_id}")).body
        except StripeRefusedError as refusal:
            if refusal.missing:
                return None
            raise

    async def _gone(self, subscription_id: str) -> tuple[Json, Drift | None]:
        """The last we knew of what Stripe does not know, as canceled."""
        row = await self._row(subscription_id)
        assert row is not None, "Stripe listed it a moment ago, or it is ours"
        payload = await self._book.database.fetchval(
            """SELECT payload FROM events WHERE id = (
                   SELECT event_id FROM facts WHERE subscription_id = $1
                      AND body->>'kind' IN ('created', 'updated', 'deleted')
                    ORDER BY occurred_at DESC, event_id DESC LIMIT 1)""",
            subscription_id,
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
        queued = await self._queued(drift.subscription_id)
        if event["livemode"] != self._book.livemode:
            mode = "live" if event["livemode"] else "test"
            found = Outcome.UNMENDED, f"a {mode} subscription does not touch this book"
        elif drift.forbidden is not None:
            found = Outcome.UNMENDED, drift.forbidden
        elif queued is not None:
            found = Outcome.WAITING, f"{queued} is queued in the inbox"
        elif self._one.dry_run:
            found = Outcome.FOUND, ""
        else:
            found = await self._receive(event)
            row = await self._row(drift.subscription_id)
            if found[0] is Outcome.MENDED and drift_of(row, event, self._one.since) is not None:
                found = Outcome.UNMENDED, found[1]
        self._find(drift.subscription_id, what, *found)

    async def _receive(self, event: Json) -> tuple[Outcome, str]:
        book = self._book
        await store.fetched(book.database, self._one, event["id"])
        try:
            received = await receive(book, orjson.dumps(event), livemode=book.livemode)
        except PayloadRefusedError as error:
            return Outcome.UNMENDED, error.detail
        row = await book.database.fetchrow(
            "SELECT verdict, verdict_reason FROM events WHERE id = $1", received.event_id
        )
        assert row is not None
        outcome = {
            Verdict.PARKED: Outcome.UNMENDED,
            Verdict.REFUSED: Outcome.UNMENDED,
            Verdict.QUEUED: Outcome.WAITING,
        }.get(Verdict(row["verdict"]), Outcome.MENDED)
        return outcome, f"{row['verdict']}: {row['verdict_reason']}"

    async def _row(self, subscription_id: str) -> Record | None:
        return await self._book.database.fetchrow(
            "SELECT * FROM subscriptions WHERE id = $1", subscription_id
        )

    async def _queued(self, subscription_id: str) -> str | None:
        """An event that tells of it and waits for its next try; few wait at any time."""
        return await self._book.database.fetchval(  # type: ignore[no-any-return]
            """SELECT id FROM events WHERE verdict = 'queued'
                  AND position(convert_to($1, 'UTF8') IN payload) > 0 LIMIT 1""",
            f'"{subscription_id}"',
        )

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
