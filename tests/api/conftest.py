"""What the tests of the API have at hand; the fixtures themselves stand in ``tests.conftest``."""

from __future__ import annotations

from tests.api_client import BASE, Api, serving
from tests.stripe_events import make_subscription_event

__all__ = ["BASE", "Api", "make_subscription_event", "serving"]
