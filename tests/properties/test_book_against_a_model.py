"""The real use cases, in any order, against a few integers that follow the design's rules.

Stripe makes changes, each in a second of its own (ties are the order tests' matter); deliveries
come late, twice, out of order or never; the clock moves with its ticks or without; accounts are
put, joined, spent from and moved to other zones. After each step the book's account must be what
the model says, and in the end the ledger must verify.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import asyncpg
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from app.accounts.put import put
from app.accounts.view import AccountView, view
from app.book import Book
from app.errors import AccountUnknownError, InsufficientCreditsError
from app.infrastructure import clock
from app.infrastructure.db import Database
from app.jobs.tick import advance_clock
from app.ledger.idempotency import request_key
from app.runs.run import run_due
from app.spending.spend import SpendOrder, spend
from app.webhooks.receive import receive
from tests.conftest import NOW, TEMPLATE, VARIABLE, on_database
from tests.invariants import differences
from tests.stripe_events import make_invoice_event, make_subscription_event

T = TypeVar("T")

CREDITS = {"FREE": 5, "PRO": 20, "ENTERPRISE": 50}
PRICES = {"price_pro_monthly": "PRO", "price_enterprise_monthly": "ENTERPRISE"}
GRACE = timedelta(days=7)
DAY = timedelta(days=1)
# Of fixed offset, so that the model needs no calendar: hours east of UTC.
ZONES = {"UTC": 0, "Etc/GMT-14": 14, "Etc/GMT+11": -11, "Etc/GMT-9": 9}
EPOCH = datetime(2020, 1, 1, tzinfo=UTC)


# The model


@dataclass
class ModelSubscription:
    """A subscription as Stripe has it, and which of its events the book has heard."""

    name: str
    status: str = ""
    price: str = "price_pro_monthly"
    log: list[tuple[str, str, str, datetime, dict[str, Any]]] = field(default_factory=list)
    heard: set[int] = field(default_factory=set)

    def tier_at(self, now: datetime) -> str:
        """What it gives at this instant."""
        tier, grace_ends_at = self.gives()
        return tier if grace_ends_at is None or now < grace_ends_at else "FREE"

    def gives(self) -> tuple[str, datetime | None]:
        """A tier, and until when if it is in grace; by what was heard, in Stripe's order."""
        status, tier, active_tier, failing = "incomplete", "", "", None
        for number in sorted(self.heard):
            kind, told, price, at, _ = self.log[number]
            if kind == "payment_failed":
                status = "past_due" if status == "active" else status
            elif kind == "paid":
                status = "active" if status == "past_due" else status
            else:
                status, tier = told, PRICES[price]
            if status == "canceled":
                return "FREE", None
            if status == "active":
                active_tier, failing = tier, None
            elif status == "past_due" and failing is None:
                failing = at
        if status == "active":
            return tier, None
        if status == "past_due" and active_tier and failing:
            return min(tier, active_tier, key=CREDITS.__getitem__), failing + GRACE
        return "FREE", None


@dataclass
class ModelAccount:
    """A running day, what was used of it, and (end, amount) of what was used of other days.

    ``past`` are the days that it had, ``brought`` are those of the account that was joined to it.
    """

    zone: str
    on: int
    starts_at: datetime
    ends_at: datetime
    used: int = 0
    past: list[tuple[datetime, int]] = field(default_factory=list)
    brought: list[tuple[datetime, int]] = field(default_factory=list)

    @classmethod
    def opened(cls, zone: str, now: datetime) -> ModelAccount:
        on = date_of(zone, now)
        return cls(zone, on, start_of(zone, on), start_of(zone, on + 1))

    @property
    def counted(self) -> int:
        """What counts in the running day: what was brought of days that outlast its start too."""
        return self.used + sum(used for end, used in self.brought if end > self.starts_at)

    def roll(self, now: datetime) -> None:
        """Open the day that runs now."""
        if now >= self.ends_at:
            self.past.append((self.ends_at, self.used))
            self.on, self.used = date_of(self.zone, now), 0
            self.starts_at = start_of(self.zone, self.on)
            self.ends_at = start_of(self.zone, self.on + 1)

    def join(self, other: ModelAccount) -> None:
        """Bring what was used of the other's days along."""
        self.brought += [*other.past, (other.ends_at, other.used)]

    def change_zone(self, zone: str, now: datetime) -> None:
        """The running day lasts until the first start of a later date in the new zone."""
        self.roll(now)
        if zone != self.zone:
            on = max(self.on + 1, date_of(zone, now))
            while start_of(zone, on) < now:
                on += 1
            self.zone, self.ends_at = zone, start_of(zone, on)


def date_of(zone: str, now: datetime) -> int:
    return (now + timedelta(hours=ZONES[zone]) - EPOCH) // DAY


def start_of(zone: str, on: int) -> datetime:
    return EPOCH + on * DAY - timedelta(hours=ZONES[zone])


# The book


class OpenBook:
    """A migrated database of its own, and a loop to work on it."""

    def __init__(self) -> None:
        self.urls: dict[str, str] = json.loads(os.environ[VARIABLE])
        self.name = f"test_{secrets.token_hex(8)}"
        self.runner = asyncio.Runner()
        self.run(
            self._superuser(
                f"CREATE DATABASE {self.name} TEMPLATE {TEMPLATE} OWNER tallybook_owner"
            )
        )
        self.database = Database(on_database(self.urls["application"], self.name), 4)
        self.run(self.database.open())
        self.book = Book(self.database)
        self.run(clock.stand(self.database, NOW))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def close(self) -> None:
        self.run(self.database.close())
        self.run(self._superuser(f"DROP DATABASE {self.name} WITH (FORCE)"))
        self.runner.close()

    async def _superuser(self, statement: str) -> None:
        connection = await asyncpg.connect(self.urls["superuser"])
        await connection.execute(statement)
        await connection.close()


class BookMachine(RuleBasedStateMachine):
    """One customer, cus_1, with two subscriptions; one application's user, user-1."""

    def __init__(self) -> None:
        super().__init__()
        self.open = OpenBook()
        self.now = NOW
        self.stripes_second = NOW
        self.subscriptions = [ModelSubscription("sub_1"), ModelSubscription("sub_2")]
        self.customer: ModelAccount | None = None  # cus_1's account, opened by an event
        self.user: ModelAccount | None = None  # user-1's, opened by a PUT
        self.joined = False
        self.spends = 0

    def teardown(self) -> None:
        try:
            assert self.open.run(differences(self.open.database)) == []
        finally:
            self.open.close()

    # Stripe

    @initialize(user_first=st.booleans(), spent=st.integers(0, 5))
    def a_first_subscription(self, user_first: bool, spent: int) -> None:
        if user_first:
            self._put(None, tie=False)
            self._spend("user-1", spent)
        self._change(self.subscriptions[0], "created", "active", "price_pro_monthly")
        self._deliver(self.subscriptions[0], 0)
        self._spend("cus_1", 3 * spent)

    @rule(
        which=st.integers(0, 1),
        act=st.sampled_from(["active", "past_due", "past_due", "unpaid", "canceled"]),
        price=st.sampled_from(sorted(PRICES)),
        heard=st.sampled_from([True, True, False]),
    )
    def stripe_changes_it(self, which: int, act: str, price: str, heard: bool) -> None:
        one = self.subscriptions[which]
        if one.status != "canceled":
            kind = "deleted" if act == "canceled" else "updated" if one.log else "created"
            self._change(one, kind, act, price)
            if heard:
                self._deliver(one, len(one.log) - 1)

    @precondition(lambda self: self.subscriptions[0].status != "canceled")
    @rule(paid=st.booleans(), heard=st.booleans())
    def an_invoice_is_due(self, paid: bool, heard: bool) -> None:
        one = self.subscriptions[0]
        self._change(one, "paid" if paid else "payment_failed", one.status, one.price)
        if heard:
            self._deliver(one, len(one.log) - 1)

    @rule(which=st.integers(0, 1), back=st.integers(0, 9))
    def stripe_delivers_something_again_or_late(self, which: int, back: int) -> None:
        one = self.subscriptions[which]
        if one.log:
            self._deliver(one, max(0, len(one.log) - 1 - back))

    def _change(self, one: ModelSubscription, kind: str, status: str, price: str) -> None:
        self.stripes_second = max(self.stripes_second + timedelta(seconds=1), self.now)
        at = self.stripes_second.replace(microsecond=0)
        event_id = f"evt_{one.name}_{len(one.log):03}"
        if kind in ("paid", "payment_failed"):
            event = make_invoice_event(event_id, kind, at, subscription=one.name)
        else:
            event = make_subscription_event(
                event_id, kind, at, status=status, price=price, subscription=one.name
            )
            one.status, one.price = status, price
        one.log.append((kind, status, price, at, event))

    def _deliver(self, one: ModelSubscription, number: int) -> None:
        payload = json.dumps(one.log[number][4]).encode()
        verdict = self.open.run(receive(self.open.book, payload, livemode=False)).outcome
        assert (verdict == "duplicate") == (number in one.heard)
        assert verdict in ("applied", "stale", "duplicate")
        one.heard.add(number)
        if self.customer is None:
            self.customer = self.user if self.joined else ModelAccount.opened("UTC", self.now)

    # The application

    @rule(zone=st.sampled_from([None, *ZONES]), tie=st.booleans())
    def the_application_puts_its_user(self, zone: str | None, tie: bool) -> None:
        self._put(zone, tie=tie)

    def _put(self, zone: str | None, *, tie: bool) -> None:
        customer_id = "cus_1" if tie else None
        _, new = self.open.run(put(self.open.book, "user-1", customer_id, zone, "test"))
        assert new == (self.user is None)
        if self.user is None and tie and self.customer is not None:
            self.user = self.customer  # named, history and all
        elif self.user is None:
            self.user = ModelAccount.opened(zone or "UTC", self.now)
        self.user.roll(self.now)
        if tie and not self.joined:
            if self.customer is not None and self.customer is not self.user:
                self.customer.roll(self.now)
                self.user.join(self.customer)
            self.customer, self.joined = self.user, True
        if zone is not None:
            self.user.change_zone(zone, self.now)

    @rule(
        name=st.sampled_from(["cus_1", "user-1"]),
        part=st.sampled_from([1, 2, 4, 4]),
        more=st.sampled_from([0, 0, 0, 1]),
    )
    def the_application_spends(self, name: str, part: int, more: int) -> None:
        """A part in four of what is available, and a little more."""
        account = self.customer if name == "cus_1" else self.user
        available = 0 if account is None else self._available(account)
        self._spend(name, available * part // 4 + more)

    def _spend(self, name: str, amount: int) -> None:
        if amount == 0:
            return
        account = self.customer if name == "cus_1" else self.user
        self.spends += 1
        order = SpendOrder(
            account_id=name,
            amount=amount,
            actor="test",
            key=request_key(f"key-{self.spends}", "POST", name, amount),
        )
        (first,) = self.open.run(spend(self.open.book, [order]))
        if account is None:
            assert isinstance(first, AccountUnknownError)
            return
        available = self._available(account)
        if amount > available:
            assert isinstance(first, InsufficientCreditsError)
            assert first.facts["available"] == available
            return
        account.used += amount
        (again,) = self.open.run(spend(self.open.book, [order]))
        assert again.available == first.available == available - amount
        assert again.journal_id == first.journal_id

    # Time

    @rule(hours=st.sampled_from([1, 5, 12, 24, 60]), ticks=st.booleans())
    def time_passes(self, hours: int, ticks: bool) -> None:
        self._move(self.now + timedelta(hours=hours, minutes=7), ticks)

    @rule(
        which=st.sampled_from(["midnight", "grace", "grace"]),
        ticks=st.booleans(),
        late=st.booleans(),
    )
    def the_instant_comes_at_which_something_is_due(
        self, which: str, ticks: bool, late: bool
    ) -> None:
        instants = [account.ends_at for account in (self.user, self.customer) if account]
        if which == "grace":
            graces = [one.gives()[1] for one in self.subscriptions]
            instants = [ends_at for ends_at in graces if ends_at] or instants
        ahead = [instant for instant in instants if instant > self.now]
        if ahead:
            self._move(min(ahead) + timedelta(hours=late), ticks)

    def _move(self, to: datetime, ticks: bool) -> None:
        self.now = to
        database = self.open.database
        move = advance_clock(self.open.book, to) if ticks else clock.stand(database, to)
        assert self.open.run(move) == to

    @rule()
    def both_crons_run_at_once(self) -> None:
        async def twice() -> None:
            book = self.open.book
            await asyncio.gather(
                *(run_due(book.database, book.catalogues, "cron", 5) for _ in range(2))
            )

        self.open.run(twice())

    # What must hold

    @precondition(lambda self: self.customer is not None)
    @invariant()
    def the_customers_account_is_what_the_model_says(self) -> None:
        assert self.customer is not None
        self._compare(self.customer, "cus_1")

    @precondition(lambda self: self.user is not None and self.user is not self.customer)
    @invariant()
    def the_users_account_is_what_the_model_says(self) -> None:
        assert self.user is not None
        self._compare(self.user, "user-1")

    def _compare(self, account: ModelAccount, name: str) -> None:
        seen: AccountView = self.open.run(view(self.open.book, name))
        available = self._available(account)
        assert (seen.tier, seen.available) == (self._tier(account), available)
        assert seen.next_grant_at == account.ends_at
        assert seen.balance == seen.free == sum(lot.free for lot in seen.lots)

    def _tier(self, account: ModelAccount) -> str:
        if account is not self.customer:
            return "FREE"
        given = (one.tier_at(self.now) for one in self.subscriptions if one.heard)
        return max(given, key=CREDITS.__getitem__, default="FREE")

    def _available(self, account: ModelAccount) -> int:
        account.roll(self.now)
        return max(0, CREDITS[self._tier(account)] - account.counted)


BookMachine.TestCase.settings = settings(max_examples=20, stateful_step_count=25)
TestTheBookAgainstAModel = BookMachine.TestCase
