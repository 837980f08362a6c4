"""Scenarios of what Stripe says in parts, late, or in fields of their own."""

from __future__ import annotations

from app.simulate.customer_purchases import extra_price
from app.simulate.customer_story import Customer, Story
from app.simulate.scenarios.scenario import Need, scenario


@scenario()
def more_than_ten_items(c: Customer) -> Story:
    """Grows past the ten items that an event holds: the tier stays, and the end is an end."""
    sub = c.subscription(c.low)
    yield sub.subscribes()
    c.wait(days=3)
    items = [(c.low.price, 1), *((extra_price(number), 1) for number in range(1, 12))]
    yield sub.has_items("has twelve items", items, c.low.tier)
    c.wait(days=5)
    yield sub.ends()


@scenario(Need.TWO_TIERS)
def items_of_quantity_zero(c: Customer) -> Story:
    """Keeps items of quantity 0: they give nothing, the others count."""
    sub = c.subscription(c.low)
    yield sub.subscribes()
    c.wait(days=2)
    low, high = c.low.price, c.high.price
    yield sub.has_items("keeps the better price at 0", [(low, 1), (high, 0)], c.low.tier)
    c.wait(days=4)
    yield sub.has_items("has nothing above 0", [(low, 0), (high, 0)], None)


@scenario()
def parked_then_readable(c: Customer) -> Story:
    """Its events come in a shape that nobody reads, then in a readable one, as the same events."""
    sub = c.subscription(c.low)
    subscribed = sub.subscribes()
    yield c.garbled(subscribed)
    yield subscribed


@scenario()
def unpaid_older_invoice_paid(c: Customer) -> Story:
    """Unpaid in a new period, pays the old invoice: it stays unpaid until Stripe says otherwise."""
    sub = c.subscription(c.low)
    yield sub.subscribes()
    yield sub.renews()
    c.wait(hours=1)
    yield sub.fails()
    c.wait(days=5)
    yield sub.is_given_up()
    yield sub.renews()
    c.wait(days=2)
    yield sub.pays_overdue()


@scenario()
def paused_invoice_paid(c: Customer) -> Story:
    """Paused after a failed payment, pays that invoice: it stays paused until it is resumed."""
    sub = c.subscription(c.low)
    yield sub.subscribes()
    yield sub.renews()
    c.wait(hours=1)
    yield sub.fails()
    c.wait(days=1)
    yield sub.pauses()
    c.wait(days=2)
    yield sub.pays_in_vain()


@scenario(Need.TWO_TIERS)
def pending_update_declined(c: Customer) -> Story:
    """Asks for a better price, which the card does not pay for: all stays as it is."""
    sub = c.subscription(c.low)
    yield sub.subscribes()
    c.wait(days=5)
    yield sub.tries_to_change_to(c.high)
    c.wait(minutes=7)
    yield sub.declines_again()
    c.wait(hours=23)
    yield sub.forgets_proposal()


@scenario()
def ends_at_a_date(c: Customer) -> Story:
    """Plans its end at a date of its own: until then it keeps the tier."""
    sub = c.subscription(c.low)
    yield sub.subscribes()
    c.wait(days=4)
    yield sub.plans_its_end(days=60)
    c.wait(days=10)
    yield sub.notes("it still has the tier")


@scenario()
def collection_paused(c: Customer) -> Story:
    """Has the collection of its payments paused, which is no status: the tier decides."""
    sub = c.subscription(c.low)
    yield sub.subscribes()
    for _ in range(2):
        c.wait(days=5)
        yield sub.pauses_collection()
        c.wait(days=8)
        yield sub.resumes_collection()
    c.wait(days=1)
    yield sub.pauses_collection()
