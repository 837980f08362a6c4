"""The keyed acts of the API as the tests of holds, corrections and reversals send them."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count
from typing import Any

import httpx

from app.book import Book
from app.infrastructure.db import Database
from app.verify.verify import verify
from tests.api_client import Api
from tests.conftest import NOW
from tests.stripe_events import make_subscription_event

PRICES = {
    "PRO": "price_pro_monthly",
    "ENTERPRISE": "price_enterprise_monthly",
}
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class Acts:
    """One account's acts, each under a fresh key where none is named."""

    def __init__(self, api: Api, account_id: str = "user-1") -> None:
        self.api = api
        self.account_id = account_id
        self._keys = (f"{account_id}-{n}" for n in count(1))

    async def post(
        self, path: str, body: object = None, *, key: str | None = None, scope: str = "service"
    ) -> httpx.Response:
        """POST under a key."""
        headers = self.api.headers(scope, **{"Idempotency-Key": key or next(self._keys)})
        sent = {} if body is None else {"json": body}
        return await self.api.client.post(f"/api/v1/{path}", headers=headers, **sent)

    async def done(self, answer: httpx.Response) -> dict[str, Any]:
        """The answer of an act that must succeed."""
        assert answer.status_code in (200, 201, 202), answer.text
        return answer.json()  # type: ignore[no-any-return]

    async def spend(self, amount: int, *, key: str | None = None, **purpose: Any) -> httpx.Response:
        body = {"amount": amount, **purpose}
        return await self.post(f"accounts/{self.account_id}/spends", body, key=key)

    async def hold(
        self, amount: int, seconds: int = 900, *, key: str | None = None, **purpose: Any
    ) -> httpx.Response:
        body = {"amount": amount, "expires_in_s": seconds, **purpose}
        return await self.post(f"accounts/{self.account_id}/holds", body, key=key)

    async def held(self, amount: int, seconds: int = 900, **purpose: Any) -> str:
        """The id of a new hold."""
        return str((await self.done(await self.hold(amount, seconds, **purpose)))["id"])

    async def capture(
        self, hold_id: str, amount: int, *, key: str | None = None, **more: Any
    ) -> httpx.Response:
        return await self.post(f"holds/{hold_id}/capture", {"amount": amount, **more}, key=key)

    async def extend(self, hold_id: str, seconds: int, *, key: str | None = None) -> httpx.Response:
        return await self.post(f"holds/{hold_id}/extend", {"expires_in_s": seconds}, key=key)

    async def release(self, hold_id: str, *, key: str | None = None) -> httpx.Response:
        return await self.post(f"holds/{hold_id}/release", key=key)

    async def give_back(
        self, amount: int | None = None, *, key: str | None = None, **what: Any
    ) -> httpx.Response:
        """Return so much, or all that is left, of a spend_id, hold_id or of_idempotency_key."""
        body: dict[str, Any] = what if amount is None else {**what, "amount": amount}
        return await self.post(f"accounts/{self.account_id}/returns", body, key=key)

    async def grant(
        self, amount: int, *, ends: datetime | None = None, key: str | None = None, **more: Any
    ) -> httpx.Response:
        body: dict[str, Any] = {"amount": amount, "reason": "a gift", **more}
        if ends is not None:
            body["expires_at"] = ends.isoformat()
        path = f"accounts/{self.account_id}/grants"
        return await self.post(path, body, key=key, scope="operator")

    async def adjust(self, amount: int, *, key: str | None = None) -> httpx.Response:
        body = {"amount": amount, "reason": "put right"}
        path = f"accounts/{self.account_id}/adjustments"
        return await self.post(path, body, key=key, scope="operator")

    async def reverse(
        self, journal_id: str, policy: str = "write_off", *, key: str | None = None, **more: Any
    ) -> httpx.Response:
        body = {"journal_id": journal_id, "reason": "a mistake", "shortfall": policy, **more}
        return await self.post("reversals", body, key=key, scope="operator")

    async def journal(self, act: httpx.Response) -> str:
        """The journal's id of an act that succeeded."""
        return str((await self.done(act))["id"])

    async def sides(self) -> tuple[int, int, int]:
        """(free, held, debt) as posted."""
        account = await self.api.account(self.account_id)
        return account["free"], account["held"], account["debt"]

    async def available(self) -> int:
        """What a spend would find."""
        return int((await self.api.account(self.account_id))["available"])

    async def entries(self, **filters: str) -> list[tuple[str, str, str, int]]:
        """(kind, debit, credit, amount), oldest first."""
        answer = await self.api.get("/api/v1/ledger/entries", limit=1000, **filters)
        return [(e["kind"], e["debit"], e["credit"], e["amount"]) for e in answer.json()["data"]]

    async def journal_entries(self, journal_id: str) -> list[tuple[str, str, str, int]]:
        """The same of one journal, read without waiting for the horizon."""
        answer = await self.api.get(f"/api/v1/ledger/journals/{journal_id}")
        return [(e["kind"], e["debit"], e["credit"], e["amount"]) for e in answer.json()["entries"]]


async def subscribe(acts: Acts, tier: str, second: int = 0) -> None:
    """Tie a subscription of this tier to the account, or change it; ``second`` orders them."""
    await acts.api.put(
        f"/api/v1/accounts/{acts.account_id}", {"stripe_customer_id": f"cus_{acts.account_id}"}
    )
    event = make_subscription_event(
        f"evt_{acts.account_id}_{second}",
        "updated" if second else "created",
        NOW + timedelta(seconds=second),
        price=PRICES[tier],
        subscription=f"sub_{acts.account_id}",
        customer=f"cus_{acts.account_id}",
        previous={} if second else None,
    )
    assert await acts.api.deliver(event) == "applied"


async def cancel(acts: Acts, second: int) -> None:
    """End the account's subscription: FREE remains."""
    event = make_subscription_event(
        f"evt_{acts.account_id}_{second}",
        "deleted",
        NOW + timedelta(seconds=second),
        status="canceled",
        subscription=f"sub_{acts.account_id}",
        customer=f"cus_{acts.account_id}",
    )
    assert await acts.api.deliver(event) == "applied"


async def journal_count(book: Book) -> int:
    """How many journals stand."""
    return int(await book.database.fetchval("SELECT count(*) FROM journals"))


async def ledger_differences(database: Database) -> list[str]:
    """Verify's alone, where the day was withdrawn or the account closed: its allowance is 0."""
    return [text for check in await verify(database) for text in check.differences]


async def fill(database: Database, external_id: str, most: int) -> None:
    """Grant the account promotional credits until it has so many: thousands of grants, by SQL."""
    await database.execute(
        """WITH account AS (SELECT id, free FROM accounts WHERE external_id = $2),
           lot AS (INSERT INTO lots (account_id, source, priority, granted_at, expires_at, granted,
                                     free, live)
                   SELECT id, 'promotional', 300, tallybook_now(), '9999-12-31', $1 - free,
                          $1 - free, true FROM account RETURNING id, granted),
           journal AS (INSERT INTO journals (kind, source, actor, effective_at, recorded_at)
                       VALUES ('grant', 'api', 'tests', tallybook_now(), tallybook_now())
                       RETURNING id),
           act AS (INSERT INTO operator_acts (act, actor, account_id, journal_id, at)
                   SELECT 'grant', 'tests', account.id, journal.id, tallybook_now()
                     FROM account, journal),
           part AS (SELECT n, least(1000000000000, granted - (n - 1) * 1000000000000) AS amount
                      FROM lot, generate_series(1, 9008::bigint) AS n),
           entry AS (INSERT INTO entries (journal_id, account_id, lot_id, kind, debit, credit,
                         amount, free_after, held_after, debt_after, effective_at, recorded_at)
                     SELECT journal.id, account.id, lot.id, 'grant', 'issued', 'free', amount,
                            account.free + sum(amount) OVER (ORDER BY n), 0, 0, tallybook_now(),
                            tallybook_now()
                       FROM account, lot, journal, part WHERE amount > 0 ORDER BY n)
           UPDATE accounts SET free = $1 FROM account WHERE accounts.id = account.id""",
        most,
        external_id,
    )
