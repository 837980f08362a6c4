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
from app.simulate.scenarios import SCENARIOS, Need
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


@dataclass(frozen=True, kw_only=True)
class Setup:
    """All that the events depend on."""

    seed: int
    starts_at: datetime
    prices: PriceList
    days: int | None = None
    shape: Shape = DEFAULT

    @property
    def tag(self) -> str:
        """A part of every id: other circumstances make other bodies, which need other ids."""
        version, catalogue = self.shape.version, self.prices.catalogue
        said = f"{self.starts_at.isoformat()} {self.days} {version} {catalogue!r}"
        digest = hashlib.sha256(said.encode()).digest()
        return f"s{self.seed}{b32encode(digest).decode().lower()[:_DIGEST_CHARS]}"

    @property
    def ends_at(self) -> datetime | None:
        """The instant after which nothing happens; None tells every story whole."""
        return None if self.days is None else self.starts_at + timedelta(days=self.days)

    def setting(self) -> Setting:
        """Return the world of the customers."""
        return Setting(tag=self.tag, prices=self.prices, shape=self.shape, ends_at=self.ends_at)

    def random(self, name: str) -> random.Random:
        """Return a source of chance for this name alone."""
        return random.Random(f"{self.tag} {name}")  # noqa: S311 - it plays, and guards nothing


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


def named(setup: Setup, names: Sequence[str]) -> Iterator[Role]:
    """Yield one customer for each of the scenarios, whose story is told whole."""
    for name in names:
        if name == DEMO:
            yield from _people(setup.setting(), setup.starts_at, run=None)
        else:
            one = SCENARIOS[name]
            customer = Customer(setup.setting(), name, setup.starts_at, setup.random(name))
            yield Role(name, one.sentence, customer, _lived(one.tell(customer)))


def population(setup: Setup, customers: int, names: Sequence[str]) -> Iterator[Role]:
    """Yield so many customers, each with a scenario, prices and a start by the seed."""
    assert setup.days is not None, "a population lives for so many days"
    scenarios = [one for one in SCENARIOS.values() if one.name in names]
    setting = setup.setting()
    for number in range(1, customers + 1):
        rng = setup.random(str(number))
        one = rng.choice(scenarios)
        # Whole hours: many act at one instant, and a clock has fewer moves to make.
        begins_at = setup.starts_at + timedelta(hours=rng.randrange(setup.days * 24))
        customer = Customer(setting, f"c{number:06}", begins_at, rng, _pair(setup.prices, rng))
        yield Role(one.name, one.sentence, customer, _lived(one.tell(customer)))


def demo_people(run: int, starts_at: datetime, prices: PriceList) -> list[Role]:
    """Return the six of the demo, with the application that introduces them and spends.

    ``ada-1``: another run on the same data meets other people.
    """
    setting = Setting(tag=f"demo{run}", prices=prices, with_application=True)
    return list(_people(setting, starts_at, run=run))


def _people(setting: Setting, starts_at: datetime, run: int | None) -> Iterator[Role]:
    for place, tell in enumerate(PEOPLE):
        at = starts_at + timedelta(minutes=place * MINUTES_APART)
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
