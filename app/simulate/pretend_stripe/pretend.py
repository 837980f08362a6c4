"""A pretend Stripe with its file: it does what the pages ask, and tells the book of it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
import msgspec

from app.errors import ConfigurationError
from app.simulate import address as addresses
from app.simulate.address import Address
from app.simulate.book_client import BookClient, PlayError, connected
from app.simulate.fake_purchase import FakePurchase
from app.simulate.fake_subscription import FakeSubscription
from app.simulate.pretend_stripe import pages
from app.simulate.pretend_stripe.account import RefusedError, StripeAccount, price_of
from app.simulate.price_list import PriceList
from app.simulate.steps import delivery
from app.simulate.stripe_objects import JsonObject

PATIENCE_S: Final = 0.0  # an event that does not arrive is sent again with the next
SHOWN_DELIVERIES_MAX: Final = 12

Change = Callable[[FakeSubscription], list[JsonObject]]
T = TypeVar("T")


@dataclass
class PretendStripe:
    """One Stripe account with its file, and the book that its events go to.

    The book is looked for at each delivery: it may start later, since its settings name us.
    """

    account: StripeAccount
    prices: PriceList
    base: str
    book: Address
    file: Path | None = None
    transport: httpx.AsyncBaseTransport | None = None  # another way to the book than the network
    deliveries: deque[tuple[str, str]] = field(
        default_factory=lambda: deque(maxlen=SHOWN_DELIVERIES_MAX)
    )
    said: str = ""
    _delivering: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def now(self) -> datetime:
        """Return the book's now if it can be set, so that no event is of its future; else ours."""
        now = datetime.now(UTC)
        with suppress(PlayError, ConfigurationError):
            async with self._client() as client:
                if client.book.keys.operator:
                    now = await client.settable_now() or now
        return now.replace(microsecond=0)

    async def deliver(self) -> None:
        """Send what has not arrived, the oldest first; the rest waits where the book is away."""
        async with self._delivering:
            waiting = self.account.undelivered()
            try:
                async with self._client() as client:
                    for event in waiting:
                        verdict = await client.deliver(delivery(event.body))
                        event.delivered = True
                        self.deliveries.append((str(event.body["type"]), verdict))
            except (PlayError, ConfigurationError) as error:
                self.deliveries.append(("not delivered, and sent again with the next", str(error)))
            self.save()

    def save(self) -> None:
        """Write the account's file."""
        if self.file is not None:
            new = self.file.with_suffix(".new")
            new.write_bytes(msgspec.json.encode(self.account))
            new.replace(self.file)

    def _client(self) -> AbstractAsyncContextManager[BookClient]:
        target = addresses.find(self.book)
        return connected(
            target.book,
            patience_s=PATIENCE_S,
            transport=self.transport,
            webhook_url=target.webhook_url,
        )

    async def act(self, path: Sequence[str], params: Mapping[str, Any]) -> str:
        """Do what a page's button says; return the address to go to."""
        at = await self.now()
        count = len(self.account.events)
        match path:
            case ["checkout", session_id, what]:
                to = self._check_out(session_id, what, at)
            case ["portal", portal_id, subscription_id, what, *more]:
                self.account.find("billing_portal.session", portal_id)
                self.account.change(subscription_id, self._change(what, more, at))
                to = f"/portal/{portal_id}"
            case ["charges", charge_id, what] if charge_id in self.account.purchases:
                one = self.account.purchases[charge_id]
                self.account.take(_one_of(_acts_of(one, at), what)())
                to = "/"
            case ["deliver"]:
                to = "/"
            case _:
                raise RefusedError(404, f"There is no page {'/'.join(path)}.")
        if "keep_back" in params:
            self.account.keep_back(count)
        await self.deliver()
        return to

    def _check_out(self, session_id: str, what: str, at: datetime) -> str:
        session = self.account.still_open(session_id)
        here = f"/checkout/{session_id}"
        match what:
            case "pay":
                paid = self.account.pay_session(at, session_id, self.prices)
                to = str(paid["success_url"]).replace("{CHECKOUT_SESSION_ID}", session_id)
            case "decline":
                self.account.decline_session(at, session_id)
                self.said, to = "The card was declined.", here
            case _:
                to = str(session.get("cancel_url") or here)
        return to

    def _change(self, what: str, more: Sequence[str], at: datetime) -> Change:
        if what == "price":
            price, _ = price_of(self.prices, "/".join(more))
            return lambda one: one.change_price(at, price)
        acts: dict[str, Change] = {
            "cancel": lambda one: one.delete(at, "cancellation_requested"),
            "cancel-later": lambda one: one.schedule_end(at),
            "fail": lambda one: one.fail_payment(at),
            "pay": lambda one: one.pay(at),
        }
        return _one_of(acts, what)

    def page(self, path: Sequence[str]) -> str:
        """Return the page at this path."""
        account = self.account
        match path:
            case ["checkout", session_id]:
                title, parts = (
                    "Checkout",
                    pages.checkout(account.find("checkout.session", session_id)),
                )
            case ["portal", portal_id]:
                session = account.find("billing_portal.session", portal_id)
                running = account.running(session["customer"])
                title, parts = "Your subscriptions", pages.portal(session, running, self.prices)
            case []:
                title, parts = "A pretend Stripe", pages.overview(account)
            case _:
                raise RefusedError(404, f"There is no page {'/'.join(path)}.")
        said, self.said = self.said, ""
        return pages.page(title, *parts, said=said, deliveries=self.deliveries)


def _acts_of(one: FakePurchase, at: datetime) -> dict[str, Callable[[], list[JsonObject]]]:
    """Return what can happen to a purchase now."""
    left = one.cents - one.refunded_cents
    acts: dict[str, Callable[[], list[JsonObject]]] = {}
    if left:
        acts["refund"] = lambda: one.refund(at, left)
    if one.disputed_at is None:
        return acts | {"dispute": lambda: one.dispute(at)}
    return acts | {"win": lambda: one.win(at), "lose": lambda: one.lose(at)}


def _one_of(acts: Mapping[str, T], name: str) -> T:
    if name not in acts:
        raise RefusedError(404, f"There is no such act: {name}.")
    return acts[name]
