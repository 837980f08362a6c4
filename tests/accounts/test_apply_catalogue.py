"""A catalogue that is applied beside webhooks: no subscription stays with the old one."""

from __future__ import annotations

import asyncio
import json

import asyncpg

from app.accounts.subscribe import take_fact
from app.allowance.catalogue import default_text
from app.jobs.tick import tick
from app.subscriptions.facts import Fact
from app.webhooks import inbox
from app.webhooks.envelope import envelope
from app.webhooks.translate import translate
from tests.as_owner import apply_tiers
from tests.conftest import NOW
from tests.invariants import differences
from tests.stripe_events import make_subscription_event

NEW = default_text().replace("price_pro_monthly", "price_new", 1)


async def _take(book, event, taken: asyncio.Event, go_on: asyncio.Event) -> None:
    payload = json.dumps(event).encode()
    fact = translate(event)
    assert isinstance(fact, Fact)
    async with book.database.transaction():
        await inbox.insert(book.database, envelope(payload), payload)
        await take_fact(book, fact)
        taken.set()
        await go_on.wait()


async def test_a_subscription_that_begins_while_a_catalogue_is_applied_comes_to_follow_it(
    api, book, database
) -> None:
    taken, go_on = asyncio.Event(), asyncio.Event()
    event = make_subscription_event("evt_1", "created", NOW, price="price_new")
    webhook = asyncio.create_task(_take(book, event, taken, go_on))
    await taken.wait()
    await apply_tiers(book, NEW)
    go_on.set()
    await webhook
    await tick(book)
    account = await api.account("cus_1")
    assert (account["tier"], account["available"]) == ("PRO", 20)
    assert await differences(database) == []


async def test_a_subscription_that_fails_stops_no_catalogue_and_follows_at_the_next_tick(
    api, book, database, server
) -> None:
    for name in ("1", "2"):
        event = make_subscription_event(
            f"evt_{name}",
            "created",
            NOW,
            price="price_new",
            subscription=f"sub_{name}",
            customer=f"cus_{name}",
        )
        assert await api.deliver(event) == "parked"
    owner = await asyncpg.connect(server.owner_url)
    await owner.execute(
        "ALTER TABLE subscriptions ADD CONSTRAINT broken CHECK (id <> 'sub_1' OR tier IS NULL)"
    )
    await apply_tiers(book, NEW)
    assert (await api.account("cus_2"))["tier"] == "PRO"
    assert (await api.get("/api/v1/accounts/cus_1")).status_code == 404
    await owner.execute("ALTER TABLE subscriptions DROP CONSTRAINT broken")
    await owner.close()
    await tick(book)
    assert (await api.account("cus_1"))["tier"] == "PRO"
    assert await differences(database) == []
