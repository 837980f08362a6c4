"""The life cycles that the simulator knows by name, each told from the customer's sign-up on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeVar

from app.simulate.life import Life, Story, Subscribed
from app.simulate.stripe_objects import Price
from app.simulate.tape import Step
from app.simulate.wares import Wares

UNKNOWN: Final = Price(
    id="price_of_no_catalogue", product="prod_unknown", name="Unknown", cents=9_00
)

_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True)
class LifeCycle:
    """A story with its name and one sentence; ``fits`` says what a catalogue must sell."""

    name: str
    sentence: str
    tell: Callable[[Life], Story]
    fits: Callable[[Wares], bool] = lambda _: True
    needs: str = ""  # what is lacking where it does not fit


_Thing = TypeVar("_Thing")


def story(
    begin: Callable[[Life], _Thing], *acts: timedelta | Callable[[_Thing], Step | None]
) -> Callable[[Life], Story]:
    """What befalls the one thing that a customer buys, act after act; a timedelta lets time pass.

    An act that makes no step is not heard of.
    """

    def tell(life: Life) -> Story:
        one = begin(life)
        for act in acts:
            if isinstance(act, timedelta):
                life.now += act
            elif (step := act(one)) is not None:
                yield step

    return tell


def _low(life: Life) -> Subscribed:
    return life.subscription(life.low)


def _high(life: Life) -> Subscribed:
    return life.subscription(life.high)


def _yearly(life: Life) -> Subscribed:
    return life.subscription(life.yearly)


def _begun_unheard(life: Life) -> Subscribed:
    one = life.subscription(life.high)
    one.was_known()
    return one


def _several_subscriptions(life: Life) -> Story:
    one = life.subscription(life.low)
    yield one.subscribes()
    life.wait(days=4)
    other = life.subscription(life.high)
    yield other.subscribes()
    life.wait(days=8)
    yield other.ends()


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


_S: Final = Subscribed  # whose acts the stories name
_TWO: Final = "tiers of different daily credits"

SUBSCRIPTIONS: Final = (
    LifeCycle(
        "happy_renewal", "Subscribes, renews after a month, pays, stays.",
        story(_low, _S.subscribes, _S.renews, _HOUR, _S.pays),
    ),
    LifeCycle(
        "upgrade", "Changes to the best tier: the difference is there at once.",
        story(_low, _S.subscribes, 9 * _DAY, _S.upgrades), _two_tiers, _TWO,
    ),
    LifeCycle(
        "downgrade", "Changes to the least tier: the day is trimmed at once.",
        story(_high, _S.subscribes, 9 * _DAY, _S.downgrades), _two_tiers, _TWO,
    ),
    LifeCycle(
        "cancel_now", "Cancels at once, and is on FREE the same second.",
        story(_low, _S.subscribes, 11 * _DAY, _S.ends),
    ),
    LifeCycle(
        "cancel_at_period_end", "Cancels, keeps the tier to the period's end, then FREE.",
        story(_low, _S.subscribes, 11 * _DAY, _S.asks_to_cancel, _S.reaches_period_end, _S.ends),
    ),
    LifeCycle(
        "recovers_in_grace", "The renewal fails twice, is paid within grace; nothing is lost.",
        story(
            _low, _S.subscribes, _S.renews, _HOUR, _S.fails, 3 * _DAY, _S.fails, 2 * _DAY, _S.pays
        ),
    ),
    LifeCycle(
        "dunning_to_cancel", "The renewal fails until Stripe cancels; grace ends before that.",
        story(
            _low, _S.subscribes, _S.renews, _HOUR,
            _S.fails, 3 * _DAY, _S.fails, 2 * _DAY, _S.fails, 9 * _DAY,
            lambda one: one.ends("payment_failed"),
        ),
    ),
    LifeCycle(
        "older_invoice_paid", "Two renewals fail, the older is paid: it stays past due.",
        story(
            _low, _S.subscribes, _S.renews, _HOUR, _S.fails, _S.renews, _HOUR, _S.fails,
            2 * _DAY, _S.pays_overdue,
        ),
    ),
    LifeCycle(
        "past_due", "The renewal fails, nobody pays, the grace runs out.",
        story(
            _high, _S.subscribes, _S.renews, _HOUR, _S.fails, _S.reaches_grace_end, _HOUR,
            lambda one: one.notes("its grace is over"),
        ),
    ),
    LifeCycle(
        "trial_converts", "A trial of 14 days that is paid afterwards.",
        story(_low, lambda one: one.begins_trial(14), _S.ends_trial, _HOUR, _S.pays),
    ),
    LifeCycle(
        "trial_lapses", "A trial of 7 days that nobody pays for.",
        story(_high, lambda one: one.begins_trial(7), _S.reaches_period_end, _S.ends),
    ),
    LifeCycle(
        "three_d_secure", "Incomplete until the bank says yes, then active.",
        story(_low, _S.begins, 2 * _HOUR, _S.confirms),
    ),
    LifeCycle(
        "incomplete_expired", "Incomplete, never confirmed, expired after 23 hours.",
        story(_low, _S.begins, 23 * _HOUR, _S.lapses),
    ),
    LifeCycle(
        "paused_and_resumed", "Paused for ten days, which give nothing, then resumed.",
        story(_low, _S.subscribes, 6 * _DAY, _S.pauses, 10 * _DAY, _S.resumes),
    ),
    LifeCycle(
        "unpaid", "Dunning ends in unpaid: no grace, nothing given.",
        story(_low, _S.subscribes, _S.renews, _HOUR, _S.fails, 5 * _DAY, _S.is_given_up),
    ),
    LifeCycle(
        "several_subscriptions", "Two at once: the best counts; it ends, the other goes on.",
        _several_subscriptions, _two_tiers, _TWO,
    ),
    LifeCycle(
        "annual_price", "Pays once a year and has each day's credits.",
        story(
            _yearly, _S.subscribes, 40 * _DAY,
            lambda one: one.notes("a month and more, and nothing was billed"),
        ),
    ),
    LifeCycle(
        "unknown_price", "Changes to a price of no catalogue: parked, the tier stays.",
        story(_low, _S.subscribes, 5 * _DAY, lambda one: one.changes_to_unknown(UNKNOWN)),
    ),
    LifeCycle(
        "customer_deleted", "Is deleted in Stripe, the subscription too.",
        story(_high, _S.subscribes, 8 * _DAY, _S.loses_customer),
    ),
    LifeCycle(
        "missed_events", "Began unheard: the first event that comes tells enough.",
        story(_begun_unheard, 5 * _DAY, lambda one: one.notes("the first that is heard")),
    ),
    LifeCycle("random_walk", "Whatever may happen next, drawn from the seed.", _random_walk),
)  # fmt: skip
