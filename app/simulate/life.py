"""One customer's life: tells the expectation what happens, and makes the events that say so."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial

from app.simulate.expectation import ExpectedAccount
from app.simulate.fake_purchase import FakePurchase
from app.simulate.fake_subscription import FakeSubscription
from app.simulate.stripe_objects import JsonObject, Price
from app.simulate.tape import Step, deliveries
from app.simulate.wares import PackWare, Ware, Wares

Move = Callable[[datetime], list[JsonObject]]
Tell = Callable[[datetime, str], None]
Story = Iterator[Step]


class EndOfTimesError(Exception):
    """The next act lies after the simulation's end."""


class Life:
    """A customer: an instant that goes on, wares to choose from, and what must come of it.

    ``ends_at`` cuts the story; None tells it whole.
    """

    def __init__(
        self, tag: str, name: str, starts_at: datetime, wares: Wares, rng: random.Random, *,
        ends_at: datetime | None = None, free_choice: bool = False,
    ) -> None:  # fmt: skip
        self.tag = tag
        self.name = name
        self.now = starts_at
        self.random = rng
        self.wares = wares
        self.low, self.high = _pair(wares, rng) if free_choice else (wares.low, wares.high)
        self.yearly = wares.yearly or wares.low
        self.customer_id = f"cus_{tag}_{name}"
        self.expected = ExpectedAccount(starts_at, tiers=wares.rules)
        self._ends_at = ends_at
        self._subscriptions = 0

    def wait(self, days: float = 0, hours: float = 0) -> None:
        """Let so much time pass."""
        self.now += timedelta(days=days, hours=hours)

    def subscription(self, ware: Ware) -> Subscribed:
        """A subscription that begins now; not yet told."""
        self._subscriptions += 1
        return Subscribed(self, ware, self._subscriptions)

    def pack(self) -> Bought:
        """A credit pack that is bought now; not yet told."""
        return Bought(self, self.random.choice(self.wares.packs))

    def reach(self) -> None:
        """Raise where the simulation ends before now."""
        if self._ends_at is not None and self.now > self._ends_at:
            raise EndOfTimesError

    def step(self, what: str, events: Sequence[JsonObject]) -> Step:
        """What Stripe sends now."""
        return Step(at=self.now, story=f"{self.name} {what}", action=deliveries(events))


class Subscribed:
    """One subscription of a life; each act happens now, is told, and makes a step."""

    def __init__(self, life: Life, ware: Ware, number: int) -> None:
        self._life = life
        self._ware = ware
        name = life.name if number == 1 else f"{life.name}_{number}"
        customer = None if number == 1 else life.customer_id
        self.stripe = FakeSubscription(life.tag, name, ware.price, life.now, customer_id=customer)

    def subscribes(self) -> Step:
        """Signs up and pays at once."""
        return self._do("subscribes", lambda _: self.stripe.subscribe(), self._active)

    def begins(self) -> Step:
        """Signs up; the bank asks first."""
        return self._do(
            "signs up, the bank asks first", lambda _: self.stripe.begin(), self._expected.begin
        )

    def confirms(self) -> Step:
        """The bank has said yes."""
        return self._do("confirms", self.stripe.confirm, self._active)

    def lapses(self) -> Step:
        """The bank was never answered."""
        return self._do("never confirmed", self.stripe.lapse, self._expected.cancel)

    def begins_trial(self, days: int) -> Step:
        """A trial."""
        move = partial(self.stripe.begin_trial, timedelta(days=days))
        return self._do("tries it", lambda _: move(), self._trial)

    def ends_trial(self) -> Step:
        """The trial's last instant; it is to be paid from now on."""
        self.reaches_period_end()
        return self._do("ends the trial", lambda _: self.stripe.end_trial(), self._active)

    def renews(self) -> Step:
        """The next period begins; it is not yet paid."""
        self.reaches_period_end()
        return self._do("renews", lambda _: self.stripe.renew(), _nothing)

    def pays(self) -> Step:
        """The open invoice is paid."""
        return self._do("pays", self.stripe.pay, self._active)

    def pays_overdue(self) -> Step:
        """What failed before the running period is paid; the latest invoice is not."""
        return self._do("pays an older invoice", self.stripe.pay_overdue, _nothing)

    def fails(self) -> Step:
        """The card is declined."""
        return self._do("cannot pay", self.stripe.fail_payment, self._expected.fail)

    def is_given_up(self) -> Step:
        """Left unpaid."""
        return self._do("is left unpaid", self.stripe.give_up, self._expected.stop)

    def pauses(self) -> Step:
        """Paused: nothing is billed, nothing is given."""
        return self._do("pauses", self.stripe.pause, self._expected.stop)

    def resumes(self) -> Step:
        """Goes on."""
        return self._do("resumes", self.stripe.resume, self._active)

    def changes_to(self, ware: Ware) -> Step:
        """Another of the catalogue's prices, at once."""
        self._life.reach()
        self._ware = ware
        move = partial(self._change, ware.price)
        return self._do(f"changes to {ware.tier}", move, self._active)

    def changes_to_unknown(self, price: Price) -> Step:
        """A price that no catalogue has: the tier stays as it was."""
        return self._do("changes to an unknown price", partial(self._change, price), self._active)

    def upgrades(self) -> Step:
        """To the best that the customer may choose."""
        return self.changes_to(self._life.high)

    def downgrades(self) -> Step:
        """To the least."""
        return self.changes_to(self._life.low)

    def asks_to_cancel(self) -> Step:
        """It is to end with its period."""
        return self._do("cancels at the period's end", self.stripe.cancel_at_period_end, _nothing)

    def ends(self, reason: str = "cancellation_requested") -> Step:
        """Gone, now."""
        move = partial(self.stripe.delete, reason=reason)
        return self._do("is canceled", move, self._expected.cancel)

    def loses_customer(self) -> Step:
        """The customer is deleted, and all with it."""
        return self._do("is deleted", self.stripe.delete_customer, self._expected.cancel)

    def notes(self, value: str) -> Step:
        """Somebody writes a note on it; nothing changes."""
        move = partial(self._note, value)
        return self._do("gets a note", move, _nothing)

    def reaches_period_end(self) -> None:
        """Time passes until the running period is over."""
        self._life.now = self.stripe.period.ends_at

    def reaches_grace_end(self) -> None:
        """As much time passes as the tier's grace lasts."""
        self._life.wait(days=self._life.wares.rules[self._ware.tier].grace.days)

    def was_known(self) -> None:
        """It began where nobody listened."""
        self.stripe.be_known()
        self._active(self._life.now, self.stripe.id)

    def _do(self, what: str, move: Move, tell: Tell) -> Step:
        self._life.reach()
        events = move(self._life.now)
        tell(self._life.now, self.stripe.id)
        return self._life.step(what, events)

    @property
    def _expected(self) -> ExpectedAccount:
        return self._life.expected

    def _active(self, at: datetime, subscription: str) -> None:
        self._expected.activate(at, self._ware.tier, subscription)

    def _trial(self, at: datetime, subscription: str) -> None:
        self._expected.begin_trial(at, self._ware.tier, subscription)

    def _change(self, price: Price, at: datetime) -> list[JsonObject]:
        return self.stripe.change_price(at, price)

    def _note(self, value: str, at: datetime) -> list[JsonObject]:
        return self.stripe.set_metadata(at, "team", value)


class Bought:
    """One credit pack of a life; what of it is owed follows the money."""

    def __init__(self, life: Life, ware: PackWare) -> None:
        self._life = life
        self._pack = ware.pack
        self.stripe = FakePurchase(
            life.tag, life.name, ware.price, ware.pack.name, life.customer_id, life.now
        )
        self._owed = 0
        self._refunded_cents = 0

    def is_bought(self) -> Step:
        """Paid through Checkout."""
        return self._do(f"buys {self._pack.name}", lambda _: self.stripe.pay(), 0)

    def is_refunded(self, share: float) -> Step:
        """So much of the price goes back."""
        cents = int(self.stripe.cents * share)
        self._life.reach()
        self._refunded_cents += cents
        return self._do(
            f"is given back {share:.0%}", lambda at: self.stripe.refund(at, cents),
            self._refunded_cents,
        )  # fmt: skip

    def is_disputed(self) -> Step:
        """The bank takes it all back, for now."""
        return self._do("disputes the payment", self.stripe.dispute, self.stripe.cents)

    def is_lost(self) -> Step:
        """The bank keeps it."""
        return self._do("wins the dispute", self.stripe.lose, self.stripe.cents)

    def is_won(self) -> Step:
        """The bank gives it back."""
        return self._do("loses the dispute", self.stripe.win, self._refunded_cents)

    def _do(self, what: str, move: Move, back_cents: int) -> Step:
        """``back_cents`` of what was paid is back with the customer, or held by the bank."""
        self._life.reach()
        events = move(self._life.now)
        back = min(back_cents, self.stripe.cents)
        owed = self._pack.credits - self._pack.credits * back // self.stripe.cents
        self._life.expected.buy(owed - self._owed)
        self._owed = owed
        return self._life.step(what, events)


def _nothing(_at: datetime, _subscription: str) -> None:
    """Nothing changes by it."""


def _pair(wares: Wares, rng: random.Random) -> tuple[Ware, Ware]:
    """Any price, and one that gives more where there is one."""
    low = rng.choice(wares.subscriptions)
    better = [one for one in wares.subscriptions if one.daily_credits > low.daily_credits]
    if better:
        return low, rng.choice(better)
    less = [one for one in wares.subscriptions if one.daily_credits < low.daily_credits]
    return (rng.choice(less), low) if less else (low, low)
