"""Endpoints and messages as operators handle them."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from app.book import Book
from app.infrastructure import clock, ids
from app.infrastructure.db import Database
from app.jobs.tick import tick
from app.outgoing import endpoints
from tests.api_client import Api
from tests.conftest import NOW
from tests.outgoing.conftest import Hooks
from tests.receiver import Receiver


async def test_a_secret_is_shown_once_and_stands_nowhere_in_the_database(
    hooks: Hooks, receiver: Receiver, database: Database
) -> None:
    made = await hooks.put("main", url=receiver.url, events=["balance.low", "run.done"])
    assert made.status_code == 201
    secret = made.json()["secret"]
    key = base64.b64decode(secret.removeprefix("whsec_"))
    assert 24 <= len(key) <= 64, "as Standard Webhooks has it"
    again = await hooks.put("main", url=receiver.url, ordered=True)
    assert (again.status_code, again.json()["secret"]) == (200, None)
    stands = await hooks.endpoint()
    assert (stands["secret"], stands["events"], stands["ordered"]) == (None, None, True)
    listed = await hooks.api.get("/api/v1/webhook-endpoints", "operator")
    assert [one["id"] for one in listed.json()["data"]] == ["main"]
    assert secret not in listed.text
    (row,) = await database.fetch("SELECT * FROM webhook_endpoints")
    assert key not in row.values()


async def test_endpoints_have_secrets_of_their_own_also_after_a_deletion(
    hooks: Hooks, receiver: Receiver
) -> None:
    seen = set()
    for endpoint_id in ("a", "b", "a"):
        made = await hooks.put(endpoint_id, url=receiver.url)
        seen.add(made.json()["secret"])
        path = f"/api/v1/webhook-endpoints/{endpoint_id}"
        gone = await hooks.api.client.delete(
            path, headers=hooks.api.headers("operator"), params={"reason": "tests"}
        )
        assert gone.status_code == 204
        assert (await hooks.api.get(path, "operator")).json()["code"] == "webhook_endpoint_unknown"
    assert len(seen) == 3


async def test_a_deleted_endpoint_gets_nothing_and_its_messages_are_canceled(
    hooks: Hooks, receiver: Receiver
) -> None:
    await hooks.made(receiver)
    await hooks.tell("run.done")
    path = "/api/v1/webhook-endpoints/main"
    await hooks.api.client.delete(path, headers=hooks.api.headers("operator"))
    await hooks.tell("run.done")
    await hooks.deliver()
    assert receiver.connection_count == 0
    (told,) = await hooks.messages()
    assert told["state"] == "canceled"
    again = await hooks.post(f"webhook-messages/{told['id']}/redeliver")
    assert (again.status_code, again.json()["code"]) == (409, "webhook_endpoint_deleted")


async def test_an_endpoint_gets_only_the_types_that_it_names(
    hooks: Hooks, receiver: Receiver
) -> None:
    await hooks.made(receiver, events=["run.done"])
    await hooks.tell("run.done", "run.failed", "balance.low")
    await hooks.deliver()
    assert receiver.types == ["run.done"]
    refused = await hooks.put("other", url=receiver.url, events=["run.dome"])
    assert refused.status_code == 400
    assert "run.done" in refused.json()["detail"], "it says which there are"
    for events in ([], ["run.done"] * 101):
        assert (await hooks.put("other", url=receiver.url, events=events)).status_code == 400


async def test_without_an_endpoint_nothing_is_written(hooks: Hooks, database: Database) -> None:
    await hooks.tell("run.done", "balance.low")
    assert await database.fetchval("SELECT count(*) FROM webhook_messages") == 0


async def test_each_act_is_recorded_with_its_reason(hooks: Hooks, receiver: Receiver) -> None:
    await hooks.made(receiver, reason="the shop listens")
    await hooks.post("webhook-endpoints/main/roll-secret", {"reason": "yearly"})
    await hooks.tell("run.done")
    (told,) = await hooks.messages()
    await hooks.post(f"webhook-messages/{told['id']}/redeliver", {"reason": "lost"})
    span = {"created_from": NOW.isoformat(), "created_to": (NOW + timedelta(1)).isoformat()}
    sent = await hooks.post("webhook-endpoints/main/redeliver", {**span, "reason": "all lost"})
    assert sent.json() == {"message_count": 1}
    await hooks.api.client.delete(
        "/api/v1/webhook-endpoints/main",
        headers=hooks.api.headers("operator"),
        params={"reason": "closed"},
    )
    acts = (await hooks.api.get("/api/v1/operator-acts")).json()["data"]
    assert [(act["act"], act["subject"], act["reason"]) for act in acts] == [
        ("webhook_endpoint_put", "main", "the shop listens"),
        ("webhook_secret_rolled", "main", "yearly"),
        ("webhook_redelivered", told["id"], "lost"),
        ("webhook_redelivered", "main", "all lost"),
        ("webhook_endpoint_deleted", "main", "closed"),
    ]


async def test_a_time_is_sent_again_and_nothing_beyond_it(
    hooks: Hooks, receiver: Receiver, api: Api
) -> None:
    await hooks.made(receiver)
    for hour in range(4):
        await api.set_clock(NOW + timedelta(hours=hour))
        await hooks.tell("usage.unusual")
    await hooks.deliver()
    before = list(receiver.ids)
    span = {
        "created_from": (NOW + timedelta(hours=1)).isoformat(),
        "created_to": (NOW + timedelta(hours=3)).isoformat(),
    }
    sent = await hooks.post("webhook-endpoints/main/redeliver", span)
    assert sent.json() == {"message_count": 2}
    await hooks.deliver()
    assert receiver.ids == [*before, *before[1:3]]
    unknown = await hooks.post("webhook-endpoints/other/redeliver", span)
    assert unknown.json()["code"] == "webhook_endpoint_unknown"


async def test_the_lists_are_filtered_and_paged(
    hooks: Hooks, receiver: Receiver, api: Api, book: Book
) -> None:
    for endpoint_id in ("a", "b", "c"):
        await hooks.made(receiver, endpoint_id)
    await api.put("/api/v1/accounts/user-1", {})
    number = await book.database.fetchval("SELECT id FROM accounts")
    await hooks.tell("balance.low", "balance.depleted", account_id=number)
    await hooks.tell("run.done")

    async def walked(path: str, **filters: Any) -> list[str]:
        seen: list[str] = []
        cursor = None
        while True:
            more = {} if cursor is None else {"cursor": cursor}
            answer = await api.get(f"/api/v1/{path}", "operator", limit=2, **filters, **more)
            page = answer.json()
            seen += [one["id"] for one in page["data"]]
            if (cursor := page["next_cursor"]) is None:
                return seen

    assert await walked("webhook-endpoints") == ["a", "b", "c"]
    whole = await walked("webhook-messages")
    assert len(whole) == 9
    assert whole == sorted(whole)
    assert len(await walked("webhook-messages", endpoint_id="b")) == 3
    assert len(await walked("webhook-messages", account_id="user-1")) == 6
    assert len(await walked("webhook-messages", type="run.done", state="pending")) == 3
    assert await walked("webhook-messages", state="dead") == []


async def test_endpoints_are_at_most_so_many(
    hooks: Hooks, receiver: Receiver, monkeypatch: Any
) -> None:
    monkeypatch.setattr(endpoints, "ENDPOINTS_MAX", 2)
    for endpoint_id in ("a", "b"):
        await hooks.made(receiver, endpoint_id)
    assert (await hooks.put("a", url=receiver.url)).status_code == 200
    refused = await hooks.put("c", url=receiver.url)
    assert (refused.status_code, refused.json()["code"]) == (409, "webhook_endpoints_full")


async def test_ids_in_payloads_are_those_of_the_api(database: Database) -> None:
    for number in (1, 31, 32, 42, 10**12, 2**63 - 1):
        told = await database.fetchval("SELECT public_id('jrn', $1)", number)
        assert told == ids.public(ids.JOURNAL, number)


async def test_messages_are_kept_for_thirty_days_and_what_waits_for_longer(
    hooks: Hooks, receiver: Receiver, api: Api, book: Book
) -> None:
    await hooks.made(receiver, events=["run.failed", "event.parked", "usage.unusual"])
    await hooks.tell("run.failed", "event.parked")
    await book.database.execute(
        """UPDATE webhook_messages SET state = 'delivered', delivered_at = now()
            WHERE type = 'run.failed'"""
    )
    await api.set_clock(NOW + timedelta(days=1))
    await hooks.tell("usage.unusual")
    await book.database.execute("UPDATE webhook_messages SET state = 'dead' WHERE type ~ 'usage'")
    await clock.stand(book.database, NOW + timedelta(days=30, seconds=-1))
    await tick(book)
    assert len(await hooks.messages()) == 3
    await clock.stand(book.database, NOW + timedelta(days=30))
    await tick(book)
    assert await hooks.states() == [("event.parked", "pending"), ("usage.unusual", "dead")]


async def test_no_server_removes_a_message_by_itself(
    hooks: Hooks, receiver: Receiver, database: Database
) -> None:
    await hooks.made(receiver)
    await hooks.tell("run.done")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await database.execute("DELETE FROM webhook_messages")
