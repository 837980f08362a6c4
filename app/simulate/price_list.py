"""The prices of a catalogue, as the simulated customers buy by them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Final

from app.allowance.catalogue import Catalogue, Pack
from app.errors import ConfigurationError
from app.simulate.expectation import TierRules
from app.simulate.stripe_objects import Price

_YEARLY_WORDS: Final = ("year", "annual")
_CENTS_MAX: Final = 99_999_999  # Stripe's own bound of one charge in dollars


@dataclass(frozen=True)
class Offer:
    """A price and the tier that it buys."""

    price: Price
    tier: str
    daily_credits: int


@dataclass(frozen=True)
class PackOffer:
    """A price and the pack that it buys."""

    price: Price
    pack: Pack


@dataclass(frozen=True)
class PriceList:
    """The catalogue's priced tiers, worst first, and its priced packs."""

    catalogue: Catalogue

    def __post_init__(self) -> None:
        if not self.subscriptions:
            raise ConfigurationError(
                "The catalogue sells no tier, so that nobody can subscribe: "
                'write prices = ["price_…"] into one of its [tiers.NAME].'
            )

    @cached_property
    def subscriptions(self) -> tuple[Offer, ...]:
        """Every price of every tier, by daily credits; among equals the yearly ones last."""
        offers = [
            Offer(_price(price, tier.name, tier.daily_credits * 100), tier.name, tier.daily_credits)
            for tier in self.catalogue.tiers
            for price in tier.prices
        ]
        return tuple(
            sorted(offers, key=lambda one: (one.daily_credits, one.price.interval == "year"))
        )

    @cached_property
    def packs(self) -> tuple[PackOffer, ...]:
        """The packs that have a price."""
        return tuple(
            PackOffer(_price(price, pack.name, pack.credits * 10), pack)
            for pack in self.catalogue.packs
            for price in pack.prices
        )

    @cached_property
    def rules(self) -> Mapping[str, TierRules]:
        """The tiers as the expectation reads them."""
        return {
            tier.name: TierRules(
                daily_credits=tier.daily_credits,
                grace=timedelta(days=tier.past_due_grace_days),
                trial_grants=tier.trial_grants,
                pause_collection=tier.pause_collection,
            )
            for tier in self.catalogue.tiers
        }

    @property
    def low(self) -> Offer:
        """The least that one can subscribe to."""
        return self.subscriptions[0]

    @property
    def high(self) -> Offer:
        """The most that one can subscribe to; the first of several prices."""
        most = self.subscriptions[-1].daily_credits
        return next(offer for offer in self.subscriptions if offer.daily_credits == most)

    @property
    def has_two_tiers(self) -> bool:
        """Return whether an upgrade means anything."""
        return self.low.daily_credits < self.high.daily_credits

    @property
    def yearly(self) -> Offer | None:
        """One that is paid once a year, as far as its price's id tells."""
        return next((one for one in self.subscriptions if one.price.interval == "year"), None)

    @property
    def carries_over(self) -> bool:
        """Return whether unused credits live on, which the expectation does not follow."""
        return any(tier.carry_over_max for tier in self.catalogue.tiers)


def _price(price_id: str, name: str, cents: int) -> Price:
    """Return a price with an invented sum: the simulator's money is only for show."""
    yearly = any(word in price_id.lower() for word in _YEARLY_WORDS)
    return Price(
        id=price_id,
        product=f"prod_{name.lower()}",
        name=name.capitalize(),
        cents=min(max(cents, 1_00), _CENTS_MAX),
        interval="year" if yearly else "month",
    )
