"""The stories that customers of Stripe may live through, by subject."""

from app.simulate.scenarios import accounts, jobs, oddities, packs, subscriptions
from app.simulate.scenarios.scenario import SCENARIOS, Need, Scenario, sold

__all__ = [
    "SCENARIOS",
    "Need",
    "Scenario",
    "accounts",
    "jobs",
    "oddities",
    "packs",
    "sold",
    "subscriptions",
]
