"""The sample tape: six customers over 35 simulated days, from sign-up to cancellation.

Months have 28 to 31 days, so the days of renewals depend on the day on which the tape starts;
every story leaves room for both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from app.simulate.expectation import SHIPPED, ExpectedAccount, TierRules
from app.simulate.fake_subscription import FakeSubscription
from app.simulate.stripe_objects import ENTERPRISE_MONTHLY, PRO_MONTHLY, JsonObject, Price
from app.simulate.tape import Action, Customer, MoveClock, Put, Spend, Step, Tape, deliveries

TAPE_LENGTH: Final = timedelta(days=35, hours=18)
FIRST_NAME: Final = "ada"  # the tape's first step introduces her at the very start

_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_TOKYO: Final = timedelta(hours=9)  # no summer time: a fixed offset


def account_id(name: str, run: int | str) -> str:
    """``ada-1``: whoever plays the tape again on the same data meets other people."""
    return f"{name}-{run}"


def tape(run: int, starts_at: datetime) -> Tape:
    """The same for the same arguments, byte by byte."""
    lives = [story(_Life(run, starts_at)) for story in _CAST]
    ends_at = starts_at + TAPE_LENGTH
    last = Step(at=ends_at, story="The tape ends.", action=MoveClock())
    steps = sorted((step for life in lives for step in life.steps), key=lambda step: step.at)
    return Tape(
        starts_at=starts_at,
        ends_at=ends_at,
        steps=(*steps, last),
        customers=tuple(life.customer(ends_at) for life in lives),
    )


def events_alone(
    run: int | str, starts_at: datetime, tiers: Mapping[str, TierRules]
) -> list[Heard]:
    """The tape without the application: no account is introduced and nobody spends."""
    lives = [story(_Life(run, starts_at, tiers, acts=False)) for story in _CAST]
    return [
        Heard(life.customer_id, life.steps, life.expected)
        for life in lives
        if life.customer_id is not None
    ]


@dataclass(frozen=True)
class Heard:
    """A customer of whom only Stripe tells."""

    customer_id: str
    steps: Sequence[Step]
    expected: ExpectedAccount


class _Life:
    """One customer: what Stripe and the application do, and what must come of it."""

    def __init__(
        self, run: int | str, starts_at: datetime, tiers: Mapping[str, TierRules] = SHIPPED, *,
        acts: bool = True,
    ) -> None:  # fmt: skip
        self.steps: list[Step] = []
        self.customer_id: str | None = None
        self._run = run
        self._starts_at = starts_at
        self._tiers = tiers
        self._acts = acts
        self._expected: ExpectedAccount | None = None

    def begins(self, name: str, minute: int, story: str) -> None:
        """Who it is; everybody acts at a minute of the own."""
        self.account_id = account_id(name, self._run)
        self._name = name
        self._story = story
        self._starts_at += timedelta(minutes=minute)
        self._keys = self._numbered(f"demo-{self._run}-{name}-spend")

    @staticmethod
    def _numbered(prefix: str) -> Iterator[str]:
        number = 0
        while True:
            number += 1
            yield f"{prefix}-{number}"

    def at(self, day: int, hour: int = 0) -> datetime:
        return self._starts_at + timedelta(days=day, hours=hour)

    def subscription(self, price: Price, began_at: datetime) -> FakeSubscription:
        one = FakeSubscription(f"demo{self._run}", self._name, price, began_at)
        self.customer_id = one.customer_id
        return one

    @property
    def expected(self) -> ExpectedAccount:
        assert self._expected is not None, "the account is opened by put() or opens()"
        return self._expected

    def opens(self, at: datetime, utc_offset: timedelta = timedelta(0)) -> None:
        # Whom the application does not introduce has no zone but UTC.
        offset = utc_offset if self._acts else timedelta(0)
        self._expected = ExpectedAccount(at, offset, self._tiers)

    def joins(
        self, at: datetime, customer_id: str | None = None, zone: str = "UTC",
        utc_offset: timedelta = timedelta(0),
    ) -> None:  # fmt: skip
        """The application introduces somebody of whom nobody has heard."""
        self.opens(at, utc_offset)
        self.put(at, customer_id, zone)

    def put(self, at: datetime, customer_id: str | None = None, zone: str = "UTC") -> None:
        if not self._acts:
            return
        put = Put(account_id=self.account_id, customer_id=customer_id, time_zone=zone)
        self._step(at, f"{self._name} signs up", put)

    def spend(self, at: datetime, amount: int, reason: str) -> None:
        if not self._acts:
            return
        granted = self.expected.spend(at, amount)
        spend = Spend(
            account_id=self.account_id,
            amount=amount,
            key=next(self._keys),
            reason=reason,
            refused=not granted,
        )
        what = f"spends {amount}" if granted else f"asks for {amount}, more than there is"
        self._step(at, f"{self._name} {what}", spend)

    def has(self, tier: str, at: datetime, events: Sequence[JsonObject], what: str) -> None:
        """Events that say that this tier is paid for from then on."""
        self.expected.activate(at, tier)
        self.send(at, events, what)

    def renews(self, stripe: FakeSubscription) -> datetime:
        """The next period begins; when Stripe charges for it, an hour later."""
        self.send(stripe.period.ends_at, stripe.renew(), "renews")
        return stripe.period.starts_at + _HOUR

    def send(self, at: datetime, events: Sequence[JsonObject], what: str) -> None:
        self._step(at, f"{self._name} {what}", deliveries(events))

    def customer(self, ends_at: datetime) -> Customer:
        expected = self.expected.end(ends_at)
        return Customer(account_id=self.account_id, story=self._story, expected=expected)

    def _step(self, at: datetime, story: str, action: Action) -> None:
        self.steps.append(Step(at=at, story=story, action=action))


def _ada(life: _Life) -> _Life:
    life.begins("ada", 0, "FREE; asks once for too much")
    life.joins(life.at(0))
    life.spend(life.at(0, 9), 3, "summarize a page")
    life.spend(life.at(4, 9), 5, "translate a letter")
    life.spend(life.at(4, 10), 1, "translate another")
    life.spend(life.at(19, 9), 4, "summarize a report")
    life.spend(life.at(35, 9), 2, "summarize a page")
    return life


def _ben(life: _Life) -> _Life:
    life.begins("ben", 7, "PRO; renews, events come twice")
    stripe = life.subscription(PRO_MONTHLY, life.at(1, 9))
    life.joins(life.at(1, 8), stripe.customer_id)
    events = stripe.subscribe()
    life.has("PRO", life.at(1, 9), events, "subscribes to PRO")
    life.send(life.at(1, 10), events, "subscribed: Stripe delivers it all again")
    life.spend(life.at(2, 12), 12, "draw a logo")
    life.spend(life.at(10, 12), 20, "draw a poster")
    paid_at = life.renews(stripe)
    payment = stripe.pay(paid_at)
    life.send(paid_at, payment, "pays the renewal")
    life.send(paid_at + _HOUR, payment, "paid: Stripe delivers it again")
    life.spend(life.at(35, 12), 4, "draw an icon")
    return life


def _chiyo(life: _Life) -> _Life:
    life.begins("chiyo", 14, "Tokyo; PRO, then ENTERPRISE")
    stripe = life.subscription(PRO_MONTHLY, life.at(2, 2))
    life.joins(life.at(2, 1), stripe.customer_id, "Asia/Tokyo", _TOKYO)
    # Stripe promises no order: that it is active arrives before that it was created.
    backwards = stripe.subscribe()[::-1]
    life.has("PRO", life.at(2, 2), backwards, "subscribes; events arrive backwards")
    life.spend(life.at(9, 2), 18, "read a contract")
    upgrade = stripe.change_price(life.at(9, 3), ENTERPRISE_MONTHLY)
    life.has("ENTERPRISE", life.at(9, 3), upgrade, "upgrades to ENTERPRISE")
    life.spend(life.at(9, 4), 25, "read the appendix")
    life.spend(life.at(20, 4), 50, "read an archive")
    paid_at = life.renews(stripe)
    life.send(paid_at, stripe.pay(paid_at), "pays the renewal")
    life.spend(life.at(35, 4), 30, "read a contract")
    return life


def _dora(life: _Life) -> _Life:
    life.begins("dora", 21, "PRO; fails to pay, recovers")
    stripe = life.subscription(PRO_MONTHLY, life.at(1, 6))
    life.joins(life.at(1, 5), stripe.customer_id)
    life.has("PRO", life.at(1, 6), stripe.subscribe(), "subscribes to PRO")
    life.spend(life.at(12, 6), 9, "write a song")
    failed_at = life.renews(stripe)
    life.expected.fail(failed_at)
    life.send(failed_at, stripe.fail_payment(failed_at), "cannot pay")
    life.spend(failed_at + _DAY, 16, "write an album")  # more than FREE gives: grace holds
    recovered_at = failed_at + 2 * _DAY
    life.has("PRO", recovered_at, stripe.pay(recovered_at), "pays after all")
    life.spend(life.at(35, 11), 6, "write a chorus")
    return life


def _emil(life: _Life) -> _Life:
    life.begins("emil", 28, "PRO; never pays, grace runs out")
    # He subscribed before anybody listened; one snapshot is enough.
    stripe = life.subscription(PRO_MONTHLY, life.at(-20, 3))
    stripe.be_known()
    life.joins(life.at(1, 2), stripe.customer_id)
    told_at = life.at(1, 3)
    life.has("PRO", told_at, stripe.set_metadata(told_at, "team", "red"), "was PRO before")
    held_up = stripe.set_metadata(life.at(3, 3), "team", "blue")
    life.spend(life.at(5, 3), 11, "cut a film")
    failed_at = life.renews(stripe)
    for number, day in enumerate((0, 3, 5), start=1):
        at = failed_at + day * _DAY
        life.expected.fail(at)
        life.send(at, stripe.fail_payment(at), f"cannot pay ({number})")
    life.spend(failed_at + 7 * _DAY - _HOUR, 3, "cut a clip")
    life.spend(failed_at + 7 * _DAY + _HOUR, 2, "cut a clip")
    life.spend(failed_at + 7 * _DAY + 2 * _HOUR, 1, "cut a clip")
    canceled_at = failed_at + 14 * _DAY
    life.expected.cancel(canceled_at)
    life.send(canceled_at, stripe.delete(canceled_at), "is canceled by Stripe")
    life.send(canceled_at + _DAY, held_up, "was active: an old event arrives late")
    life.spend(life.at(35, 3), 1, "cut a trailer")
    return life


def _fay(life: _Life) -> _Life:
    life.begins("fay", 35, "ENTERPRISE; ends with its period")
    stripe = life.subscription(ENTERPRISE_MONTHLY, life.at(2, 15))
    # The application is an hour late: Stripe's events open the account under the customer's id.
    life.opens(life.at(2, 15))
    what = "subscribes before the application knows her"
    life.has("ENTERPRISE", life.at(2, 15), stripe.subscribe(), what)
    life.put(life.at(2, 16), stripe.customer_id)
    life.spend(life.at(3, 15), 45, "train a model")
    asked_at = life.at(12, 15)
    life.send(asked_at, stripe.cancel_at_period_end(asked_at), "cancels at the period's end")
    life.spend(life.at(13, 15), 50, "train another")
    ended_at = stripe.period.ends_at
    life.spend(ended_at - _HOUR, 20, "train a last one")
    life.expected.cancel(ended_at)
    life.send(ended_at, stripe.delete(ended_at), "falls back to FREE")
    life.spend(life.at(35, 15), 3, "ask a question")
    return life


_CAST: Final = (_ada, _ben, _chiyo, _dora, _emil, _fay)
