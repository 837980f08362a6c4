"""The customers who play: one for each named scenario, a random population, or the demo's people.

The same seed and circumstances make the same events, ids included.
"""

from __future__ import annotations

import hashlib
import random
from base64 import b32encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from app.errors import ConfigurationError
from app.simulate.customer_story import Customer, EndOfTimesError, Setting, Story
from app.simulate.price_list import Offer, PriceList
from app.simulate.scenarios import SCENARIOS, Need, Scenario
from app.simulate.scenarios.demo import MINUTES_APART, PEOPLE
from app.simulate.steps import Step
from app.simulate.stripe_objects import DEFAULT, Shape

DEMO: Final = "demo"
DEMO_SENTENCE: Final = "Those of `tallybook demo` who subscribe, without their spends."
DEMO_CUSTOMERS: Final = 5
_DIGEST_CHARS: Final = 6


@dataclass(frozen=True, eq=False)
class Role:
    """A customer with the steps to play.

    The expectation is told as the steps are drawn, so that no story is made before its time.
    """

    scenario: str
    sentence: str
    customer: Customer
    steps: Iterator[Step]


def seeded(
    seed: int,
    starts_at: datetime,
    prices: PriceList,
    *,
    days: int | None = None,
    shape: Shape = DEFAULT,
) -> Setting:
    """Return the world of this seed; with ``days`` nothing happens after so many."""
    # Other circumstances make other bodies, which need other ids.
    said = f"{starts_at.isoformat()} {days} {shape.version} {prices.catalogue!r}"
    digest = b32encode(hashlib.sha256(said.encode()).digest()).decode().lower()
    return Setting(
        tag=f"s{seed}{digest[:_DIGEST_CHARS]}",
        prices=prices,
        starts_at=starts_at,
        days=days,
        shape=shape,
    )


def check(names: Sequence[str], met: frozenset[Need]) -> list[str]:
    """Return the scenarios of these names, or all whose needs are met if none is named."""
    wrong = [name for name in names if name not in SCENARIOS and name != DEMO]
    if wrong:
        raise ConfigurationError(
            f"No such life cycle: {', '.join(wrong)}. `tallybook simulate --list` names them."
        )
    lacking = [f"{name} needs {lack}." for name in names for lack in _lacks(name, met)]
    if lacking:
        raise ConfigurationError("\n".join(lacking))
    return list(names) or [name for name in (*SCENARIOS, DEMO) if not _lacks(name, met)]


def _lacks(name: str, met: frozenset[Need]) -> list[str]:
    if name == DEMO:
        return [] if Need.TWO_TIERS in met else [str(Need.TWO_TIERS)]
    return SCENARIOS[name].lacks(met)


def named(setting: Setting, names: Sequence[str]) -> Iterator[Role]:
    """Yield one customer for each of the scenarios, whose story is told whole."""
    for name in names:
        if name == DEMO:
            yield from _people(setting, run=None)
        else:
            customer = Customer(setting, name, setting.starts_at, _random(setting, name))
            yield _role(SCENARIOS[name], customer)


def population(setting: Setting, customers: int, names: Sequence[str]) -> Iterator[Role]:
    """Yield so many customers, each with a scenario, prices and a start by the seed."""
    assert setting.days is not None, "a population lives for so many days"
    scenarios = [one for one in SCENARIOS.values() if one.name in names]
    for number in range(1, customers + 1):
        rng = _random(setting, str(number))
        one = rng.choice(scenarios)
        # Whole hours: many act at one instant, and a clock has fewer moves to make.
        begins_at = setting.starts_at + timedelta(hours=rng.randrange(setting.days * 24))
        offers = _pair(setting.prices, rng)
        yield _role(one, Customer(setting, f"c{number:06}", begins_at, rng, offers))


def _random(setting: Setting, name: str) -> random.Random:
    return random.Random(f"{setting.tag} {name}")  # noqa: S311 - it plays, and guards nothing


def _role(one: Scenario, customer: Customer) -> Role:
    return Role(one.name, one.sentence, customer, _lived(one.tell(customer)))


def demo_people(run: int, starts_at: datetime, prices: PriceList) -> list[Role]:
    """Return the six of the demo, with the application that introduces them and spends.

    ``ada-1``: another run on the same data meets other people.
    """
    setting = Setting(tag=f"demo{run}", prices=prices, starts_at=starts_at, with_application=True)
    return list(_people(setting, run=run))


def _people(setting: Setting, run: int | None) -> Iterator[Role]:
    for place, tell in enumerate(PEOPLE):
        at = setting.starts_at + timedelta(minutes=place * MINUTES_APART)
        customer = Customer(setting, tell.__name__, at, random.Random())  # noqa: S311 - not drawn
        if run is not None:
            customer.account_id = account_id(tell.__name__, run)
        role = Role(DEMO, tell.__doc__ or "", customer, _lived(tell(customer)))
        if run is not None or place > 0:  # of the first only the application tells
            yield role


def account_id(name: str, run: int) -> str:
    """Return the id by which the demo's application knows a person."""
    return f"{name}-{run}"


def _lived(story: Story) -> Iterator[Step]:
    """Yield the steps that are heard of, until the simulation's end."""
    try:
        for step in story:
            if step is not None:
                yield step
    except EndOfTimesError:
        return


def _pair(prices: PriceList, rng: random.Random) -> tuple[Offer, Offer]:
    """Draw any price, and one that gives more if there is one."""
    low = rng.choice(prices.subscriptions)
    better = [one for one in prices.subscriptions if one.daily_credits > low.daily_credits]
    if better:
        return low, rng.choice(better)
    less = [one for one in prices.subscriptions if one.daily_credits < low.daily_credits]
    return (rng.choice(less), low) if less else (low, low)
