"""The HTTP calls that a story needs, patient with a service that dies and comes back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final, TypeVar

import httpx
import msgspec

from app.embedded.devbook import DevBook
from app.simulate.steps import Delivery, Put, Spend, Use
from app.simulate.uses import request_of
from app.webhooks.signature import sign

WEBHOOK_PATH: Final = "/api/webhooks/stripe"
PATIENCE_S_MAX: Final = 60.0  # a restart takes some 5 s, after a power cut longer
PAUSE_S_MIN: Final = 0.1
PAUSE_S_MAX: Final = 2.0
ANSWER_S_MAX: Final = 60.0  # moving the clock over weeks runs every day between
PAGE_SIZE: Final = 1_000
_REFUSALS: Final = (402, 409, 422)

Answer = TypeVar("Answer", bound=msgspec.Struct)


class PlayError(Exception):
    """The story cannot go on; says at which call, and what the service answered.

    ``status`` is None if nobody answered.
    """

    def __init__(self, told: str, *, status: int | None = None, code: str = "") -> None:
        super().__init__(told)
        self.status = status
        self.code = code


class _Verdict(msgspec.Struct, frozen=True):
    outcome: str


class _PageLink(msgspec.Struct, frozen=True):
    path: str


class _Made(msgspec.Struct, frozen=True):
    id: str


class _Clock(msgspec.Struct, frozen=True):
    now: datetime


class _Balance(msgspec.Struct, frozen=True):
    as_of: datetime


class Subscription(msgspec.Struct, frozen=True):
    """A subscription, as the book knows it."""

    id: str
    state: str
    price_id: str | None
    period_end_at: datetime | None
    cancel_at_period_end: bool
    cancel_at: datetime | None = None


class Account(msgspec.Struct, frozen=True):
    """An account, as the book answers it."""

    id: str
    stripe_customer_id: str | None
    tier: str
    state: str | None
    balance: int
    available: int
    subscriptions: list[Subscription]


class Entry(msgspec.Struct, frozen=True):
    """The part of a ledger entry that is compared."""

    kind: str
    amount: int
    change: int
    effective_at: datetime


class _EntryPage(msgspec.Struct, frozen=True):
    data: list[Entry]
    next_cursor: str | None


class _Problem(msgspec.Struct, frozen=True):
    code: str = ""
    detail: str = ""
    retryable: bool = False


class BookClient:
    """Calls one book; repeated calls go out under the same ids and keys."""

    def __init__(
        self,
        book: DevBook,
        http: httpx.AsyncClient,
        patience_s: float,
        webhook_url: str = WEBHOOK_PATH,
    ) -> None:
        self.book = book
        self._http = http
        self._patience_s = patience_s
        self._webhook_url = webhook_url
        self._made: dict[str, str] = {}  # ids of spends and holds, by the key that made them

    async def deliver(self, delivery: Delivery) -> str:
        """Send the event as Stripe would; return the verdict."""
        response = await self._call("POST", self._webhook_url, content=delivery.payload)
        _expect(response, 200, 201, 202, 204)
        try:
            return msgspec.json.decode(response.content, type=_Verdict).outcome
        except msgspec.MsgspecError:
            return "accepted"  # another receiver of webhooks than Tallybook

    async def put_account(self, put: Put) -> None:
        """Introduce a user; repeating it changes nothing."""
        body = {"time_zone": put.time_zone}
        if put.customer_id is not None:
            body["stripe_customer_id"] = put.customer_id
        path = f"/api/v1/accounts/{put.account_id}"
        _expect(await self._call("PUT", path, "service", body), 200, 201)

    async def close_account(self, account_id: str) -> None:
        """Close an account; repeating it changes nothing."""
        body = {"reason": "simulated"}
        path = f"/api/v1/accounts/{account_id}/close"
        _expect(await self._call("POST", path, "operator", body), 200)

    async def spend(self, spend: Spend) -> bool:
        """Spend under the spend's own key; return False if credits are lacking."""
        body = {"amount": spend.amount, "reason": spend.reason, "label": spend.label}
        path = f"/api/v1/accounts/{spend.account_id}/spends"
        response = await self._call("POST", path, "service", body, key=spend.key)
        if response.status_code == 402 and _problem(response).code == "insufficient_credits":
            return False
        _expect(response, 201)
        self._made[spend.key] = msgspec.json.decode(response.content, type=_Made).id
        return True

    async def use(self, use: Use) -> str | None:
        """Hold, capture, extend, release or return under its own key; the code of a refusal.

        What was refused against the rules cannot be gone on with: `never_made`.
        """
        request = request_of(use, self._made)
        if request is None:
            return "never_made"
        path, body = request
        response = await self._call("POST", path, "service", body, key=use.key)
        if response.status_code in _REFUSALS:
            return _problem(response).code
        _expect(response, 200, 201)
        self._made.setdefault(use.key, msgspec.json.decode(response.content, type=_Made).id)
        return None

    async def page_link(self, account_id: str) -> str:
        """Make a link to the account's page, good for a week."""
        path = f"/api/v1/accounts/{account_id}/page-links"
        response = await self._call("POST", path, "service", {"expires_in_s": 604_800})
        _expect(response, 201)
        return self.book.base_url + msgspec.json.decode(response.content, type=_PageLink).path

    async def now(self) -> datetime:
        """Return the instant of the book's clock; raise PlayError if it cannot be set."""
        now = await self.settable_now()
        if now is None:
            raise PlayError("The book's clock cannot be set. Start it with --clock INSTANT.")
        return now

    async def settable_now(self) -> datetime | None:
        """Return the instant of the book's clock, None if it cannot be set."""
        response = await self._call("GET", "/api/v1/dev/clock", "operator")
        return None if response.status_code == 404 else _read(response, _Clock).now

    async def now_at(self, account_id: str) -> datetime | None:
        """Return the book's now, which any reader may ask of an account; None without one."""
        response = await self._call("GET", f"/api/v1/accounts/{account_id}/balance", "service")
        return None if response.status_code == 404 else _read(response, _Balance).as_of

    async def move_clock(self, to: datetime) -> None:
        """Let time pass as if every minute's tick had run; never back."""
        body = {"now": to.isoformat(), "tick": True}
        response = await self._call("PUT", "/api/v1/dev/clock", "operator", body)
        # A clock that went on while the answer was lost stands where we want it, or later.
        if _problem(response).code != "clock_backwards":
            _expect(response, 200)

    async def account(self, account_id: str) -> Account | None:
        """Return the account; None if there is none."""
        response = await self._call("GET", f"/api/v1/accounts/{account_id}", "service")
        if response.status_code == 404 and _problem(response).code == "account_unknown":
            return None
        return _read(response, Account)

    async def entries(self, account_id: str, limit: int = PAGE_SIZE) -> AsyncIterator[Entry]:
        """Yield all entries of the account, oldest first, page by page."""
        query = {"account_id": account_id, "limit": str(limit)}
        while True:
            path = "/api/v1/ledger/entries"
            page = _read(await self._call("GET", path, "auditor", query=query), _EntryPage)
            for entry in page.data:
                yield entry
            if page.next_cursor is None:
                return
            query["cursor"] = page.next_cursor

    async def _call(
        self,
        method: str,
        path: str,
        scope: str | None = None,
        body: Mapping[str, object] | None = None,
        *,
        content: bytes = b"",
        query: Mapping[str, str] | None = None,
        key: str | None = None,
    ) -> httpx.Response:
        """Call until there is an answer that another try would not better.

        Without a scope ``content`` is an event, and signed.
        """
        content = content if body is None else msgspec.json.encode(body)
        give_up_at = time.monotonic() + self._patience_s
        pause_s = PAUSE_S_MIN
        while True:
            status = None
            try:
                response = await self._http.request(
                    method,
                    path,
                    content=content,
                    params=query,
                    headers=self._headers(scope, content, key),
                )
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

    def _headers(self, scope: str | None, content: bytes, key: str | None) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        if scope is None:
            # By wall time, and at each try: signatures are never judged by a set clock.
            signature = sign(content, self.book.stripe_webhook_secret, int(time.time()))
            return headers | {"Stripe-Signature": signature}
        headers["Authorization"] = f"Bearer {getattr(self.book.keys, scope)}"
        return headers if key is None else headers | {"Idempotency-Key": key}


@asynccontextmanager
async def connected(
    book: DevBook,
    *,
    patience_s: float = PATIENCE_S_MAX,
    transport: httpx.AsyncBaseTransport | None = None,
    webhook_url: str = WEBHOOK_PATH,
) -> AsyncIterator[BookClient]:
    """Open a client for the length of a block."""
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
