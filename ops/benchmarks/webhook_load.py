"""Signed subscription updates of many customers, each a new event."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Final

import orjson

from app.simulate.fake_subscription import FakeSubscription
from app.simulate.stripe_objects import PRO_MONTHLY
from app.webhooks.signature import sign
from ops.benchmarks import wrk

PATH: Final = "/api/webhooks/stripe"
BEGAN: Final = datetime(2026, 1, 1, tzinfo=UTC)
NAME: Final = "NAME"  # stands in the bodies where a customer's name goes
_EVENT: Final = "evt_bench_NAME_002"
_CREATED: Final = 1_000_000_007  # stands where the event's time goes
UPDATED: Final = "customer.subscription.updated"
IGNORED: Final = (
    "payment_method.attached"  # a type that moves no subscription, with the same object
)


class Bodies:
    """The bytes of events: built once, with the names and times put in for each."""

    def __init__(self, kind: str = UPDATED) -> None:
        one = FakeSubscription("bench", NAME, PRO_MONTHLY, BEGAN)
        one.be_known()
        (update,) = one.set_metadata(BEGAN, "team", "red")
        self._update = orjson.dumps({**update, "created": _CREATED, "id": _EVENT, "type": kind})

    def update(self, customer: int, event: str, created: int) -> bytes:
        """That the customer's subscription stands as it stood."""
        return (
            self._update.replace(_EVENT.encode(), event.encode())
            .replace(NAME.encode(), str(customer).encode())
            .replace(str(_CREATED).encode(), str(created).encode())
        )


def updates(secret: str, customers: int, created_from: int, kind: str = UPDATED) -> Iterator[bytes]:
    """One event after the other, no two of one second, each newer than those before."""
    bodies = Bodies(kind)
    for created in count(created_from):
        customer = random.randint(1, customers)  # noqa: S311 - it spreads the load
        body = bodies.update(customer, f"evt_bench_{created}", created)
        signature = sign(body, secret, int(time.time()))
        yield wrk.post(PATH, body, f"Stripe-Signature: {signature}")
