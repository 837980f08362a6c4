"""One customer's story: time that passes, and acts that each make a step of it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import orjson

from app.simulate import stripe_objects
from app.simulate.customer_jobs import Job
from app.simulate.customer_purchases import UNKNOWN, Bought, Subscribed
from app.simulate.expectation import ExpectedAccount
from app.simulate.fake_purchase import PACK_KEY, FakePurchase
from app.simulate.fake_subscription import FakeSubscription
from app.simulate.price_list import Offer, PriceList
from app.simulate.steps import Act, Close, Delivery, Put, Spend, Step, deliveries
from app.simulate.stripe_objects import DEFAULT, JsonObject, Price, Shape

ACCOUNT_KEY: Final = "tallybook_account_id"  # the metadata that names the application's user

Story = Iterator[Step | None]  # None: an act that nobody hears of


class EndOfTimesError(Exception):
    """The next act lies after the simulation's end."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """The world in which a customer lives.

    ``tag`` is in every id. ``with_application`` is whether an application introduces the
    customers and spends; without one, only Stripe is heard.
    """

    tag: str
    prices: PriceList
    starts_at: datetime
    days: int | None = None
    shape: Shape = DEFAULT
    with_application: bool = False

    @property
    def ends_at(self) -> datetime | None:
        """The instant after which nothing happens; None tells every story whole."""
        return None if self.days is None else self.starts_at + timedelta(days=self.days)


class Customer:
    """A person with a time that goes on, offers to choose from, and the accounts to expect.

    ``accounts`` has what each must come to; None says that there must be no such account.
    """

    def __init__(
        self,
        setting: Setting,
        name: str,
        starts_at: datetime,
        rng: random.Random,
        offers: tuple[Offer, Offer] | None = None,
    ) -> None:
        self.setting = setting
        self.name = name
        self.now = self._starts_at = starts_at
        self.random = rng
        self.low, self.high = offers or (setting.prices.low, setting.prices.high)
        self.yearly = setting.prices.yearly or self.low
        self.customer_id = f"cus_{setting.tag}_{name}"
        self.account_id = self.customer_id
        self.accounts: dict[str, ExpectedAccount | None] = {}
        self._things = 0
        self._spends = 0

    def wait(self, days: float = 0, hours: float = 0, minutes: float = 0) -> None:
        """Let so much time pass."""
        self.now += timedelta(days=days, hours=hours, minutes=minutes)

    def on(self, day: int, hour: int = 0) -> Customer:
        """Let time pass until this hour after the beginning."""
        self.now = self._starts_at + timedelta(days=day, hours=hour)
        return self

    def user(self, number: int = 1) -> str:
        """Return an id that the application gives its users, as Auth0 writes them."""
        return f"auth0|{self.setting.tag}.{self.name}+{number}"

    def names(self, account_id: str) -> dict[str, str]:
        """Return the metadata by which the application names an account."""
        return {ACCOUNT_KEY: account_id}

    def is_user(self) -> dict[str, str]:
        """Have the application's id for an account; return the metadata that names it."""
        self.account_id = self.user()
        return self.names(self.account_id)

    def expected(self, account_id: str | None = None) -> ExpectedAccount:
        """Return what an account must come to; it is opened now if it is not yet."""
        name = account_id or self.account_id
        one = self.accounts.get(name)
        if one is None:
            one = self.accounts[name] = ExpectedAccount(self.now, self.setting.prices.rules)
        return one

    def subscription(
        self,
        offer: Offer,
        *,
        metadata: dict[str, str] | None = None,
        account_id: str | None = None,
        another_customer: bool = False,
    ) -> Subscribed:
        """Begin a subscription now, of which nobody has heard yet; by the same Stripe customer."""
        customer = self.customer_id if self._things and not another_customer else ""
        stripe = self._fake(offer.price, customer, dict(metadata or {}))
        return Subscribed(self, stripe, offer.tier, account_id or self.account_id)

    def stranger(self, metadata: dict[str, str]) -> FakeSubscription:
        """Return what another product sold to another customer; no account may come of it."""
        stripe = self._fake(UNKNOWN, "", dict(metadata))
        self.accounts[stripe.customer_id] = None
        return stripe

    def pack(self, **more: object) -> Bought:
        """Buy a credit pack now, of which nobody has heard yet."""
        offer = self.random.choice(self.setting.prices.packs)
        stripe = FakePurchase(
            prefix=self.setting.tag,
            name=self._next_name(),
            price=offer.price,
            paid_at=self.now,
            customer_id=self.customer_id,
            metadata={PACK_KEY: offer.pack.name},
            shape=self.setting.shape,
            **more,  # type: ignore[arg-type]
        )
        return Bought(self, stripe, offer)

    def is_created(self, metadata: dict[str, str]) -> Step:
        """Become a Stripe customer who buys nothing yet."""
        name = self._next_name()
        about = stripe_objects.customer(self.customer_id, name, self.now, dict(metadata))
        number = f"evt_{self.setting.tag}_{name}_001"
        return self.step("is created", [self._event(number, "customer.created", about)])

    def signs_up(
        self, zone: str = "UTC", utc_offset: timedelta = timedelta(0), *, pays: bool = True
    ) -> Step | None:
        """Be introduced by the application, with a Stripe customer if the person pays."""
        if not self.setting.with_application:
            return None
        if self.account_id not in self.accounts:
            opened = ExpectedAccount(self.now, self.setting.prices.rules, utc_offset)
            self.accounts[self.account_id] = opened
        customer_id = self.customer_id if pays else None
        put = Put(account_id=self.account_id, customer_id=customer_id, time_zone=zone)
        return self.acts("signs up", put)

    def spends(self, amount: int, reason: str) -> Step | None:
        """Spend credits, or ask for more than there are."""
        if not self.setting.with_application:
            return None
        granted = self.expected().spend(self.now, amount) is not None
        self._spends += 1
        spend = Spend(
            account_id=self.account_id,
            amount=amount,
            key=f"{self.setting.tag}-{self.name}-spend-{self._spends}",
            reason=reason,
            refused=not granted,
        )
        what = f"spends {amount}" if granted else f"asks for {amount}, more than there is"
        return self.acts(what, spend)

    def job(self) -> Job:
        """Begin a job of the account, which nobody has paid for yet."""
        self._spends += 1
        return Job(self, f"{self.setting.tag}-{self.name}-job-{self._spends}")

    def is_closed(self) -> Step:
        """Have an operator close the account."""
        self.reach()
        self.expected().close(self.now)
        return self.acts("is closed", Close(account_id=self.account_id))

    def repeat(self, step: Step, what: str) -> Step:
        """Have a step's acts happen again, or late."""
        return replace(step, at=self.now, story=f"{self.name} {what}")

    def garbled(self, step: Step) -> Step:
        """Have the step's events of a subscription come in a shape that nobody reads."""
        acts = (act for act in step.acts if isinstance(act, Delivery))
        unread = (_unreadable(act) for act in acts if act.type.startswith("customer.subscription"))
        return replace(step, acts=tuple(unread))

    def reach(self) -> datetime:
        """Return now; raise EndOfTimesError after the simulation's end."""
        if self.setting.ends_at is not None and self.now > self.setting.ends_at:
            raise EndOfTimesError
        return self.now

    def step(self, what: str, events: Sequence[JsonObject]) -> Step:
        """Have Stripe send these events now."""
        self.reach()
        return self.acts(what, *deliveries(events))

    def acts(self, what: str, *acts: Act) -> Step:
        """Make a step of what happens now."""
        return Step(at=self.now, story=f"{self.name} {what}", acts=acts)

    def _event(self, event_id: str, kind: str, about: JsonObject) -> JsonObject:
        data: JsonObject = {"object": about}
        return stripe_objects.event(event_id, kind, self.now, data, self.setting.shape)

    def _fake(self, price: Price, customer_id: str, metadata: JsonObject) -> FakeSubscription:
        setting = self.setting
        return FakeSubscription(
            setting.tag, self._next_name(), price, self.now, customer_id, metadata, setting.shape
        )

    def _next_name(self) -> str:
        self._things += 1
        return self.name if self._things == 1 else f"{self.name}_{self._things}"


def _unreadable(delivery: Delivery) -> Delivery:
    event = orjson.loads(delivery.payload)
    event["data"]["object"]["items"] = {"object": "list", "data": "elsewhere"}
    return replace(delivery, payload=orjson.dumps(event))
