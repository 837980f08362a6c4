"""A scenario: a story that the simulator knows by name, and what it needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from app.simulate.customer_story import Customer, Story
from app.simulate.price_list import PriceList


class Need(StrEnum):
    """A condition of a scenario, in the words of a refusal."""

    TWO_TIERS = "tiers of different daily credits in the catalogue"
    PACK = "a pack with a price in the catalogue"
    CLOCK = (
        "a book whose clock moves (`tallybook up --clock`) from before the first day (--start), "
        "and events in their order"
    )


@dataclass(frozen=True)
class Scenario:
    """A story with its name, one sentence and what it needs."""

    name: str
    sentence: str
    tell: Callable[[Customer], Story]
    needs: tuple[Need, ...]

    def lacks(self, met: frozenset[Need]) -> list[str]:
        """Return the needs that are not met."""
        return [str(need) for need in self.needs if need not in met]


SCENARIOS: Final[dict[str, Scenario]] = {}


def scenario(*needs: Need) -> Callable[[Callable[[Customer], Story]], Callable[[Customer], Story]]:
    """Have the function known as a scenario of its name; its docstring is the sentence."""

    def known(tell: Callable[[Customer], Story]) -> Callable[[Customer], Story]:
        sentence = (tell.__doc__ or "").strip()
        SCENARIOS[tell.__name__] = Scenario(tell.__name__, sentence, tell, needs)
        return tell

    return known


def sold(prices: PriceList) -> frozenset[Need]:
    """Return the needs that a catalogue meets."""
    met = {Need.TWO_TIERS: prices.has_two_tiers, Need.PACK: bool(prices.packs)}
    return frozenset(need for need, holds in met.items() if holds)
