"""The story that the description's examples are taken from: two days of one account."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx

from app.web.http.openapi_examples import JSON_TYPES
from app.webhooks.signature import sign
from tests.stripe_events import make_subscription_event

ACCOUNT: Final = "/api/v1/accounts/{account_id}"
HOLD: Final = "/api/v1/holds/{hold_id}"
SUBSCRIPTION: Final = "/api/v1/subscriptions/{subscription_id}"
EVENT: Final = "/api/v1/events/{event_id}"
CLOCK: Final = "/api/v1/dev/clock"
LEDGER: Final = "/api/v1/ledger"
BEGIN: Final = datetime(2026, 1, 30, 9, tzinfo=UTC)
MORNING: Final = datetime(2026, 1, 31, 9, tzinfo=UTC)

ENDPOINT: Final = {
    "id": "shop",
    "url": "https://shop.example/hooks",
    "events": ["balance.low", "balance.recovered"],
    "ordered": True,
    "secret": None,
    "also_signs_until": None,
    "pending_count": 0,
    "created_at": "2026-01-30T09:00:00.000000Z",
    "failing_since": None,
    "disabled_at": None,
    "disabled_reason": None,
}
SECRET: Final = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw4qV3p1rFQ2Y="
MESSAGE: Final = {
    "id": "msg_000000000001a",
    "endpoint_id": "shop",
    "type": "balance.low",
    "account_id": "user-42",
    "data": {"tier": "PRO", "balance": 14, "threshold": 15, "alert_id": "alr_0000000000001"},
    "state": "pending",
    "attempt_count": 1,
    "effective_at": "2026-01-31T09:14:03.512345Z",
    "created_at": "2026-01-31T09:14:04.012345Z",
    "next_attempt_at": "2026-01-31T09:14:09.512345Z",
    "last_attempt_at": "2026-01-31T09:14:04.412345Z",
    "last_status": 503,
    "last_error": None,
    "delivered_at": None,
}
VERIFICATION: Final = {
    "id": "ver_0000000000003",
    "state": "clean",
    "asked_by": "0anna00001",
    "started_at": "2026-01-31T09:30:00.000000Z",
    "finished_at": "2026-01-31T09:30:02.400000Z",
    "check_count": 1,
    "done_count": 1,
    "difference_count": 0,
    "error": None,
    "checks": [
        {"name": "every account's sides are the sum of its entries", "rows": 12, "differences": []}
    ],
}
BEGUN: Final = {"state": "going", "finished_at": None, "done_count": 0, "checks": []}
ENDPOINTS: Final = "/api/v1/webhook-endpoints"

CHECKPOINT: Final = (
    "books.example.com\n9\nsj3Xb8EMDXvE2YD8cIFZP2pSRW2lu0yCRjNmyl3wMXM=\n"
    "balances XvqmUV1ZFb5ygAiHmBDyUCgY5+dvFQcDpRAT4kQmv6k=\n"
    "totals accounts=1 free=12 held=5 debt=0\n"
    "horizon 2026-01-31T09:29:59.999999Z\nentry 9\nschema 2026-11-26T15:00:00:000000\nepoch 1\n"
    "catalogue 1 63b3jvLXKZAobuvmyZ6dBJXPhfo4pAyBnOaBGlBNjDo=\n\n"
    "— books.example.com mZL8OqwbGHzoUVjFSt0o9MHvZmc4qvW9YGAyXVoQk8LbuHxYbzcvLkYJvGiCFpPyGbGc9T9"
    "SYkgYZDNv2YJ0Vf9bDgQ=\n"
)
SEAL: Final = {
    "size": 9,
    "horizon_at": "2026-01-31T09:29:59.999999Z",
    "sealed_at": "2026-01-31T09:30:00.000000Z",
    "checkpoint": CHECKPOINT,
    "consistency": None,
}

EVIDENCE: Final = {
    "format": "tallybook-evidence/1",
    "id": "user-42",
    "at": None,
    "checkpoint": CHECKPOINT,
    "keys": [],
    "accounts": [
        {
            "account": 1,
            "balance": {
                "account": 1,
                "entry": 9,
                "entries": 9,
                "free": 12,
                "held": 5,
                "debt": 0,
            },
            "path": [None] * 40,
            "names": [
                {
                    "name": "user-42",
                    "salt": "5c7e1f0be9a04aa58e1f3d9f6d4a2c11",
                    "hash": "0d1e6a2cbb8d8f6f5fd9a1ad8a1c1ee0b4c4bb1f8e6a1c5c6f53ef7c76a0f1d2",
                }
            ],
        }
    ],
    "entries": [],
    "nodes": ["sj3Xb8EMDXvE2YD8cIFZP2pSRW2lu0yCRjNmyl3wMXM="],
    "since": None,
    "sha256": "a17d3f0c1f4e7be7f2de3ab7d3a7d98ee6c3f3c6fbd0c5d61a2f6a2e4b1c9d70",
}

# Links are signed by the pepper.
PAGE: Final = (
    "WzEsMTc2OTg0OTIwMDAwMDAwMCwxNzY5ODU1NDAwXQ.FlqOTnFi6oRgLZbXkS7fWlv1E9XnLjnJcQ3m0lqYp4c"
)
# Seals are signed by random keys, over random salts. Stripe's pages are Stripe's; secrets are
# random; webhooks are sent, and verifications timed, by the world's clock; the metrics are many,
# and a few lines tell their form.
WRITTEN: Final[dict[str, Any]] = {
    f"POST {ACCOUNT}/checkout-sessions": {
        "body": {"price": "price_pack_100", "success_url": "https://shop.example/thanks"},
        "201": {
            "id": "cs_test_a1YS1URlnyQCN5fUUduORoQ7Pw41PJqDWkIVQCpJPqkfIhd6tVY8XB1OLY",
            "url": "https://checkout.stripe.com/c/pay/cs_test_a1YS1URlnyQCN5fUUduORoQ7Pw41",
        },
    },
    f"POST {ACCOUNT}/page-links": {
        "body": {
            "theme": "light",
            "accent": "#0a7d5c",
            "return_url": "https://shop.example/account",
            "offers": [{"price": "price_pack_100", "label": "100 more credits"}],
        },
        "201": {
            "url": f"https://credits.example/pages/{PAGE}",
            "path": f"/pages/{PAGE}",
            "expires_at": "2026-01-31T10:30:00.000000Z",
        },
    },
    f"POST {ACCOUNT}/portal-sessions": {
        "body": {"return_url": "https://shop.example/account"},
        "201": {"url": "https://billing.stripe.com/p/session/test_YWNjdF8xTTJKVGtMa2RJd0h1N2l4"},
    },
    f"PUT {ENDPOINTS}/{{endpoint_id}}": {
        "body": {name: ENDPOINT[name] for name in ("url", "events", "ordered")}
        | {"reason": "the shop listens"},
        "200": ENDPOINT,
        "201": ENDPOINT | {"secret": SECRET},
    },
    f"GET {ENDPOINTS}/{{endpoint_id}}": {"200": ENDPOINT},
    f"GET {ENDPOINTS}": {"200": {"data": [ENDPOINT], "next_cursor": None}},
    f"POST {ENDPOINTS}/{{endpoint_id}}/roll-secret": {
        "body": {"reason": "yearly"},
        "200": ENDPOINT | {"secret": SECRET, "also_signs_until": "2026-02-01T09:00:00.000000Z"},
    },
    f"POST {ENDPOINTS}/{{endpoint_id}}/redeliver": {
        "body": {
            "created_from": "2026-01-31T09:00:00Z",
            "created_to": "2026-01-31T10:00:00Z",
            "reason": "the shop was restored from its backup",
        },
        "200": {"message_count": 12},
    },
    "GET /api/v1/webhook-messages": {"200": {"data": [MESSAGE], "next_cursor": None}},
    "POST /api/v1/webhook-messages/{message_id}/redeliver": {
        "body": {"reason": "the shop lost it"},
        "200": MESSAGE | {"attempt_count": 0},
    },
    f"GET {ACCOUNT}/evidence": {"200": EVIDENCE},
    "POST /api/v1/verifications": {
        "202": {**VERIFICATION, **BEGUN},
        "200": {**VERIFICATION, **BEGUN},
    },
    "GET /api/v1/verifications": {"200": {"data": [VERIFICATION], "next_cursor": None}},
    "GET /api/v1/verifications/{verification_id}": {"200": VERIFICATION},
    "GET /api/v1/seals": {"200": {"data": [SEAL], "next_cursor": None}},
    "GET /api/v1/seals/tiles/{level}/{number}": {
        "200": {"application/octet-stream": "the hashes, 32 bytes each"}
    },
    "GET /api/v1/seals/log/checkpoint": {"200": {"text/plain": SEAL["checkpoint"]}},
    "GET /api/v1/seals/log/tile/{place}": {
        "200": {"application/octet-stream": "hashes, or entries behind their lengths"}
    },
    "GET /api/v1/seals/{size}": {
        "200": SEAL | {"consistency": ["sj3Xb8EMDXvE2YD8cIFZP2pSRW2lu0yCRjNmyl3wMXM="]}
    },
    "GET /.well-known/tallybook-seal-keys": {
        "200": {
            "keys": [
                {
                    "key": "books.example+9992fc3a+AfhtQ3VJ7h5+fEhFNOTPZ5VJCIEXJX1jAvR0QFdtx0Hf",
                    "first_size": 1,
                }
            ]
        }
    },
    "GET /metrics": {
        "200": {
            "text/plain": "# TYPE tallybook_spend_seconds histogram\n"
            'tallybook_spend_seconds_bucket{le="0.01"} 9871.0\n'
            "tallybook_spend_seconds_count 9874.0\n"
        }
    },
}


class Story:
    """Calls the service with a key of each scope, and keeps what was asked and answered."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        tokens: dict[str, str],
        secret: str,
        tick: Callable[[], Awaitable[object]],
    ) -> None:
        self._client = client
        self._tokens = tokens
        self._secret = secret
        self.tick = tick
        self._now = BEGIN
        self.parameters = {
            "account_id": "user-42",
            "event_id": "evt_1MqqbKLt4dXK03v5qaIbiNCC",
            "subscription_id": "sub_1MowQVLkdIwHu7ixeRlqHVzs",
            "Idempotency-Key": "render-9871",
            "endpoint_id": "shop",
            "size": 9,
            "level": 0,
            "number": 0,
            "place": "0/000",
            "message_id": MESSAGE["id"],
            "verification_id": VERIFICATION["id"],
        }
        self.operations: dict[str, Any] = json.loads(json.dumps(WRITTEN))

    async def call(
        self, name: str, status: int, body: object = None, *, by: str = "operator", **headers: str
    ) -> Any:
        """Make the call, be answered so, and keep the first body and answer of each status."""
        operation, _, query = name.partition("?")
        method, path = operation.split()
        filled = re.sub(r"\{(\w+)\}", lambda place: self.parameters[place[1]], path)
        stated = {"Authorization": f"Bearer {self._tokens[by]}"} | {
            key.replace("_", "-"): value for key, value in headers.items()
        }
        answer = await self._client.request(
            method, f"{filled}?{query}" if query else filled, json=body, headers=stated
        )
        assert answer.status_code == status, f"{name}: {answer.text}"
        return self._kept(operation, body, answer)

    def _kept(self, operation: str, body: object, answer: httpx.Response) -> Any:
        kept = self.operations.setdefault(operation, {})
        if body is not None:
            kept.setdefault("body", body)
        kind = answer.headers["content-type"].partition(";")[0]
        if kind not in JSON_TYPES:  # the export has two forms, and an example of each
            return kept.setdefault(str(answer.status_code), {}).setdefault(kind, answer.text)
        kept.setdefault(str(answer.status_code), answer.json())
        return answer.json()

    async def deliver(self, event: dict[str, Any]) -> None:
        """Send an event as Stripe does."""
        payload = json.dumps(event).encode()
        answer = await self._client.post(
            "/api/webhooks/stripe",
            content=payload,
            headers={"Stripe-Signature": sign(payload, self._secret, int(time.time()))},
        )
        assert answer.status_code == 200, answer.text
        self._kept("POST /api/webhooks/stripe", event, answer)

    async def at(self, moment: datetime, *, tick: bool = False) -> None:
        """Time passes; without the ticks, as if no cron ran."""
        self._now = moment
        body = {"now": moment.isoformat().replace("+00:00", "Z"), "tick": tick}
        await self.call(f"PUT {CLOCK}", 200, body)

    def tomorrow(self) -> datetime:
        """The same time of the next day."""
        return self._now + timedelta(days=1)

    async def later(self, minutes: int = 1) -> None:
        """Some minutes pass."""
        await self.at(self._now + timedelta(minutes=minutes))


async def tell(story: Story) -> None:
    """All of it."""
    await story.at(BEGIN, tick=True)
    await _begins(story)
    await story.at(MORNING)
    await _a_day_is_opened(story)
    await _spends(story)
    await _holds(story)
    await _is_given_credits(story)
    await _has_not_enough(story)
    # The minute's tick raises what there is to tell.
    await story.at(MORNING + timedelta(minutes=30))
    await story.tick()
    await _auditors_look(story)
    await _mistakes_are_taken_back(story)
    await _the_cron_comes(story)
    await _ends(story)


async def _begins(story: Story) -> None:
    body = {"stripe_customer_id": "cus_NffrFeUfNV2Hib", "time_zone": "Europe/Berlin"}
    await story.call(f"PUT {ACCOUNT}", 201, body, by="service")
    await story.later()
    event = make_subscription_event(
        story.parameters["event_id"],
        "created",
        BEGIN,
        subscription=story.parameters["subscription_id"],
        customer="cus_NffrFeUfNV2Hib",
    )
    await story.deliver(event)


async def _a_day_is_opened(story: Story) -> None:
    await story.call("GET /api/v1/accounts?tier=PRO&limit=2", 200, by="service")
    asked = {"account_ids": ["user-42", "nobody"]}
    await story.call("POST /api/v1/accounts/balances", 200, asked, by="service")
    await story.call("POST /api/v1/runs", 200, {"on": "2026-01-31", "dry_run": True})
    runs = (await story.call("POST /api/v1/runs", 202, {}))["runs"]
    story.parameters["run_id"] = runs[0]["id"]


async def _spends(story: Story) -> None:
    await story.later()
    spent = await story.call(
        f"POST {ACCOUNT}/spends",
        201,
        {"amount": 3, "reason": "one rendering", "metadata": {"job": "9871"}},
        by="service",
        Idempotency_Key=story.parameters["Idempotency-Key"],
    )
    story.parameters["journal_id"] = spent["id"]
    await story.later()
    await story.call(
        f"POST {ACCOUNT}/returns",
        201,
        {"spend_id": spent["id"], "amount": 1, "reason": "one frame failed"},
        by="service",
        Idempotency_Key="render-9871-failed",
    )
    await story.later()
    spends = [
        {"account_id": "user-42", "amount": 1, "idempotency_key": "render-9872"},
        {"account_id": "user-42", "amount": 50, "idempotency_key": "render-9873"},
    ]
    await story.call("POST /api/v1/spends/batch", 200, {"spends": spends}, by="service")


async def _holds(story: Story) -> None:
    await story.later()
    wanted = {"amount": 5, "expires_in_s": 600}
    place = f"POST {ACCOUNT}/holds"
    first = await story.call(place, 201, wanted, by="service", Idempotency_Key="film-1")
    story.parameters["hold_id"] = first["id"]
    await story.call(f"GET {HOLD}", 200, by="service")
    longer = {"expires_in_s": 900}
    await story.call(
        f"POST {HOLD}/extend", 200, longer, by="service", Idempotency_Key="film-1-long"
    )
    await story.call(f"GET {ACCOUNT}/holds", 200, by="service")
    await story.later()
    capture = f"POST {HOLD}/capture"
    owed = {"amount": 50_000, "over": "debt"}
    await story.call(capture, 402, owed, by="service", Idempotency_Key="film-1-huge")
    await story.call(capture, 200, {"amount": 4}, by="service", Idempotency_Key="film-1-done")
    second = await story.call(place, 201, wanted, by="service", Idempotency_Key="film-2")
    story.parameters["hold_id"] = second["id"]
    await story.later()
    await story.call(f"POST {HOLD}/release", 200, by="service", Idempotency_Key="film-2-failed")
    story.parameters["hold_id"] = first["id"]


async def _has_not_enough(story: Story) -> None:
    for what in ("spends", "holds", "adjustments"):
        body = {"amount": -50 if what == "adjustments" else 50, "reason": "too much"}
        await story.call(f"POST {ACCOUNT}/{what}", 402, body, Idempotency_Key=f"all-{what}")


async def _is_given_credits(story: Story) -> None:
    await story.later()
    granted = await story.call(
        f"POST {ACCOUNT}/grants",
        201,
        {"amount": 10, "reason": "an apology", "expires_at": "2026-02-28T23:00:00Z"},
        Idempotency_Key="apology-1",
    )
    story.parameters["granted"] = granted["id"]
    await story.later()
    item = {
        "account_id": "user-42",
        "amount": 5,
        "idempotency_key": "import:INV-7:user-42",
        "source": "purchased",
        "reference": "INV-7",
        "reason": "paid for in the old system",
    }
    late = {**item, "idempotency_key": "import:INV-6", "expires_at": "2025-12-31T00:00:00Z"}
    await story.call("POST /api/v1/grants/batch", 200, {"grants": [item, late]})
    await story.later()
    adjusted = {"amount": -2, "reason": "a miscount"}
    await story.call(f"POST {ACCOUNT}/adjustments", 201, adjusted, Idempotency_Key="count-1")


async def _auditors_look(story: Story) -> None:
    journal = story.parameters["journal_id"]
    day = "from=2026-01-31T00:00:00Z&to=2026-01-31T09:30:00Z"
    for path in (
        ACCOUNT,
        f"{ACCOUNT}/balance",
        f"{ACCOUNT}/balance/explain",
        f"{ACCOUNT}/why",
        f"{LEDGER}/entries?account_id=user-42&limit=2",
        f"{LEDGER}/journals/{{journal_id}}",
        f"{LEDGER}/trial-balance",
        f"{LEDGER}/roll-forward?{day}&account_id=user-42",
        f"{LEDGER}/export?journal_id={journal}",
        f"{LEDGER}/export?journal_id={journal}&format=csv",
        "/api/v1/subscriptions",
        SUBSCRIPTION,
        f"{SUBSCRIPTION}/transitions",
        "/api/v1/events",
        EVENT,
        "/api/v1/runs",
        "/api/v1/runs/{run_id}",
        "/api/v1/usage",
        "/api/v1/alerts",
        CLOCK,
        "/health/live",
        "/health/ready",
    ):
        await story.call(f"GET {path}", 200)


async def _mistakes_are_taken_back(story: Story) -> None:
    wrong = {"journal_id": story.parameters.pop("granted"), "reason": "given twice"}
    reverse = "POST /api/v1/reversals"
    key = {"Idempotency_Key": "apology-1-twice"}
    await story.later()
    taken = await story.call(reverse, 201, {**wrong, "shortfall": "write_off"}, **key)
    spent = {"journal_id": story.parameters["journal_id"], "reason": "a bad rendering"}
    await story.call(reverse, 200, {**spent, "dry_run": True}, Idempotency_Key="render-9871-look")
    story.parameters["reversal_id"] = taken["id"]
    await story.call("GET /api/v1/reversals/{reversal_id}", 200)
    await story.call("GET /api/v1/reversals", 200)
    await story.call(f"POST {EVENT}/replay", 200, {"reason": "asked for by the customer"})
    await story.later()
    run = {"run_id": story.parameters["run_id"], "reason": "the wrong catalogue"}
    await story.call(reverse, 202, run, Idempotency_Key="run-1")
    await story.call("GET /api/v1/runs/{run_id}/taken-back", 200)
    await story.call("GET /api/v1/operator-acts", 200)


async def _the_cron_comes(story: Story) -> None:
    for method in ("GET", "POST"):
        await story.at(story.tomorrow())
        ran = await story.call(f"{method} /api/cron/reset-credits", 200, by="cron")
        assert len(ran["runs"]) == 1
        # A story of one account is soon over: the answer to what takes longer differs in this.
        going = [{**run, "state": "going", "finished_at": None} for run in ran["runs"]]
        story.operations[f"{method} /api/cron/reset-credits"]["202"] = {"runs": going}


async def _ends(story: Story) -> None:
    await story.call(f"PUT {ACCOUNT}", 200, {"time_zone": "Europe/Berlin"}, by="service")
    for act, why in (
        ("suspend", "the card looks stolen"),
        ("resume", "the bank says it is not"),
        ("close", "asked for by the customer"),
        ("reopen", "the customer is back"),
    ):
        await story.call(f"POST {ACCOUNT}/{act}", 200, {"reason": why})
    renamed = {"to": "user-43", "reason": "the users' ids were changed"}
    await story.call(f"POST {ACCOUNT}/rename", 200, renamed, Idempotency_Key="rename-42")
    story.parameters["account_id"] = "user-42-phone"
    await story.call(f"PUT {ACCOUNT}", 201, {}, by="service")
    merged = {"into": "user-43", "reason": "one person with two accounts"}
    await story.call(f"POST {ACCOUNT}/merge", 200, merged, Idempotency_Key="merge-42")
    story.parameters["account_id"] = "user-42"
