"""The webhook's door: only what Stripe signed comes in, and nothing it signed breaks us."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.infrastructure.db import Database
from app.web.http import body
from app.web.webhook import WEBHOOK_BODY_BYTES_MAX
from app.webhooks.inbox import Verdict
from app.webhooks.signature import sign
from tests.api_client import Api
from tests.conftest import NOW
from tests.stripe_events import make_subscription_event

WEBHOOK = "/api/webhooks/stripe"


async def post(api: Api, payload: bytes, header: str | None = None) -> httpx.Response:
    stated = sign(payload, api.secret, int(time.time())) if header is None else header
    return await api.client.post(
        WEBHOOK, content=payload, headers=[(b"Stripe-Signature", stated.encode("latin-1"))]
    )


def event(size: int = 0) -> bytes:
    made = make_subscription_event("evt_1", "created", NOW)
    made["data"]["object"]["metadata"] = {"filler": ""}
    missing = max(0, size - len(orjson.dumps(made)))
    made["data"]["object"]["metadata"] = {"filler": "x" * missing}
    return orjson.dumps(made)


async def inbox(database: Database) -> int:
    return int(await database.fetchval("SELECT count(*) FROM events"))


async def test_a_body_of_512_kib_comes_in_and_one_byte_more_does_not(
    api: Api, database: Database
) -> None:
    large = event(WEBHOOK_BODY_BYTES_MAX)
    assert len(large) == 524_288
    answer = await post(api, large + b" ")
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert await inbox(database) == 0
    answer = await post(api, large)
    assert answer.json() == {"event_id": "evt_1", "outcome": "applied"}


def hostile(good: str) -> list[str]:
    stated, signature = good.split(",")
    return [
        "",
        ",",
        "=",
        "t",
        "v1",
        "t=,v1=",
        stated,
        signature,
        f"{stated},v1=",
        f"{stated},v0=x",
        f"{stated},{signature[:-1]}",
        f"{stated},{signature}0",
        f"{stated},v1={'0' * 64}",
        f"t=0,{signature}",
        f"t=-1,{signature}",
        f"t=1e9,{signature}",
        f"t={'9' * 400},{signature}",
        f"t=nan,{signature}",
        f"{stated},{stated},{signature}",
        f"{stated}0,{signature}",
        f"t=\u00b2,{signature}",
        f"{stated},v1=\u00ff",
        f"{stated},v1=\x00",
        f"{stated},{signature},{'v1=0,' * 5_000}",
        "\u00e9" * 100,
        f"{stated};{signature}",
        f"{stated},{signature}".upper(),
    ]


async def test_hostile_signatures_are_a_400_and_store_nothing(api: Api, database: Database) -> None:
    payload = event()
    for header in hostile(sign(payload, api.secret, int(time.time()))):
        answer = await post(api, payload, header)
        told = (answer.status_code, answer.json()["code"])
        assert told == (400, "invalid_signature"), header[:80]
        assert answer.headers["content-type"] == "application/problem+json"
    none = await api.client.post(WEBHOOK, content=payload)
    assert (none.status_code, none.json()["code"]) == (400, "invalid_signature")
    assert await inbox(database) == 0


@pytest.mark.parametrize("age_s", [-301, 301, -(10**6), 10**6])
async def test_a_signature_of_another_time_is_refused(api: Api, age_s: int) -> None:
    # A second passes more easily than it should on a busy machine: two beside the bound.
    payload = event()
    at = int(time.time()) - age_s - (2 if age_s > 0 else -2)
    answer = await post(api, payload, sign(payload, api.secret, at))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_signature")


@pytest.mark.parametrize("number", [0, 1])
async def test_either_secret_opens_while_one_is_rolled(api: Api, settings, number: int) -> None:
    payload = event()
    secret = settings.stripe_webhook_secrets[number]
    assert (await post(api, payload, sign(payload, secret, int(time.time())))).status_code == 200


async def test_a_signature_of_another_body_is_refused(api: Api, database: Database) -> None:
    header = sign(event(), api.secret, int(time.time()))
    answer = await post(api, event() + b" ", header)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_signature")
    assert await inbox(database) == 0


async def test_a_body_that_comes_too_slowly_is_cut_off(
    api: Api, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert body.BODY_SECONDS_MAX <= 10, "Stripe gives up after 20 s"
    monkeypatch.setattr(body, "BODY_SECONDS_MAX", 0.2)  # the limit, so that the test is quick
    payload = event()

    async def dripping() -> AsyncIterator[bytes]:
        yield payload[:100]
        await asyncio.sleep(3_600)
        yield payload[100:]

    header = sign(payload, api.secret, int(time.time()))
    answer = await api.client.post(
        WEBHOOK, content=dripping(), headers={"Stripe-Signature": header}
    )
    assert (answer.status_code, answer.json()["code"]) == (408, "body_too_slow")
    assert await inbox(database) == 0


NO_EVENTS = (
    b"",
    b"{}",
    b"[]",
    b"null",
    b"1",
    b'"x"',
    b"{",
    b"\xff",
    b"\x00",
    b"[" * 50_000 + b"]" * 50_000,
    b'{"id": 1}',
    b'{"id": "evt_1"}',
    b'{"id": "evt_1", "type": "x", "created": "y"}',
    b'{"id": "evt_\\u0000", "type": "x", "created": 1, "livemode": false, "data": {"object": {}}}',
    b'{"id": "", "type": "x", "created": 1, "livemode": false, "data": {"object": {}}}',
    b'{"id": "evt_1", "type": "x", "created": 1e300, "livemode": false, "data": {"object": {}}}',
    b'{"id": "evt_1", "type": "x", "created": -1, "livemode": false, "data": {"object": {}}}',
)


async def test_what_is_signed_and_no_event_is_a_400(api: Api, database: Database) -> None:
    wrong = {}
    for payload in NO_EVENTS:
        answer = await post(api, payload)
        if (answer.status_code, answer.json().get("code")) != (400, "invalid_payload"):
            wrong[payload[:80]] = answer.text
    assert wrong == {}
    assert await inbox(database) == 0


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
# Where Stripe's object is bent: every place that is read, and some that are not.
PLACES = (
    ("created",),
    ("livemode",),
    ("type",),
    ("api_version",),
    ("data",),
    ("data", "object"),
    ("data", "previous_attributes"),
    ("data", "object", "id"),
    ("data", "object", "customer"),
    ("data", "object", "status"),
    ("data", "object", "items"),
    ("data", "object", "metadata"),
    ("data", "object", "items", "data"),
    ("data", "object", "items", "data", 0),
    ("data", "object", "items", "data", 0, "price"),
    ("data", "object", "cancel_at_period_end"),
    ("data", "object", "items", "data", 0, "price", "id"),
    ("data", "object", "items", "data", 0, "price", "recurring"),
    ("data", "object", "items", "data", 0, "current_period_end"),
    ("data", "object", "trial_end"),
    ("request",),
)


@settings(max_examples=120)
@given(place=st.sampled_from(PLACES), value=json_values, number=st.integers(1, 10**9))
async def test_no_signed_event_is_a_fault_of_ours(
    api: Api, database: Database, place: tuple[str | int, ...], value: object, number: int
) -> None:
    """Whatever stands anywhere in it, it is taken in with a verdict or is no event."""
    event_id = f"evt_{number}"
    bent = make_subscription_event(event_id, "updated", NOW, subscription=f"sub_{number % 5}")
    *above, last = place
    node = bent
    for step in above:
        node = node[step]
    node[last] = value
    try:
        payload = orjson.dumps(bent)
    except TypeError:  # an integer beyond eight bytes, which Stripe does not send either
        return
    answer = await post(api, payload)
    if answer.status_code == 400:
        assert answer.json()["code"] == "invalid_payload"
    else:
        assert answer.status_code == 200, answer.text
        assert answer.json()["event_id"] == event_id
        outcome = Verdict(answer.json()["outcome"])
        assert outcome is not Verdict.QUEUED, await database.fetchval(
            "SELECT error FROM events WHERE id = $1", event_id
        )
