"""The plain life cycles of a subscription."""

from __future__ import annotations

from app.simulate.customer_story import Customer, Story
from app.simulate.scenarios.scenario import Need, scenario


@scenario()
def happy_renewal(c: Customer) -> Story:
    """Subscribes, renews after a month, pays, stays."""
    sub = c.subscription(c.low)
    yield sub.subscribes()
    yield sub.renews()
    c.wait(hours=1)
    yield sub.pays()


@scenario(Need.TWO_TIERS)
def upgrade(c: Customer) -> Story:
    """Changes to the best tier: the difference is there at once."""
    sub = c.subscription(c.low)
    yield sub.subscribes()
    c.wait(days=9)
    yield sub.changes_to(c.high)


@scenario(Need.TWO_TIERS)
def downgrade(c: Customer) -> Story:
    """Changes to the least tier: the day is trimmed at once."""
    sub = c.subscription(c.high)
    yield sub.subscribes()
    c.wait(days=9)
    yield sub.changes_to(c.low)


@scenario()
def cancel_now(c: Customer) -> Story:
    """Cancels at once, and is on FREE the same second."""
    sub = c.subscription(c.low)
    yield sub.subscribes()
    c.wait(days=11)
    yield sub.ends()


@scenario()
def cancel_at_period_end(c: Customer) -> Story:
    """Cancels, keeps the tier to the period's end, then FREE."""
    sub = c.subscription(c.low)
    yield sub.subscribes()
    c.wait(days=11)
    yield sub.asks_to_cancel()
    sub.reaches_period_end()
    yield sub.ends()


@scenario()
def recovers_in_grace(c: Customer) -> Story:
    """The renewal fails twice, is paid within grace; nothing is lost."""
    sub = c.subscription(c.low)
    yield sub.subscribes()
    yield sub.renews()
    c.wait(hours=1)
    yield sub.fails()
    c.wait(days=3)
    yield sub.fails()
    c.wait(days=2)
    yield sub.pays()


@scenario()
def dunning_to_cancel(c: Customer) -> Story:
    """The renewal fails until Stripe cancels; grace ends before that."""
    sub = c.subscription(c.low)
    yield sub.subscribes()
    yield sub.renews()
    c.wait(hours=1)
    for days in (3, 2, 9):
        yield sub.fails()
        c.wait(days=days)
    yield sub.ends("payment_failed")


@scenario()
def older_invoice_paid(c: Customer) -> Story:
    """Two renewals fail, the older is paid: it stays past due."""
    sub = c.subscription(c.low)
    yield sub.subscribes()
    for _ in range(2):
        yield sub.renews()
        c.wait(hours=1)
        yield sub.fails()
    c.wait(days=2)
    yield sub.pays_overdue()


@scenario()
def past_due(c: Customer) -> Story:
    """The renewal fails, nobody pays, the grace runs out."""
    sub = c.subscription(c.high)
    yield sub.subscribes()
    yield sub.renews()
    c.wait(hours=1)
    yield sub.fails()
    sub.reaches_grace_end()
    c.wait(hours=1)
    yield sub.notes("its grace is over")


@scenario()
def trial_converts(c: Customer) -> Story:
    """A trial of 14 days that is paid afterwards."""
    sub = c.subscription(c.low)
    yield sub.begins_trial(14)
    yield sub.ends_trial()
    c.wait(hours=1)
    yield sub.pays()


@scenario()
def trial_lapses(c: Customer) -> Story:
    """A trial of 7 days that nobody pays for."""
    sub = c.subscription(c.high)
    yield sub.begins_trial(7)
    sub.reaches_period_end()
    yield sub.ends()


@scenario()
def three_d_secure(c: Customer) -> Story:
    """Incomplete until the bank says yes, then active."""
    sub = c.subscription(c.low)
    yield sub.begins()
    c.wait(hours=2)
    yield sub.confirms()


@scenario()
def incomplete_expired(c: Customer) -> Story:
    """Incomplete, never confirmed, expired after 23 hours."""
    sub = c.subscription(c.low)
    yield sub.begins()
    c.wait(hours=23)
    yield sub.lapses()


@scenario()
def paused_and_resumed(c: Customer) -> Story:
    """Paused for ten days, which give nothing, then resumed."""
    sub = c.subscription(c.low)
    yield sub.subscribes()
    c.wait(days=6)
    yield sub.pauses()
    c.wait(days=10)
    yield sub.resumes()


@scenario()
def unpaid(c: Customer) -> Story:
    """Dunning ends in unpaid: no grace, nothing given."""
    sub = c.subscription(c.low)
    yield sub.subscribes()
    yield sub.renews()
    c.wait(hours=1)
    yield sub.fails()
    c.wait(days=5)
    yield sub.is_given_up()


@scenario(Need.TWO_TIERS)
def several_subscriptions(c: Customer) -> Story:
    """Two at once: the best counts; it ends, the other goes on."""
    sub = c.subscription(c.low)
    yield sub.subscribes()
    c.wait(days=4)
    other = c.subscription(c.high)
    yield other.subscribes()
    c.wait(days=8)
    yield other.ends()


@scenario()
def annual_price(c: Customer) -> Story:
    """Pays once a year and has each day's credits."""
    sub = c.subscription(c.yearly)
    yield sub.subscribes()
    c.wait(days=40)
    yield sub.notes("a month and more, and nothing was billed")


@scenario()
def unknown_price(c: Customer) -> Story:
    """Changes to a price of no catalogue: parked, the tier stays."""
    sub = c.subscription(c.low)
    yield sub.subscribes()
    c.wait(days=5)
    yield sub.changes_to_unknown()


@scenario()
def customer_deleted(c: Customer) -> Story:
    """Is deleted in Stripe, the subscription too."""
    sub = c.subscription(c.high)
    yield sub.subscribes()
    c.wait(days=8)
    yield sub.loses_customer()


@scenario()
def missed_events(c: Customer) -> Story:
    """Began unheard: the first event that comes tells enough."""
    sub = c.subscription(c.high)
    sub.was_known()
    c.wait(days=5)
    yield sub.notes("the first that is heard")


@scenario()
def random_walk(c: Customer) -> Story:
    """Anything may happen next, drawn from the seed."""
    sub = c.subscription(c.random.choice((c.low, c.high)))
    yield sub.subscribes()
    for _ in range(c.random.randint(1, 12)):
        c.wait(hours=c.random.randint(1, 240))
        match sub.stripe.status, c.random.random():
            case "active", chance if chance < 0.25:
                yield sub.changes_to(c.random.choice((c.low, c.high)))
            case "active", chance if chance < 0.35:
                yield sub.pauses()
            case "active", chance if chance < 0.6:
                yield sub.fails()
            case "past_due", chance if chance < 0.4:
                yield sub.fails()
            case "past_due", chance if chance < 0.5:
                yield sub.is_given_up()
            case "past_due" | "unpaid", chance if chance < 0.9:
                yield sub.pays()
            case "paused", chance if chance < 0.8:
                yield sub.resumes()
            case _, chance if chance > 0.95:
                yield sub.ends()
                return
            case _:
                yield sub.notes(f"{c.now:%j}")
