"""The tier to which an account is entitled, from what its subscriptions give."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec

from app.allowance.catalogue import Catalogue


class Use(msgspec.Struct, frozen=True):
    """Credits that were used in a day of another account.

    They count in every day that starts before ``until``, the end of that other day.
    """

    from_account: int
    until: datetime
    amount: int


def counting(uses: Iterable[Use], starts_at: datetime) -> int:
    """Return how many of these credits count in a day that starts then."""
    return sum(use.amount for use in uses if use.until > starts_at)


class Giving(msgspec.Struct, frozen=True):
    """The tier that one subscription gives: for good, until its grace period ends, or none.

    The grace period lasts from ``failing_since`` for as many days as the day's catalogue says.
    Rows from before that column existed have its end only. ``uses`` are of accounts that it left.
    """

    tier: str | None
    grace_tier: str | None = None
    grace_ends_at: datetime | None = None
    failing_since: datetime | None = None
    uses: tuple[Use, ...] = ()

    def grace_end(self, catalogue: Catalogue) -> datetime | None:
        """Return when its grace period ends by this catalogue; the stored end if it has no such
        tier.
        """
        if self.tier is not None or self.grace_tier is None:
            return None
        if self.failing_since is not None and catalogue.has(self.grace_tier):
            days = catalogue.tier(self.grace_tier).past_due_grace_days
            return self.failing_since + timedelta(days=days)
        return self.grace_ends_at

    def at(self, instant: datetime, catalogue: Catalogue) -> str | None:
        """Return the tier it gives at this instant, or None."""
        if self.tier is not None:
            return self.tier
        ends_at = self.grace_end(catalogue)
        return self.grace_tier if ends_at is not None and instant < ends_at else None


def entitled_tier(givings: Iterable[Giving], at: datetime, catalogue: Catalogue) -> str:
    """Return the best tier that the subscriptions give; FREE if they give none.

    A tier that the catalogue does not have gives nothing.
    """
    given = (giving.at(at, catalogue) for giving in givings)
    return catalogue.best([name for name in given if name is not None and catalogue.has(name)])


def tier_columns(catalogue: Catalogue) -> dict[str, list[object]]:
    """Return names, credits and days of grace, the best tier first: the SQL's ``tiers``."""
    best_first = sorted(catalogue.tiers, key=lambda tier: -tier.daily_credits)
    return {
        "names": [tier.name for tier in best_first],
        "credits": [tier.daily_credits for tier in best_first],
        "grace_days": [tier.past_due_grace_days for tier in best_first],
    }


class CataloguePricing:
    """The catalogue in the form that ``app.subscriptions.derive`` needs."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue

    def tier_of(self, prices: Sequence[str]) -> str | None:
        """Return the best tier among the prices; quantity does not multiply."""
        tiers = [tier.name for price in prices if (tier := self.catalogue.tier_of_price(price))]
        return self.catalogue.best(tiers) if tiers else None

    def ignores(self, prices: Sequence[str]) -> bool:
        """Return whether every price is listed as ignored."""
        return bool(prices) and all(self.catalogue.is_ignored(price) for price in prices)

    def lesser(self, one: str, other: str) -> str:
        """Return the tier with fewer daily credits."""
        return other if self.catalogue.best([one, other]) == one else one

    def grace(self, tier: str) -> timedelta:
        """Return how long the tier lasts after a failed payment."""
        return timedelta(days=self.catalogue.tier(tier).past_due_grace_days)

    def grants_in_trial(self, tier: str) -> bool:
        """Return whether a trial of this tier grants."""
        return self.catalogue.tier(tier).trial_grants

    def gives_while_paused(self, tier: str) -> bool:
        """Return whether a subscription whose collection is paused gives this tier."""
        return self.catalogue.tier(tier).pause_collection == "keep"
