"""Scenarios about the owner of a purchase: metadata, several customers, several accounts."""

from __future__ import annotations

from dataclasses import replace

from app.simulate.customer_story import Customer, Story
from app.simulate.scenarios.scenario import Need, scenario


@scenario()
def session_names_the_user(c: Customer) -> Story:
    """The application names its user in the Checkout session's metadata alone."""
    names_user = c.is_user()
    sub = c.subscription(c.low)
    subscribed = sub.subscribes()
    told = sub.completes_session("is named by the session", metadata=names_user)
    c.expected().show(c.customer_id)
    yield replace(subscribed, acts=subscribed.acts + told.acts)


@scenario()
def several_customers(c: Customer) -> Story:
    """The application made a customer, and Checkout another, which pays: that one is shown."""
    names_user = c.is_user()
    created = c.is_created(names_user)
    c.expected().show(c.customer_id)
    yield created
    c.wait(days=1)
    sub = c.subscription(c.low, metadata=names_user, another_customer=True)
    subscribed = sub.subscribes()
    c.expected().show(sub.stripe.customer_id)
    yield subscribed


@scenario(Need.TWO_TIERS)
def one_payer_two_accounts(c: Customer) -> Story:
    """One customer pays for two accounts, each named by its own subscription."""
    first = c.subscription(c.low, metadata=c.is_user())
    subscribed = first.subscribes()
    c.expected().show(c.customer_id)
    yield subscribed
    c.wait(days=3)
    other = c.user(2)
    second = c.subscription(c.high, metadata=c.names(other), account_id=other)
    subscribed = second.subscribes()
    c.expected(other).show(None)
    yield subscribed
    c.wait(days=5)
    yield first.ends()


@scenario()
def customer_deleted_buys_again(c: Customer) -> Story:
    """Is deleted in Stripe, and subscribes again as another customer."""
    names_user = c.is_user()
    first = c.subscription(c.low, metadata=names_user)
    yield first.subscribes()
    c.wait(days=4)
    gone = first.loses_customer()
    c.expected().show(None)
    yield gone
    c.wait(days=2)
    again = c.subscription(c.low, metadata=names_user, another_customer=True)
    subscribed = again.subscribes()
    c.expected().show(again.stripe.customer_id)
    yield subscribed


@scenario()
def another_products_customer(c: Customer) -> Story:
    """Somebody else buys another product of the same Stripe account: nothing here changes."""
    sub = c.subscription(c.low, metadata=c.is_user())
    subscribed = sub.subscribes()
    c.expected().show(c.customer_id)
    yield subscribed
    c.wait(days=2)
    # Another product's key and ids: a user of theirs, whose id is one of ours by chance.
    stranger = c.stranger({"user_id": c.account_id})
    yield c.step("is not who buys another product", stranger.subscribe(c.now))
    c.wait(days=6)
    yield c.step("is not who ends it", stranger.delete(c.now, "cancellation_requested"))


@scenario(Need.CLOCK)
def closed_owner_returns(c: Customer) -> Story:
    """The account is closed, and is open again once its owner subscribes."""
    first = c.subscription(c.low)
    yield first.subscribes()
    c.wait(days=3)
    yield first.ends()
    c.wait(days=1)
    yield c.is_closed()
    c.wait(days=10)
    again = c.subscription(c.low)
    subscribed = again.subscribes()
    c.expected().reopen(c.now)
    yield subscribed
