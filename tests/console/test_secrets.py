"""Keys and webhooks' secrets: shown once, made once however often the form is sent."""

from __future__ import annotations

import re
from collections.abc import Callable

from app.infrastructure.db import Database
from tests.api_client import Api
from tests.console.conftest import Browser

SECRET = re.compile(r'aria-label="The secret">([^<]+)</pre>')
URL = "http://127.0.0.1:9/hook"


def secret_of(page: str) -> str:
    found = SECRET.search(page)
    assert found is not None, page
    return found[1]


async def test_a_key_is_made_once_shown_once_and_revoked(
    operator: Browser, api: Api, new_browser: Callable[[], Browser], database: Database
) -> None:
    await operator.get("/console/keys")
    before = await database.fetchval("SELECT count(*) FROM api_keys")
    fields = {
        "name": "the shop",
        "service": "true",
        "reason": "a new back end",
        "act_key": operator.act_key(),
    }
    answer = await operator.send("/console/keys", **fields)
    token = secret_of(answer.text)
    # A double click: the browser shows the second answer, and the first is lost.
    assert secret_of((await operator.send("/console/keys", **fields)).text) == token
    assert await database.fetchval("SELECT count(*) FROM api_keys") == before + 1
    row = await database.fetchrow("SELECT * FROM operator_acts")
    assert row is not None
    assert (row["act"], row["reason"]) == ("key_created", "a new back end")
    bearer = {"Authorization": f"Bearer {token}"}
    keyring = api.client._transport.app.state.keyring  # type: ignore[attr-defined]
    keyring._read_at = float("-inf")  # as a quarter of a second later
    assert (await api.client.get("/api/v1/accounts", headers=bearer)).status_code == 200
    assert token not in await operator.get("/console/keys")

    key_id = token.split("_")[1]
    revoke = {"reason": "leaked", "act_key": "k"}
    told = await operator.act(f"/console/keys/{key_id}/revoke", **revoke)
    assert f"{key_id} is revoked" in told
    keyring._read_at = float("-inf")
    assert (await api.client.get("/api/v1/accounts", headers=bearer)).status_code == 401


async def test_another_form_or_session_makes_another_key(
    operator: Browser, database: Database
) -> None:
    await operator.get("/console/keys")
    fields = {"name": "x", "read": "true", "reason": "x"}
    one = secret_of((await operator.send("/console/keys", act_key="k-1", **fields)).text)
    other = secret_of((await operator.send("/console/keys", act_key="k-2", **fields)).text)
    assert one != other


async def test_no_key_that_may_correct_is_made_here(operator: Browser, database: Database) -> None:
    await operator.get("/console/keys")
    before = await database.fetchval("SELECT count(*) FROM api_keys")
    fields = {"name": "x", "reason": "x", "act_key": "k"}
    answer = await operator.send("/console/keys", operator="true", **fields)
    assert answer.status_code == 400
    answer = await operator.send("/console/keys", **fields)
    assert answer.status_code == 422
    assert await database.fetchval("SELECT count(*) FROM api_keys") == before


async def test_an_endpoint_is_made_changed_rolled_and_deleted(
    operator: Browser, database: Database
) -> None:
    page = await operator.get("/console/webhooks")
    assert "Nobody is told of anything" in page
    fields = {"endpoint_id": "shop", "url": URL, "reason": "to be told", "act_key": "k-1"}
    secret = secret_of((await operator.send("/console/webhooks", **fields)).text)
    assert secret.startswith("whsec_")
    assert secret_of((await operator.send("/console/webhooks", **fields)).text) == secret
    changed = {**fields, "events": "balance.low, tier.changed", "act_key": "k-2"}
    assert "shop was changed." in await operator.act("/console/webhooks", **changed)
    wrong = await operator.send("/console/webhooks", **{**changed, "events": "x", "act_key": "k-3"})
    assert wrong.status_code == 400

    path = "/console/webhooks/endpoints/shop"
    roll = {"reason": "leaked", "act_key": "k-4"}
    rolled = secret_of((await operator.send(f"{path}/roll-secret", **roll)).text)
    assert rolled != secret
    assert secret_of((await operator.send(f"{path}/roll-secret", **roll)).text) == rolled
    delete = {"reason": "gone", "act_key": "k-5"}
    await operator.act(f"{path}/delete", **delete)
    assert (await operator.send(f"{path}/delete", **delete)).status_code == 303
    acts = await database.fetch("SELECT act FROM operator_acts ORDER BY id")
    assert [row["act"] for row in acts] == [
        "webhook_endpoint_put",
        "webhook_endpoint_put",
        "webhook_secret_rolled",
        "webhook_endpoint_deleted",
    ]


async def test_a_message_is_sent_again(operator: Browser, api: Api, database: Database) -> None:
    await operator.get("/console/webhooks")
    fields = {"endpoint_id": "shop", "url": URL, "reason": "to be told", "act_key": "k-1"}
    await operator.send("/console/webhooks", **fields)
    await api.put("/api/v1/accounts/user-1", {})
    await api.client.post(
        "/api/v1/accounts/user-1/grants",
        json={"amount": 1, "reason": "a gift"},
        headers=api.headers("operator", **{"Idempotency-Key": "k"}),
    )
    number = await database.fetchval("SELECT min(id) FROM webhook_messages")
    await database.execute("UPDATE webhook_messages SET state = 'dead'")
    page = await operator.get("/console/webhooks", state="dead")
    (path,) = set(re.findall(r'"(/console/webhooks/messages/msg_\w+)"', page))
    await operator.get(path)
    again = {"reason": "it is mended", "act_key": "k-2"}
    assert "It is sent again." in await operator.act(f"{path}/redeliver", **again)
    state = await database.fetchval("SELECT state FROM webhook_messages WHERE id = $1", number)
    assert state == "pending"
