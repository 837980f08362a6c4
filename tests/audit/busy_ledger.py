"""A ledger in which everything happens: random acts over the API, the clock going on between."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from typing import Any

import httpx

from tests.api_client import Api
from tests.conftest import NOW
from tests.stripe_events import make_subscription_event

MICROSECOND = timedelta.resolution
COMPLETE = "/api/v1/ledger/trial-balance"
ACCOUNTS = ("user-1", "user-2", "user-3")


async def asked(api: Api, path: str, **query: object) -> httpx.Response:
    """GET until it answers: the tests beside this one share the server and hold up its horizon."""
    while (answer := await api.get(path, **query)).status_code == 503:
        pass
    return answer


async def read(api: Api, path: str, **query: object) -> dict[str, Any]:
    """The same; what it answered well."""
    answer = await asked(api, path, **query)
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


async def complete(api: Api, now: datetime) -> None:
    """Wait until all that was recorded before this instant of the standing clock is complete."""
    while datetime.fromisoformat((await read(api, COMPLETE))["complete_to"]) < now - MICROSECOND:
        pass


async def entries(api: Api) -> list[dict[str, Any]]:
    """The first thousand entries."""
    return (await read(api, "/api/v1/ledger/entries", limit=1000))["data"]  # type: ignore[no-any-return]


class BusyLedger:
    """Draws acts; what is refused is refused, and some of them are."""

    def __init__(self, api: Api, seed: int) -> None:
        self.api = api
        self.random = Random(seed)
        self.now = NOW
        self.keys = 0
        self.journals: list[str] = []
        self.holds: list[str] = []
        self.instants: list[datetime] = [NOW]
        self.done: set[str] = set()

    async def play(self, steps: int) -> BusyLedger:
        for account in ACCOUNTS:
            await self.api.put(f"/api/v1/accounts/{account}", {})
        acts = (
            self.spend,
            self.spend,
            self.hold,
            self.settle_hold,
            self.grant,
            self.adjust,
            self.reverse,
            self.reverse,
            self.subscribe,
            self.wait,
            self.wait,
        )
        for _ in range(steps):
            await self.random.choice(acts)()
        await self.api.put("/api/v1/accounts/user-1", {"stripe_customer_id": "cus_9"})
        await self.api.put("/api/v1/accounts/user-2", {"stripe_customer_id": "cus_1"})
        self.now += timedelta(seconds=1)
        await self.api.set_clock(self.now, tick=False)
        await complete(self.api, self.now)
        return self

    async def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        self.keys += 1
        scope = "service" if "spends" in path or "hold" in path else "operator"
        answer = await self.api.client.post(
            f"/api/v1/{path}",
            json=body,
            headers=self.api.headers(scope, **{"Idempotency-Key": f"key-{self.keys}"}),
        )
        assert answer.status_code < 500, answer.text
        if answer.status_code < 300:
            self.done.add(path.rpartition("/")[2])
            told = answer.json()["id"]
            (self.holds if path.endswith("/holds") else self.journals).append(told)
        return answer

    @property
    def account(self) -> str:
        return self.random.choice((*ACCOUNTS, "cus_1"))

    async def spend(self) -> None:
        await self.post(f"accounts/{self.account}/spends", {"amount": self.random.randint(1, 9)})

    async def hold(self) -> None:
        body = {"amount": self.random.randint(1, 9), "expires_in_s": self.random.randint(60, 80000)}
        await self.post(f"accounts/{self.account}/holds", body)

    async def settle_hold(self) -> None:
        if self.holds:
            hold = self.holds.pop(self.random.randrange(len(self.holds)))
            if self.random.random() < 0.6:
                await self.post(f"holds/{hold}/capture", {"amount": self.random.randint(1, 4)})
            else:
                await self.post(f"holds/{hold}/release", {})

    async def grant(self) -> None:
        ends = self.now + timedelta(hours=self.random.randint(1, 60))
        body = {"amount": self.random.randint(1, 30), "reason": "=1+1, for trying"}
        if self.random.random() < 0.7:
            body["expires_at"] = ends.isoformat()
        await self.post(f"accounts/{self.account}/grants", body)

    async def adjust(self) -> None:
        body = {"amount": self.random.choice((-5, -2, 3, 8)), "reason": "a mistake"}
        await self.post(f"accounts/{self.account}/adjustments", body)

    async def reverse(self) -> None:
        listed = await entries(self.api)
        kinds = ("grant", "spend", "adjustment")
        journals = sorted({e["journal_id"] for e in listed if e["kind"] in kinds})
        policy = self.random.choice(("write_off", "debt", "reject"))
        body = {"journal_id": self.random.choice(journals), "reason": "wrong", "shortfall": policy}
        await self.post("reversals", body)

    async def subscribe(self) -> None:
        kind = self.random.choice(("updated", "deleted"))
        price = self.random.choice(("price_pro_monthly", "price_enterprise_monthly"))
        self.keys += 1
        event = make_subscription_event(f"evt_{self.keys}", kind, self.now, price=price)
        assert await self.api.deliver(event) in ("applied", "stale")

    async def wait(self) -> None:
        self.now += timedelta(minutes=self.random.choice((1, 90, 60 * 13)))
        self.instants.append(self.now)
        await self.api.set_clock(self.now, tick=self.random.random() < 0.5)
