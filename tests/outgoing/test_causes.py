"""Each type of message: written with its cause, for every path that leads there, and only then."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.allowance.catalogue import default_text
from app.book import Book
from app.infrastructure.db import Database
from app.jobs import arq_worker
from app.jobs.tick import tick
from app.outgoing.message import EventType
from tests.acts import DAY, HOUR, Acts, cancel, subscribe
from tests.api_client import Api
from tests.as_owner import apply_tiers, owner_of
from tests.conftest import NOW
from tests.money_events import (
    make_dispute_event,
    make_refund_event,
    make_session_event,
)
from tests.outgoing.conftest import Hooks
from tests.receiver import Receiver
from tests.stripe_events import make_subscription_event

ROOT = Path(__file__).parents[2]
SECOND = timedelta(seconds=1)
Told = list[tuple[str, dict[str, Any]]]


@pytest.fixture
async def told(hooks: Hooks, receiver: Receiver) -> Hooks:
    """Hooks with an endpoint for everything."""
    await hooks.made(receiver)
    return hooks


async def arrived(hooks: Hooks, receiver: Receiver) -> Told:
    """(type, data) of what arrived since the last look."""
    await hooks.deliver()
    assert receiver.refused == []
    found = [(one.type, one.data) for one in receiver.received]
    receiver.received.clear()
    return found


async def test_low_depleted_recovered_and_unusual_use(
    told: Hooks, receiver: Receiver, api: Api, book: Book
) -> None:
    text = default_text().replace(
        "daily_credits = 5\n", "daily_credits = 5\nlow_balance_alert = 3\nunusual_use_alert = 5\n"
    )
    await apply_tiers(book, text)
    await api.put("/api/v1/accounts/user-1", {})
    user = Acts(api)
    spent = await user.journal(await user.spend(5))
    await arq_worker.fold_once(book)
    low, depleted, unusual = await arrived(told, receiver)
    listed = (await api.get("/api/v1/alerts")).json()["data"]
    assert low == (
        "balance.low",
        {
            "account_id": "user-1",
            "alert_id": listed[0]["id"],
            "tier": "FREE",
            "balance": 0,
            "threshold": 3,
            "journal_id": spent,
        },
    )
    assert (depleted[0], depleted[1]["threshold"]) == ("balance.depleted", 0)
    assert (unusual[0], unusual[1]["used"], unusual[1]["on"]) == ("usage.unusual", 5, "2026-01-01")
    await api.set_clock(NOW + DAY)
    await arq_worker.fold_once(book)
    recovered = dict(await arrived(told, receiver))["balance.recovered"]
    assert (recovered["balance"], recovered["threshold"]) == (5, 3)


async def test_a_leaked_hold(told: Hooks, receiver: Receiver, api: Api, book: Book) -> None:
    await api.put("/api/v1/accounts/user-1", {})
    hold = await Acts(api).held(2, seconds=60)
    await api.set_clock(NOW + HOUR)
    ((kind, data),) = await arrived(told, receiver)
    assert (kind, data["hold_id"], data["amount"]) == ("hold.leaked", hold, 2)


async def test_what_operators_grant_and_not_what_each_day_does(
    told: Hooks, receiver: Receiver, api: Api
) -> None:
    await api.put("/api/v1/accounts/user-1", {})
    user = Acts(api)
    journal = await user.journal(await user.grant(7, ends=NOW + DAY, key="gift"))
    await user.grant(7, ends=NOW + DAY, key="gift")  # a replay grants nothing
    await user.adjust(3)
    ((kind, data),) = await arrived(told, receiver)
    assert (kind, data["journal_id"], data["amount"]) == ("credits.granted", journal, 7)
    assert (data["source"], data["expires_at"]) == ("promotional", "2026-01-02T12:00:00.000000Z")


async def test_what_is_granted_to_many_is_told_to_each(
    told: Hooks, receiver: Receiver, api: Api
) -> None:
    grants = []
    for number, source in ((1, "promotional"), (2, "purchased")):
        await api.put(f"/api/v1/accounts/user-{number}", {})
        one = {"account_id": f"user-{number}", "amount": number, "source": source}
        grants.append({**one, "idempotency_key": f"import-{number}", "reason": "moved here"})
    sent = await told.post("grants/batch", {"grants": grants})
    assert sent.status_code == 200, sent.text
    found = await arrived(told, receiver)
    assert [(kind, d["account_id"], d["amount"], d["source"]) for kind, d in found] == [
        ("credits.granted", "user-1", 1, "promotional"),
        ("credits.granted", "user-2", 2, "purchased"),
    ]


async def test_a_subscriptions_life_and_the_tier_that_follows(
    told: Hooks, receiver: Receiver, api: Api
) -> None:
    await api.put("/api/v1/accounts/user-1", {})
    user = Acts(api)
    await subscribe(user, "PRO")
    await api.set_clock(NOW + HOUR)
    await cancel(user, 60)
    found = await arrived(told, receiver)
    states = [data for kind, data in found if kind == "subscription.changed"]
    assert [(one["account_id"], one["previous_state"], one["state"]) for one in states] == [
        ("user-1", None, "active"),
        ("user-1", "active", "canceled"),
    ]
    assert states[0]["subscription_id"] == "sub_user-1"
    tiers = [data for kind, data in found if kind == "tier.changed"]
    assert [(one["previous_tier"], one["tier"]) for one in tiers] == [
        ("FREE", "PRO"),
        ("PRO", "FREE"),
    ]


async def test_a_purchase_its_refund_and_its_dispute(
    told: Hooks, receiver: Receiver, api: Api
) -> None:
    await api.put("/api/v1/accounts/user-1", {"stripe_customer_id": "cus_1"})
    assert await api.deliver(make_session_event("evt_1", NOW)) == "applied"
    ((kind, data),) = await arrived(told, receiver)
    assert (kind, data["pack"], data["credits"], data["paid"], data["currency"]) == (
        *("purchase.opened", "P100", 100, 1_000, "eur"),
    )
    assert (data["account_id"], data["payment"]) == ("user-1", "pi_1")
    await api.deliver(make_refund_event("evt_2", NOW + SECOND, 300))
    await api.deliver(make_refund_event("evt_3", NOW + SECOND, 300))  # told twice, refunded once
    ((kind, data),) = await arrived(told, receiver)
    assert (kind, data["status"], data["amount"]) == ("purchase.refunded", "refunded", 300)
    assert data["credits_taken"] == 30
    await api.deliver(make_dispute_event("evt_4", NOW + 2 * SECOND, "needs_response"))
    await api.deliver(make_dispute_event("evt_5", NOW + 3 * SECOND, "won", "closed"))
    found = await arrived(told, receiver)
    assert [(kind, data["status"]) for kind, data in found] == [
        ("purchase.disputed", "open"),
        ("purchase.disputed", "won"),
    ]
    assert found[0][1]["credits_frozen"] == 70


async def test_a_gift_of_nobody_that_was_taken_back(
    told: Hooks, receiver: Receiver, api: Api
) -> None:
    await api.put("/api/v1/accounts/friend", {})
    gift = make_session_event("evt_1", NOW, customer="cus_G", reference="friend")
    gift["data"]["object"]["metadata"] = {"tallybook_pack": "P100"}
    await api.deliver(gift)
    await Acts(api, "friend").spend(65)
    await api.deliver(make_refund_event("evt_2", NOW + SECOND, 1_000))
    found = dict(await arrived(told, receiver))
    assert (found["gift.disputed"]["customer_id"], found["gift.disputed"]["written_off"]) == (
        *("cus_G", 60),
    )


async def test_a_run_that_is_done(told: Hooks, receiver: Receiver, api: Api) -> None:
    await api.put("/api/v1/accounts/user-1", {})
    await api.set_clock(NOW + DAY)
    ((kind, data),) = await arrived(told, receiver)
    (run,) = (await api.get("/api/v1/runs")).json()["data"]
    assert (kind, data["run_id"], data["on"]) == ("run.done", run["id"], "2026-01-02")
    assert (data["issued"], data["failed"]) == (1, 0)
    assert "account_id" not in data


async def test_a_run_that_failed_somebody(
    told: Hooks, receiver: Receiver, api: Api, book: Book
) -> None:
    for name in ("user-1", "user-2"):
        await api.put(f"/api/v1/accounts/{name}", {})
    async with owner_of(book.database) as owner:
        await owner.execute(
            """ALTER TABLE daily_grants ADD CONSTRAINT broken
               CHECK (account_id <> 1 OR day_on = '2026-01-01')"""
        )
    await api.set_clock(NOW + DAY, tick=False)
    await tick(book)
    ((kind, data),) = await arrived(told, receiver)
    assert (kind, data["issued"], data["failed"]) == ("run.failed", 1, 1)


async def test_an_event_that_is_parked_is_told_once_until_it_parks_again(
    told: Hooks, receiver: Receiver, api: Api
) -> None:
    event = make_subscription_event("evt_1", "created", NOW, price="price_of_nobody")
    assert await api.deliver(event) == "parked"
    headers = api.headers("operator")
    again = await api.client.post("/api/v1/events/evt_1/replay", headers=headers)
    assert again.json()["outcome"] == "parked"
    found = await arrived(told, receiver)
    assert [kind for kind, _ in found].count("event.parked") == 1
    data = dict(found)["event.parked"]
    assert (data["event_id"], data["subscription_id"]) == ("evt_1", "sub_1")


async def test_a_cause_that_is_rolled_back_told_nothing(
    told: Hooks, receiver: Receiver, api: Api, database: Database
) -> None:
    await api.put("/api/v1/accounts/user-1", {})
    user = Acts(api)
    preview = await user.reverse(await user.journal(await user.grant(5)), dry_run=True)
    assert preview.status_code == 200
    assert [kind for kind, _ in await arrived(told, receiver)] == ["credits.granted"]
    with suppress(ZeroDivisionError):
        async with database.transaction():
            await database.execute("UPDATE accounts SET tier = 'PRO'")
            assert await database.fetchval("SELECT count(*) FROM webhook_messages") == 2
            raise ZeroDivisionError
    assert await arrived(told, receiver) == []


def test_every_type_is_described_for_those_who_receive_it() -> None:
    text = (ROOT / "ops" / "webhooks.md").read_text()
    described = {line.split("`")[1] for line in text.splitlines() if line.startswith("| `")}
    assert {str(one) for one in EventType} <= described
