"""The HTTP calls that a tape needs, patient with a service that dies and comes back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final, TypeVar

import httpx
import msgspec

from app.embedded.devbook import DevBook
from app.simulate.tape import Delivery, Put, Spend
from app.webhooks.signature import sign

WEBHOOK_PATH: Final = "/api/webhooks/stripe"
PATIENCE_S_MAX: Final = 60.0  # a restart takes some 5 s, after a power cut longer
PAUSE_S_MIN: Final = 0.1
PAUSE_S_MAX: Final = 2.0
ANSWER_S_MAX: Final = 60.0  # moving the clock over weeks runs every day between
PAGE_SIZE: Final = 1_000

Answer = TypeVar("Answer", bound=msgspec.Struct)


class PlayError(Exception):
    """The tape cannot go on; says at which call, and what the service answered.

    ``status`` is None where nobody answered.
    """

    def __init__(self, told: str, *, status: int | None = None, code: str = "") -> None:
        super().__init__(told)
        self.status = status
        self.code = code


class Verdict(msgspec.Struct, frozen=True):
    """What became of a delivery."""

    outcome: str


class Clock(msgspec.Struct, frozen=True):
    """Where the book's clock stands."""

    now: datetime


class BalanceNow(msgspec.Struct, frozen=True):
    """When a balance was read."""

    as_of: datetime


class Subscription(msgspec.Struct, frozen=True):
    """A subscription, as the book knows it."""

    id: str
    state: str
    price_id: str | None
    period_end_at: datetime | None
    cancel_at_period_end: bool


class Account(msgspec.Struct, frozen=True):
    """An account, as the book answers it."""

    id: str
    tier: str
    state: str | None
    balance: int
    available: int
    subscriptions: list[Subscription]


class Entry(msgspec.Struct, frozen=True):
    """What the report needs of a ledger entry."""

    kind: str
    amount: int
    change: int
    effective_at: datetime


class EntryPage(msgspec.Struct, frozen=True):
    """A page of entries."""

    data: list[Entry]
    next_cursor: str | None


class _Problem(msgspec.Struct, frozen=True):
    code: str = ""
    detail: str = ""
    retryable: bool = False


class BookClient:
    """Calls one book; what is repeated goes out under the same ids and keys."""

    def __init__(
        self, book: DevBook, http: httpx.AsyncClient, patience_s: float,
        webhook_url: str = WEBHOOK_PATH,
    ) -> None:  # fmt: skip
        self.book = book
        self._http = http
        self._patience_s = patience_s
        self._webhook_url = webhook_url

    async def deliver(self, delivery: Delivery) -> str:
        """Send the event as Stripe would; the verdict."""

        def signed() -> dict[str, str]:
            # By wall time and anew for every try: signatures are never judged by a set clock.
            header = sign(delivery.payload, self.book.stripe_webhook_secret, int(time.time()))
            return {"Stripe-Signature": header}

        response = await self._call("POST", self._webhook_url, signed, content=delivery.payload)
        _expect(response, 200, 201, 202, 204)
        try:
            return msgspec.json.decode(response.content, type=Verdict).outcome
        except msgspec.MsgspecError:
            return "accepted"  # another receiver of webhooks than Tallybook

    async def put_account(self, put: Put) -> None:
        """Introduce a user; repeating it changes nothing."""
        body = {"time_zone": put.time_zone}
        if put.customer_id is not None:
            body["stripe_customer_id"] = put.customer_id
        path = f"/api/v1/accounts/{put.account_id}"
        _expect(await self._call("PUT", path, self._as("service"), body=body), 200, 201)

    async def spend(self, spend: Spend) -> bool:
        """Spend under the spend's own key; False where credits are lacking."""

        def keyed() -> dict[str, str]:
            return {**self._as("service")(), "Idempotency-Key": spend.key}

        body = {"amount": spend.amount, "reason": spend.reason}
        path = f"/api/v1/accounts/{spend.account_id}/spends"
        response = await self._call("POST", path, keyed, body=body)
        if response.status_code == 402 and _problem(response).code == "insufficient_credits":
            return False
        _expect(response, 201)
        return True

    async def now(self) -> datetime:
        """Where the book's clock stands; PlayError where it cannot be set."""
        now = await self.settable_now()
        if now is None:
            raise PlayError("The book's clock cannot be set. Start it with --clock INSTANT.")
        return now

    async def settable_now(self) -> datetime | None:
        """The same, or None where the clock cannot be set."""
        response = await self._call("GET", "/api/v1/dev/clock", self._as("operator"))
        return None if response.status_code == 404 else _read(response, Clock).now

    async def now_at(self, account_id: str) -> datetime | None:
        """The book's now, which any reader may ask of an account; None where there is none."""
        path = f"/api/v1/accounts/{account_id}/balance"
        response = await self._call("GET", path, self._as("service"))
        return None if response.status_code == 404 else _read(response, BalanceNow).as_of

    async def move_clock(self, to: datetime) -> None:
        """Let time pass as if every minute's tick had run; never back."""
        body = {"now": to.isoformat(), "tick": True}
        response = await self._call("PUT", "/api/v1/dev/clock", self._as("operator"), body=body)
        # A clock that went on while the answer was lost stands where we want it, or later.
        if _problem(response).code != "clock_backwards":
            _expect(response, 200)

    async def account(self, account_id: str) -> Account | None:
        """The account; None where there is none."""
        path = f"/api/v1/accounts/{account_id}"
        response = await self._call("GET", path, self._as("service"))
        if response.status_code == 404 and _problem(response).code == "account_unknown":
            return None
        return _read(response, Account)

    async def entries(self, account_id: str, limit: int = PAGE_SIZE) -> AsyncIterator[Entry]:
        """All entries of the account, oldest first, page by page."""
        query = {"account_id": account_id, "limit": str(limit)}
        while True:
            response = await self._call(
                "GET", "/api/v1/ledger/entries", self._as("auditor"), query=query
            )
            page = _read(response, EntryPage)
            for entry in page.data:
                yield entry
            if page.next_cursor is None:
                return
            query["cursor"] = page.next_cursor

    def _as(self, scope: str) -> Callable[[], dict[str, str]]:
        key: str = getattr(self.book.keys, scope)
        return lambda: {"Authorization": f"Bearer {key}"}

    async def _call(
        self, method: str, path: str, headers: Callable[[], dict[str, str]], *,
        body: dict[str, str] | dict[str, object] | None = None, content: bytes | None = None,
        query: dict[str, str] | None = None,
    ) -> httpx.Response:  # fmt: skip
        """Call until there is an answer that another try would not better."""
        content = content if body is None else msgspec.json.encode(body)
        give_up_at = time.monotonic() + self._patience_s
        pause_s = PAUSE_S_MIN
        while True:
            status = None
            try:
                response = await self._http.request(
                    method, path, content=content, params=query,
                    headers={"Content-Type": "application/json", **headers()},
                )  # fmt: skip
                if not _is_passing(response):
                    return response
                trouble, status = _told(response), response.status_code
            except (httpx.TransportError, httpx.InvalidURL) as error:
                trouble = f"{type(error).__name__} {error}".strip()
            if time.monotonic() + pause_s > give_up_at:
                told = f"{method} {path}: gave up after {self._patience_s:g} s: {trouble}"
                raise PlayError(told, status=status)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSE_S_MAX)


@asynccontextmanager
async def connected(
    book: DevBook, *, patience_s: float = PATIENCE_S_MAX,
    transport: httpx.AsyncBaseTransport | None = None, webhook_url: str = WEBHOOK_PATH,
) -> AsyncIterator[BookClient]:  # fmt: skip
    """A client for as long as the block lasts."""
    # trust_env: a proxy of the machine has no business between us and the loopback.
    async with httpx.AsyncClient(
        base_url=book.base_url, timeout=ANSWER_S_MAX, transport=transport, trust_env=False
    ) as http:
        yield BookClient(book, http, patience_s, webhook_url)


def _is_passing(response: httpx.Response) -> bool:
    if response.status_code >= 500 or response.status_code == 429:
        return True
    return response.is_error and _problem(response).retryable


def _expect(response: httpx.Response, *statuses: int) -> None:
    if response.status_code not in statuses:
        problem = _problem(response)
        raise PlayError(_told(response), status=response.status_code, code=problem.code)


def _read(response: httpx.Response, shape: type[Answer]) -> Answer:
    _expect(response, 200)
    try:
        return msgspec.json.decode(response.content, type=shape)
    except msgspec.MsgspecError as error:
        raise PlayError(f"{_told(response)}: {error}") from None


def _problem(response: httpx.Response) -> _Problem:
    try:
        return msgspec.json.decode(response.content, type=_Problem)
    except msgspec.MsgspecError:
        return _Problem()  # a proxy's page, or no problem at all


def _told(response: httpx.Response) -> str:
    request = response.request
    problem = _problem(response)
    what = f"{problem.code} {problem.detail}".strip()
    return f"{request.method} {request.url.path} answered {response.status_code} {what}".strip()
