"""Which tier an account is entitled to, from what its subscriptions give."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec

from app.grants.catalogue import Catalogue


class Giving(msgspec.Struct, frozen=True):
    """What one subscription gives: a tier, or one until its grace ends, or nothing."""

    tier: str | None
    grace_tier: str | None = None
    grace_ends_at: datetime | None = None

    def at(self, instant: datetime) -> str | None:
        """The tier it gives at this instant."""
        if self.tier is not None:
            return self.tier
        in_grace = self.grace_ends_at is not None and instant < self.grace_ends_at
        return self.grace_tier if in_grace else None


def entitled_tier(givings: Iterable[Giving], at: datetime, catalogue: Catalogue) -> str:
    """The best of what the subscriptions give; FREE where none gives any.

    A tier that the catalogue no longer has gives nothing.
    """
    names = {tier.name for tier in catalogue.tiers}
    given = (giving.at(at) for giving in givings)
    return catalogue.best([name for name in given if name in names])


class CataloguePricing:
    """The catalogue as ``app.subscriptions.derive`` asks for it."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue

    def tier_of(self, prices: Sequence[str]) -> str | None:
        """The best tier among the prices; quantity does not multiply."""
        tiers = [tier.name for price in prices if (tier := self.catalogue.tier_of_price(price))]
        return self.catalogue.best(tiers) if tiers else None

    def ignores(self, prices: Sequence[str]) -> bool:
        """Whether every price is listed as ignored."""
        return bool(prices) and all(self.catalogue.is_ignored(price) for price in prices)

    def lesser(self, one: str, other: str) -> str:
        """The tier with fewer daily credits."""
        return other if self.catalogue.best([one, other]) == one else one

    def grace(self, tier: str) -> timedelta:
        """How long the tier outlives a failed payment."""
        return timedelta(days=self.catalogue.tier(tier).past_due_grace_days)

    def grants_in_trial(self, tier: str) -> bool:
        """Whether a trial of this tier grants."""
        return self.catalogue.tier(tier).trial_grants
