"""The life cycles that the simulator knows by name, each told from the customer's sign-up on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from app.simulate.life import Life, Story
from app.simulate.stripe_objects import Price
from app.simulate.wares import Wares

UNKNOWN: Final = Price(
    id="price_of_no_catalogue", product="prod_unknown", name="Unknown", cents=9_00
)


@dataclass(frozen=True)
class LifeCycle:
    """A story with its name and one sentence; ``fits`` says what a catalogue must sell."""

    name: str
    sentence: str
    tell: Callable[[Life], Story]
    fits: Callable[[Wares], bool] = lambda _: True
    needs: str = ""  # what is lacking where it does not fit


def _happy_renewal(life: Life) -> Story:
    one = life.subscription(life.low)
    yield one.subscribes()
    yield one.renews()
    life.wait(hours=1)
    yield one.pays()


def _upgrade(life: Life) -> Story:
    one = life.subscription(life.low)
    yield one.subscribes()
    life.wait(days=9)
    yield one.changes_to(life.high)


def _downgrade(life: Life) -> Story:
    one = life.subscription(life.high)
    yield one.subscribes()
    life.wait(days=9)
    yield one.changes_to(life.low)


def _cancel_now(life: Life) -> Story:
    one = life.subscription(life.low)
    yield one.subscribes()
    life.wait(days=11)
    yield one.ends()


def _cancel_at_period_end(life: Life) -> Story:
    one = life.subscription(life.low)
    yield one.subscribes()
    life.wait(days=11)
    yield one.asks_to_cancel()
    life.now = one.stripe.period.ends_at
    yield one.ends()


def _recovers_in_grace(life: Life) -> Story:
    one = life.subscription(life.low)
    yield one.subscribes()
    yield one.renews()
    life.wait(hours=1)
    yield one.fails()
    life.wait(days=3)
    yield one.fails()
    life.wait(days=2)
    yield one.pays()


def _dunning_to_cancel(life: Life) -> Story:
    one = life.subscription(life.low)
    yield one.subscribes()
    yield one.renews()
    life.wait(hours=1)
    for days in (3, 2, 9):
        yield one.fails()
        life.wait(days=days)
    yield one.ends("payment_failed")


def _past_due_past_grace(life: Life) -> Story:
    one = life.subscription(life.high)
    yield one.subscribes()
    yield one.renews()
    life.wait(hours=1)
    yield one.fails()
    life.wait(days=life.wares.rules[life.high.tier].grace.days, hours=1)
    yield one.notes("its grace is over")


def _trial_converts(life: Life) -> Story:
    one = life.subscription(life.low)
    yield one.begins_trial(14)
    yield one.ends_trial()
    life.wait(hours=1)
    yield one.pays()


def _trial_lapses(life: Life) -> Story:
    one = life.subscription(life.high)
    yield one.begins_trial(7)
    life.now = one.stripe.period.ends_at
    yield one.ends()


def _three_d_secure(life: Life) -> Story:
    one = life.subscription(life.low)
    yield one.begins()
    life.wait(hours=2)
    yield one.confirms()


def _incomplete_expired(life: Life) -> Story:
    one = life.subscription(life.low)
    yield one.begins()
    life.wait(hours=23)
    yield one.lapses()


def _paused_and_resumed(life: Life) -> Story:
    one = life.subscription(life.low)
    yield one.subscribes()
    life.wait(days=6)
    yield one.pauses()
    life.wait(days=10)
    yield one.resumes()


def _unpaid(life: Life) -> Story:
    one = life.subscription(life.low)
    yield one.subscribes()
    yield one.renews()
    life.wait(hours=1)
    yield one.fails()
    life.wait(days=5)
    yield one.is_given_up()


def _several_subscriptions(life: Life) -> Story:
    one = life.subscription(life.low)
    yield one.subscribes()
    life.wait(days=4)
    other = life.subscription(life.high)
    yield other.subscribes()
    life.wait(days=8)
    yield other.ends()


def _annual_price(life: Life) -> Story:
    one = life.subscription(life.yearly)
    yield one.subscribes()
    life.wait(days=40)
    yield one.notes("a month and more, and nothing was billed")


def _unknown_price(life: Life) -> Story:
    one = life.subscription(life.low)
    yield one.subscribes()
    life.wait(days=5)
    yield one.changes_to_unknown(UNKNOWN)


def _customer_deleted(life: Life) -> Story:
    one = life.subscription(life.high)
    yield one.subscribes()
    life.wait(days=8)
    yield one.loses_customer()


def _missed_events(life: Life) -> Story:
    one = life.subscription(life.high)
    one.was_known()
    life.wait(days=5)
    yield one.notes("the first that is heard")


def _random_walk(life: Life) -> Story:
    """Whatever may happen next, drawn from the seed."""
    one = life.subscription(life.random.choice((life.low, life.high)))
    yield one.subscribes()
    for _ in range(life.random.randint(1, 12)):
        life.wait(hours=life.random.randint(1, 240))
        match one.stripe.status, life.random.random():
            case "active", chance if chance < 0.25:
                yield one.changes_to(life.random.choice((life.low, life.high)))
            case "active", chance if chance < 0.35:
                yield one.pauses()
            case "active", chance if chance < 0.6:
                yield one.fails()
            case "past_due", chance if chance < 0.4:
                yield one.fails()
            case "past_due", chance if chance < 0.5:
                yield one.is_given_up()
            case "past_due" | "unpaid", chance if chance < 0.9:
                yield one.pays()
            case "paused", chance if chance < 0.8:
                yield one.resumes()
            case _, chance if chance > 0.95:
                yield one.ends()
                return
            case _:
                yield one.notes(f"{life.now:%j}")


def _two_tiers(wares: Wares) -> bool:
    return wares.has_two_tiers


_TWO: Final = "tiers of different daily credits"

SUBSCRIPTIONS: Final = (
    LifeCycle("happy_renewal", "Subscribes, renews after a month, pays, stays.", _happy_renewal),
    LifeCycle(
        "upgrade", "Changes to the best tier: the difference is there at once.", _upgrade,
        _two_tiers, _TWO,
    ),
    LifeCycle(
        "downgrade", "Changes to the least tier: the day is trimmed at once.", _downgrade,
        _two_tiers, _TWO,
    ),
    LifeCycle("cancel_now", "Cancels at once, and is on FREE the same second.", _cancel_now),
    LifeCycle(
        "cancel_at_period_end", "Cancels, keeps the tier to the period's end, then FREE.",
        _cancel_at_period_end,
    ),
    LifeCycle(
        "recovers_in_grace", "The renewal fails twice, is paid within grace; nothing is lost.",
        _recovers_in_grace,
    ),
    LifeCycle(
        "dunning_to_cancel", "The renewal fails until Stripe cancels; grace ends before that.",
        _dunning_to_cancel,
    ),
    LifeCycle(
        "past_due", "The renewal fails, nobody pays, the grace runs out.",
        _past_due_past_grace,
    ),
    LifeCycle("trial_converts", "A trial of 14 days that is paid afterwards.", _trial_converts),
    LifeCycle("trial_lapses", "A trial of 7 days that nobody pays for.", _trial_lapses),
    LifeCycle(
        "three_d_secure", "Incomplete until the bank says yes, then active.", _three_d_secure
    ),
    LifeCycle(
        "incomplete_expired", "Incomplete, never confirmed, expired after 23 hours.",
        _incomplete_expired,
    ),
    LifeCycle(
        "paused_and_resumed", "Paused for ten days, which give nothing, then resumed.",
        _paused_and_resumed,
    ),
    LifeCycle("unpaid", "Dunning ends in unpaid: no grace, nothing given.", _unpaid),
    LifeCycle(
        "several_subscriptions", "Two at once: the best counts; it ends, the other goes on.",
        _several_subscriptions, _two_tiers, _TWO,
    ),
    LifeCycle("annual_price", "Pays once a year and has each day's credits.", _annual_price),
    LifeCycle(
        "unknown_price", "Changes to a price of no catalogue: parked, the tier stays.",
        _unknown_price,
    ),
    LifeCycle("customer_deleted", "Is deleted in Stripe, the subscription too.", _customer_deleted),
    LifeCycle(
        "missed_events", "Began unheard: the first event that comes tells enough.", _missed_events
    ),
    LifeCycle("random_walk", "Whatever may happen next, drawn from the seed.", _random_walk),
)  # fmt: skip
