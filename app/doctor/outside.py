"""Check the service as callers see it: ready, described, guarded, reached by webhooks."""

from __future__ import annotations

import secrets
import time
from typing import Final

import httpx
import orjson

from app.doctor.finding import Finding, fail, ok, warn
from app.doctor.surroundings import Surroundings, host_of, is_loopback
from app.webhooks.signature import sign

ANSWER_SECONDS_MAX: Final = 10.0
PING_TYPE: Final = "tallybook.ping"  # not one of Stripe's event types: stored, and ignored


async def findings(around: Surroundings) -> list[Finding]:
    """Check the service over HTTP at --url."""
    if around.url is None:
        remedy = "add --url https://YOUR-HOST, from outside if you can"
        return [warn("HTTP", "not examined: no --url is given", remedy)]
    # trust_env=False: Stripe does not come through a proxy of this machine.
    async with httpx.AsyncClient(
        base_url=around.url, timeout=ANSWER_SECONDS_MAX, trust_env=False
    ) as http:
        try:
            return [
                await _ready(http), await _described(http), await _guarded(http),
                await _metrics(http, around), *await _pings(http, around),
            ]  # fmt: skip
        except httpx.TransportError as error:
            said = f"{around.url} does not answer: {type(error).__name__} {error}"
            return [fail("HTTP", said, "start `tallybook serve`; look at DNS, firewall and TLS")]


async def _ready(http: httpx.AsyncClient) -> Finding:
    answer = await http.get("/health/ready")
    told = _json(answer)
    if answer.status_code != 200:
        said = f"answers {answer.status_code}: {told.get('detail', '')}"
        return fail("ready", said, "see the server's log")
    degraded = told.get("degraded") or []
    if isinstance(degraded, list) and degraded:
        said = f"serving, with {', '.join(map(str, degraded))}"
        return warn("ready", said, "see ops/runbook.md")
    return ok("ready", "serving, nothing degraded")


async def _described(http: httpx.AsyncClient) -> Finding:
    answer = await http.get("/schema/openapi.json")
    paths = _json(answer).get("paths")
    if answer.status_code != 200 or not isinstance(paths, dict):
        said = f"/schema/openapi.json answers {answer.status_code}"
        return fail("OpenAPI", said, "let the proxy pass /schema")
    return ok("OpenAPI", f"describes {len(paths)} paths")


async def _guarded(http: httpx.AsyncClient) -> Finding:
    answer = await http.get("/api/v1/ledger/entries")
    if answer.status_code != 401:
        said = f"the ledger answers {answer.status_code} to a caller without a key"
        return fail("keys", said, "look at the proxy: this answer is not Tallybook's")
    return ok("keys", "the ledger answers 401 to a caller without one")


async def _metrics(http: httpx.AsyncClient, around: Surroundings) -> Finding:
    answer = await http.get("/metrics")
    if answer.status_code == 200 and not is_loopback(host_of(around.url or "")):
        return warn(
            "metrics", "anybody may read /metrics", "let the proxy refuse it, as those in ops/ do"
        )
    return ok("metrics", "not for everybody beyond this machine")


async def _pings(http: httpx.AsyncClient, around: Surroundings) -> list[Finding]:
    """Send a signed ping for each secret; there are two during a rotation."""
    listed = (around.read("STRIPE_WEBHOOK_SECRET") or "").split(",")
    known = [secret.strip() for secret in listed if secret.strip()]
    if not known:
        return [fail("webhook", "there is no secret to sign a ping with", "set it")]
    return [
        await _ping(http, around, secret, f"webhook {number}" if len(known) > 1 else "webhook")
        for number, secret in enumerate(known, start=1)
    ]


def _harmless(now_unix: int, *, livemode: bool) -> bytes:
    return orjson.dumps(
        {
            "id": f"evt_doctor_{secrets.token_hex(8)}",
            "object": "event",
            "api_version": None,
            "created": now_unix,
            "data": {"object": {"object": "ping"}},
            "livemode": livemode,
            "type": PING_TYPE,
        }
    )


async def _ping(http: httpx.AsyncClient, around: Surroundings, secret: str, name: str) -> Finding:
    now = int(time.time())
    payload = _harmless(now, livemode=around.is_true("TALLYBOOK_LIVEMODE"))
    headers = {"Stripe-Signature": sign(payload, secret, now), "Content-Type": "application/json"}
    answer = await http.post("/api/webhooks/stripe", content=payload, headers=headers)
    told = _json(answer)
    if answer.status_code != 200:
        said = f"a signed event is answered {answer.status_code} {told.get('code', '')}".strip()
        return fail(
            name,
            said,
            "give the server and doctor the same secret; the proxy must not change the body",
        )
    if told.get("outcome") != "ignored":
        said = f"a harmless event was {told.get('outcome')}"
        return fail(name, said, "give the server and doctor the same TALLYBOOK_LIVEMODE")
    return ok(name, "a signed event arrives, and its signature is accepted")


def _json(answer: httpx.Response) -> dict[str, object]:
    try:
        told = orjson.loads(answer.content)
    except orjson.JSONDecodeError:
        return {}
    return told if isinstance(told, dict) else {}
