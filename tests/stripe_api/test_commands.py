"""`tallybook reconcile` and `tallybook events`, as programs on a book of their own."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.infrastructure import clock
from app.infrastructure.db import Database
from tests.api_client import Api
from tests.conftest import NOW, Server
from tests.stripe_api.fake_stripe import KEY, FakeStripe
from tests.stripe_events import make_subscription_event

TALLYBOOK = Path(sys.executable).with_name("tallybook")


async def tallybook(server: Server, *words: str, **environment: str) -> tuple[int, str, str]:
    """The exit code, standard output and standard error."""
    program = await asyncio.create_subprocess_exec(
        TALLYBOOK,
        *words,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "COLUMNS": "200",
            "DATABASE_URL": server.application_url,
            **environment,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await program.communicate()
    return program.returncode or 0, out.decode(), errors.decode()


@pytest.fixture
def key(stripe: FakeStripe) -> dict[str, str]:
    return {"STRIPE_API_KEY": KEY, "STRIPE_API_BASE": stripe.base}


async def test_the_drift_is_shown_then_mended_then_gone(
    stripe: FakeStripe, key: dict[str, str], server: Server, database: Database
) -> None:
    stripe.event("evt_1", "customer.subscription.created", stripe.subscription())
    stripe.now += timedelta(seconds=5)
    stripe.subscription("sub_2", customer="cus_2")
    await clock.stand(database, stripe.now)

    code, out, errors = await tallybook(server, "reconcile", "--dry-run", **key)
    assert code == 1, errors
    assert "nothing was mended" in out
    for told in ("evt_1", "sub_1", "sub_2", "subscription unknown → active"):
        assert told in out
    assert await database.fetchval("SELECT count(*) FROM events") == 0

    code, out, errors = await tallybook(server, "reconcile", "--reason", "an outage", **key)
    assert code == 0, errors
    assert (
        "1 undelivered events, 0 payments and 2 subscriptions compared: 2 mended, 0 waiting, 0 not"
        in out
    )
    assert await database.fetchval("SELECT sum(free) FROM accounts") == 40
    act = await database.fetchrow("SELECT act, reason FROM operator_acts")
    assert act is not None
    assert tuple(act) == ("reconcile", "an outage")
    assert KEY not in out + errors


async def test_what_stays_unmended_and_what_is_not_there_is_said(stripe, key, server) -> None:
    stripe.subscription(status="hibernating")
    stripe.lacking = {"/v1/events"}
    code, out, errors = await tallybook(server, "reconcile", **key)
    assert code == 1, errors
    assert "unknown status" in out
    assert "undelivered events cannot be listed" in out
    stripe.lacking = {"/v1/events", "/v1/subscriptions"}
    code, out, _ = await tallybook(server, "reconcile", **key)
    assert (code, "subscriptions cannot be compared" in out) == (1, True)


async def test_without_stripe_there_is_a_sentence(stripe, key, server) -> None:
    code, _, errors = await tallybook(server, "reconcile")
    assert (code, "STRIPE_API_KEY is not set" in errors) == (1, True)
    wrong = key | {"STRIPE_API_KEY": "sk_live_51Fake9Stripe"}
    code, _, errors = await tallybook(server, "reconcile", **wrong)
    assert (code, "one mode alone" in errors) == (1, True)
    assert "51Fake9Stripe" not in errors
    assert "Traceback" not in errors


async def test_events_are_listed_by_verdict_and_replayed(
    api: Api, server: Server, database: Database
) -> None:
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    for n in (2, 3):
        at = NOW + timedelta(seconds=n)
        odd: dict[str, Any] = make_subscription_event(f"evt_{n}", "updated", at, status="odd")
        await api.deliver(odd)
    code, out, _ = await tallybook(server, "events", "list", "--verdict", "parked")
    assert (code, "evt_1" in out, "evt_2" in out, "evt_3" in out) == (0, False, True, True)
    code, out, _ = await tallybook(server, "events", "replay", "--parked", "--reason", "see 7")
    assert (code, "evt_2" in out, "evt_3" in out) == (1, True, True)
    told = await database.fetch(
        """SELECT event_id, reason FROM operator_acts
            WHERE act = 'replay' ORDER BY event_id"""
    )
    assert [tuple(one) for one in told] == [("evt_2", "see 7"), ("evt_3", "see 7")]
    code, out, _ = await tallybook(server, "events", "replay", "evt_1", "evt_0")
    assert (code, "No event 'evt_0' was received." in out) == (1, True)
    assert "applied before" in out
    assert await database.fetchval("SELECT count(*) FROM operator_acts WHERE act = 'replay'") == 2
