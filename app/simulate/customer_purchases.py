"""The subscriptions and packs of a customer.

Each act tells the expectation, and makes the events that Stripe sends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from app.simulate.expectation import ExpectedAccount
from app.simulate.fake_purchase import PACK_KEY, FakePurchase
from app.simulate.fake_subscription import FakeSubscription
from app.simulate.price_list import Offer, PackOffer
from app.simulate.steps import Step
from app.simulate.stripe_objects import JsonObject, Price

if TYPE_CHECKING:
    from app.simulate.customer_story import Customer

UNKNOWN: Final = Price(
    id="price_of_no_catalogue", product="prod_unknown", name="Unknown", cents=9_00
)


def extra_price(number: int) -> Price:
    """Return a price of no catalogue, for an item beside the one that counts."""
    name = f"Seat {number}"
    return Price(id=f"price_seat_{number}", product="prod_seat", name=name, cents=1_00)


Change = Callable[[datetime], list[JsonObject]]
Expect = Callable[[ExpectedAccount, datetime, str], None]
ChangeOf = Callable[[FakeSubscription, datetime], list[JsonObject]]


def _act(
    what: str,
    change: ChangeOf,
    expect: Expect | None = None,
) -> Callable[[Subscribed], Step]:
    """Make an act: its words, the change on Stripe's side, and what it means to the account."""

    def act(self: Subscribed) -> Step:
        return self.does(what, partial(change, self.stripe), expect)

    return act


def _activating(what: str, change: ChangeOf) -> Callable[[Subscribed], Step]:
    """Make an act after which the subscription gives its tier."""

    def act(self: Subscribed) -> Step:
        return self.activates(what, partial(change, self.stripe))

    return act


class Subscribed:
    """One subscription of a customer; each act happens now, is told, and makes a step."""

    def __init__(
        self, customer: Customer, stripe: FakeSubscription, tier: str, account_id: str
    ) -> None:
        self.stripe = stripe
        self._customer = customer
        self._account_id = account_id
        self._tier: str | None = tier

    subscribes = _activating("subscribes and pays", FakeSubscription.subscribe)
    begins = _act("signs up, the bank asks first", FakeSubscription.begin, ExpectedAccount.begin)
    confirms = _activating("confirms", FakeSubscription.confirm)
    lapses = _act("never confirmed", FakeSubscription.lapse, ExpectedAccount.cancel)
    pays = _activating("pays", FakeSubscription.pay)
    pays_in_vain = _act("pays in vain", FakeSubscription.pay)
    pays_overdue = _act(
        "pays an older invoice, which decides nothing", FakeSubscription.pay_overdue
    )
    fails = _act("cannot pay", FakeSubscription.fail_payment, ExpectedAccount.fail)
    is_given_up = _act("is left unpaid", FakeSubscription.give_up, ExpectedAccount.stop)
    pauses = _act("pauses", FakeSubscription.pause, ExpectedAccount.stop)
    resumes = _activating("resumes", FakeSubscription.resume)
    pauses_collection = _act(
        "pauses its payments", FakeSubscription.pause_collection, ExpectedAccount.pause_collection
    )
    resumes_collection = _act(
        "pays again", FakeSubscription.resume_collection, ExpectedAccount.resume_collection
    )
    declines_again = _act("still cannot pay for it", FakeSubscription.decline_proposal)
    forgets_proposal = _act("forgets the change", FakeSubscription.forget_proposal)
    asks_to_cancel = _act("cancels at the period's end", FakeSubscription.schedule_end)
    loses_customer = _act("is deleted", FakeSubscription.delete_customer, ExpectedAccount.cancel)

    def begins_trial(self, days: int) -> Step:
        """Begin with a trial."""

        def expect(account: ExpectedAccount, at: datetime, subscription: str) -> None:
            assert self._tier is not None, "it gives a tier"
            account.begin_trial(at, subscription, self._tier)

        length = timedelta(days=days)
        return self.does("tries it", lambda at: self.stripe.begin_trial(at, length), expect)

    def ends_trial(self) -> Step:
        """Reach the trial's last instant; it is to be paid from now on."""
        self.reaches_period_end()
        return self.activates("ends the trial", self.stripe.end_trial)

    def renews(self) -> Step:
        """Begin the next period, which is not yet paid."""
        self.reaches_period_end()
        return self.does("renews", self.stripe.renew)

    def changes_to(self, offer: Offer) -> Step:
        """Change to another of the catalogue's prices, at once."""
        change = partial(self.stripe.change_price, price=offer.price)
        return self.activates(f"changes to {offer.tier}", change, offer.tier)

    def changes_to_unknown(self) -> Step:
        """Change to a price that no catalogue has: the tier stays as it was."""
        change = partial(self.stripe.change_price, price=UNKNOWN)
        return self.activates("changes to an unknown price", change)

    def has_items(self, what: str, items: Sequence[tuple[Price, int]], tier: str | None) -> Step:
        """Have these prices with their quantities, which give the tier."""
        return self.activates(what, partial(self.stripe.change_items, items=items), tier)

    def tries_to_change_to(self, offer: Offer) -> Step:
        """Ask for a price that the card does not pay for: it stays as it is."""
        propose = partial(self.stripe.propose_price, price=offer.price)
        return self.does(f"cannot pay for {offer.tier}", propose)

    def plans_its_end(self, days: int) -> Step:
        """Plan its end in so many days."""
        ends_at = self._customer.reach() + timedelta(days=days)
        self._customer.expected(self._account_id).schedule_end(self.stripe.id, ends_at)
        return self.does("plans its end", partial(self.stripe.schedule_end, ends_at=ends_at))

    def ends(self, reason: str = "cancellation_requested") -> Step:
        """End, now."""
        delete = partial(self.stripe.delete, reason=reason)
        return self.does("is canceled", delete, ExpectedAccount.cancel)

    def completes_session(self, what: str, *, more_cents: int = 0, **fields: object) -> Step:
        """Tell of the Checkout session by which it began."""
        return self.does(what, lambda _: [self.stripe.complete_session(more_cents, **fields)])

    def buys_beside(self, offer: PackOffer) -> Step:
        """Buy a pack in the Checkout session by which it began."""
        told = self.completes_session(
            f"buys {offer.pack.name} with it",
            metadata={PACK_KEY: offer.pack.name},
            more_cents=offer.price.cents,
        )
        self._customer.expected(self._account_id).buy(offer.pack.credits)
        return told

    def notes(self, value: str) -> Step:
        """Have a note written on it; nothing changes."""
        note = partial(self.stripe.set_metadata, key="team", value=value)
        return self.does("gets a note", note)

    def reaches_period_end(self) -> None:
        """Let time pass until the running period is over."""
        self._customer.now = self.stripe.running.ends_at

    def reaches_grace_end(self) -> None:
        """Let as much time pass as the tier's grace lasts."""
        assert self._tier is not None, "it gives a tier"
        self._customer.now += self._customer.setting.prices.rules[self._tier].grace

    def was_known(self) -> None:
        """Begin where nobody listened."""
        self.stripe.be_known()
        account = self._customer.expected(self._account_id)
        account.activate(self._customer.now, self.stripe.id, self._tier)

    def activates(self, what: str, change: Change, tier: str | None = "") -> Step:
        """Do something after which it gives its tier, or another, or none at all (None)."""
        self._customer.reach()
        self._tier = self._tier if tier == "" else tier

        def expect(account: ExpectedAccount, at: datetime, subscription: str) -> None:
            account.activate(at, subscription, self._tier)

        return self.does(what, change, expect)

    def does(
        self,
        what: str,
        change: Change,
        expect: Expect | None = None,
    ) -> Step:
        """Do something now; without ``expect`` it changes neither state nor tier."""
        at = self._customer.reach()
        events = change(at)
        if expect is not None:
            expect(self._customer.expected(self._account_id), at, self.stripe.id)
        return self._customer.step(what, events)


class Bought:
    """One credit pack of a customer; how much of it is owed follows the money."""

    def __init__(self, customer: Customer, stripe: FakePurchase, offer: PackOffer) -> None:
        self.stripe = stripe
        self._customer = customer
        self._pack = offer.pack
        self._owed = 0
        self._refunded_cents = 0

    def is_bought(self) -> Step:
        """Pay for it through Checkout."""
        return self._do(f"buys {self._pack.name}", lambda _: self.stripe.pay(), 0)

    def is_authorized(self) -> Step:
        """Have it paid once the money is captured; until then nothing is bought."""
        events = self.stripe.authorize()
        return self._customer.step(f"authorizes {self._pack.name}", events)

    def is_captured(self) -> Step:
        """Have the money captured."""
        return self._do(f"pays for {self._pack.name}", self.stripe.capture, 0)

    def is_refunded(self, share: float) -> Step:
        """Give so much of the price back."""
        self._customer.reach()
        cents = int(self.stripe.cents * share)
        self._refunded_cents += cents
        refund = partial(self.stripe.refund, cents=cents)
        return self._do(f"is given back {share:.0%}", refund, self._refunded_cents)

    def is_disputed(self) -> Step:
        """Have the bank take it all back, for now."""
        return self._do("disputes the payment", self.stripe.dispute, self.stripe.cents)

    def is_lost(self) -> Step:
        """Have the bank keep it."""
        return self._do("wins the dispute", self.stripe.lose, self.stripe.cents)

    def is_won(self) -> Step:
        """Have the bank give it back."""
        return self._do("loses the dispute", self.stripe.win, self._refunded_cents)

    def _do(self, what: str, change: Change, back_cents: int) -> Step:
        """``back_cents`` of the payment are back with the customer, or held by the bank."""
        events = change(self._customer.reach())
        credits = self._pack.credits * self.stripe.quantity
        back = min(back_cents, self.stripe.cents)
        owed = credits - credits * back // self.stripe.cents
        self._customer.expected().buy(owed - self._owed)
        self._owed = owed
        return self._customer.step(what, events)
