"""Every delivery leaves a verdict with its reason, and every later try one more."""

from __future__ import annotations

from datetime import timedelta

import asyncpg

from tests.conftest import NOW
from tests.stripe_events import make_subscription_event


async def rulings(api, event_id: str) -> list[tuple[str, str]]:
    answer = await api.get(f"/api/v1/events/{event_id}")
    assert answer.status_code == 200, answer.text
    return [(one["verdict"], one["reason"]) for one in answer.json()["deliveries"]]


async def test_each_delivery_of_an_event_is_ruled(api) -> None:
    event = make_subscription_event("evt_1", "created", NOW)
    for _ in range(3):
        await api.deliver(event)
    assert await rulings(api, "evt_1") == [
        ("applied", "created leaves it active"),
        ("duplicate", "received before"),
        ("duplicate", "received before"),
    ]


async def test_refused_parked_and_ignored_deliveries_have_their_reason(api) -> None:
    await api.deliver({**make_subscription_event("evt_1", "created", NOW), "livemode": True})
    await api.deliver(make_subscription_event("evt_2", "created", NOW, status="hibernating"))
    await api.deliver({**make_subscription_event("evt_3", "created", NOW), "type": "x.y"})
    assert await rulings(api, "evt_1") == [("refused", "a live event does not touch this book")]
    assert await rulings(api, "evt_2") == [
        ("parked", "unknown shape: unknown status 'hibernating'")
    ]
    assert await rulings(api, "evt_3") == [("ignored", "x.y moves no subscription")]


async def test_a_reason_names_a_few_of_many_prices_and_counts_the_rest(api) -> None:
    data = [{"id": f"si_{n}", "price": {"id": f"{n:02}_{'p' * 250}"}} for n in range(20)]
    items = {"object": "list", "data": data, "has_more": False}
    event = make_subscription_event("evt_1", "created", NOW, items=items)
    assert await api.deliver(event) == "parked"
    ((_, reason),) = await rulings(api, "evt_1")
    assert reason.startswith("no price is in the catalogue: 00_p")
    assert reason.endswith("p and 15 more")
    assert len(reason) < 1_400


async def test_each_try_of_a_failed_event_is_ruled(api, server) -> None:
    owner = await asyncpg.connect(server.owner_url)
    await owner.execute("ALTER TABLE facts ADD CONSTRAINT broken CHECK (event_id <> 'evt_1')")
    event = make_subscription_event("evt_1", "created", NOW)
    await api.deliver(event)
    await api.deliver(event)
    await owner.execute("ALTER TABLE facts DROP CONSTRAINT broken")
    await owner.close()
    await api.set_clock(NOW + timedelta(minutes=1))
    assert [verdict for verdict, _ in await rulings(api, "evt_1")] == [
        "queued",
        "duplicate",
        "applied",
    ]
