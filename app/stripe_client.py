"""Stripe's API, called through its SDK: bounded in time and size, dated by Stripe's clock."""

from __future__ import annotations

import asyncio
import copy
import heapq
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

import httpx
import msgspec
import orjson
import stripe

from app.errors import KeyReusedError, StripeRefusedError, StripeUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

TRY_SECONDS_MAX: Final = 8.0
RETRIES_MAX: Final = 2  # the SDK waits 0.5 s and 1 s before them
ANSWER_BYTES_MAX: Final = 32 * 1024 * 1024
PAGE_SIZE: Final = 100  # Stripe's own maximum
NESTED_ITEMS_MAX: Final = 1_000  # of one object
TYPES_MAX: Final = 20  # of one list of events, Stripe's own maximum
SAID_CHARS_MAX: Final = 500
_PATH: Final = re.compile(r"/v[12](/[A-Za-z0-9_.~-]+)+")

Json = dict[str, Any]
Params = Mapping[str, Any]

# Otherwise the SDK keeps an id of this machine in the home folder and reports the platform to
# Stripe.
stripe.enable_telemetry = False


class Retrieved(msgspec.Struct, frozen=True):
    """Stripe's answer, and its time by Stripe's clock, in whole seconds."""

    body: Json
    asked_at: datetime


class Page(msgspec.Struct, frozen=True):
    """Some objects of a list, in Stripe's order: newest first."""

    items: Sequence[Json]
    has_more: bool
    asked_at: datetime


class StripeApi:
    """One Stripe account's API.

    Every call raises StripeUnavailableError if Stripe is away, slow, too busy or its answer cannot
    be read, and StripeRefusedError, with Stripe's words, if it refuses.
    """

    def __init__(self, key: str, base: str | None = None) -> None:
        """``base`` replaces Stripe's own address, for a local server."""
        self._key = key
        self._context: str | None = None
        self._http = _Http(trust_env=base is None)
        self._client = stripe.StripeClient(
            key,
            base_addresses={"api": base} if base else None,
            max_network_retries=RETRIES_MAX,
            http_client=self._http,
        )

    async def close(self) -> None:
        """Close its connections."""
        await self._http.close_async()

    def in_context(self, context: str | None) -> StripeApi:
        """Return the same connections for this account of the key's organization."""
        other = copy.copy(self)
        other._context = context
        return other

    async def retrieve(self, path: str, params: Params | None = None) -> Retrieved:
        """GET one object, such as ``/v1/subscriptions/sub_1``."""
        found = await self._ask("get", path, params or {})
        return Retrieved(await self._completed(found.body), found.asked_at)

    async def _completed(self, body: Json) -> Json:
        """Return the object with all its items: Stripe nests the first ten of a list."""
        cut = _cut_list(body)
        if cut is None:
            return body
        name, path, params = cut
        found: list[Json] = []
        async for page in self.pages(path, params):
            found += page.items
            if len(found) > NESTED_ITEMS_MAX:
                raise _nonsense(f"an object of more than {NESTED_ITEMS_MAX} items")
        return {**body, name: {**body[name], "data": found[::-1], "has_more": False}}

    async def create_checkout_session(
        self, params: Params, idempotency_key: str | None = None
    ) -> Retrieved:
        """Create Stripe's hosted page for a purchase; raise KeyReusedError if Stripe says so."""
        return await self._ask("post", "/v1/checkout/sessions", params, idempotency_key)

    async def create_portal_session(
        self, params: Params, idempotency_key: str | None = None
    ) -> Retrieved:
        """Create Stripe's hosted page on which a customer changes subscriptions."""
        return await self._ask("post", "/v1/billing_portal/sessions", params, idempotency_key)

    async def subscriptions(
        self, status: str = "all", after: str | None = None
    ) -> AsyncIterator[Page]:
        """Yield every subscription with its customer, in pages, newest first; one page is in
        memory.

        ``after`` continues after that subscription.
        """
        params = {"status": status, "expand": ["data.customer"]}
        params |= {"starting_after": after} if after else {}
        async for page in self.pages("/v1/subscriptions", params):
            yield page

    async def events(
        self, types: Sequence[str], *, delivery_success: bool, since: datetime
    ) -> AsyncIterator[Json]:
        """Yield events of these types, oldest first; one page for each 20 types is in memory.

        Stripe keeps them for 30 days.
        """
        lists = [
            self._oldest_first(
                "/v1/events",
                {
                    "types": list(types[at : at + TYPES_MAX]),
                    "delivery_success": "true" if delivery_success else "false",
                    "created": {"gte": int(since.timestamp())},
                },
            )
            for at in range(0, len(types), TYPES_MAX)
        ]
        async for event in _merged(lists):
            yield event

    async def pages(self, path: str, params: Params) -> AsyncIterator[Page]:
        """Yield a whole list, newest first; one page is in memory."""
        page = await self._page(path, params)
        yield page
        while page.has_more:
            last = _id(page.items[-1])
            page = await self._page(path, {**params, "starting_after": last})
            if page.has_more and _id(page.items[-1]) == last:
                raise _nonsense("the list does not go on")
            yield page

    async def _oldest_first(self, path: str, params: Params) -> AsyncIterator[Json]:
        """Yield the oldest first: walk to the oldest page, then back, keeping one page in
        memory.
        """
        newest = oldest = None
        async for page in self.pages(path, params):
            newest, oldest = newest or page, page
        assert oldest is not None
        for one in reversed(oldest.items):
            yield one
        page = oldest
        while page.items and newest is not oldest:
            first = _id(page.items[0])
            page = await self._page(path, {**params, "ending_before": first})
            if page.items and _id(page.items[0]) == first:
                raise _nonsense("the list does not go on")
            for one in reversed(page.items):
                yield one

    async def _page(self, path: str, params: Params) -> Page:
        got = await self._ask("get", path, {**params, "limit": PAGE_SIZE})
        items, has_more = got.body.get("data"), got.body.get("has_more", False)
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise _nonsense("the list has no data")
        for item in items:
            _id(item)
        whole = [await self._completed(item) for item in items]
        return Page(whole, bool(has_more and items), got.asked_at)

    async def _ask(
        self, method: str, path: str, params: Params, idempotency_key: str | None = None
    ) -> Retrieved:
        if not _PATH.fullmatch(path):  # an id from an event may contain anything
            raise StripeRefusedError(f"{path[:100]!r} is no path of Stripe's API.", 404)
        with self._told():
            answer = await self._client.raw_request_async(
                method,
                path,
                **params,
                idempotency_key=idempotency_key,
                stripe_context=self._context,
            )
            body = orjson.loads(answer.body)  # plain dicts, which the SDK's own objects are not
        if not isinstance(body, dict):
            raise _nonsense("no object")
        return Retrieved(body, _date(answer.headers))

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Turn the SDK's errors into ours; the key is removed from their texts."""
        try:
            yield
        except stripe.IdempotencyError as error:
            raise KeyReusedError(self._said(error)) from None
        except stripe.APIConnectionError as error:
            raise StripeUnavailableError(f"Stripe does not answer: {self._said(error)}") from None
        except stripe.StripeError as error:
            raise self._refusal(error) from None
        except (AttributeError, KeyError, TypeError, ValueError):
            # The SDK's own error, if an error is not the object that it expects.
            raise _nonsense("an unknown form of error") from None

    def _refusal(self, error: stripe.StripeError) -> StripeRefusedError | StripeUnavailableError:
        status = error.http_status or 0
        if status in (409, 429) or status >= 500:
            return StripeUnavailableError(f"Stripe answered {status}: {self._said(error)}")
        if not 400 <= status < 500:
            return _nonsense(f"status {status}, and nothing to be read")
        if error.error is None:  # a proxy's page, or a server that lacks this path
            return StripeRefusedError(f"Stripe refused ({status}) without saying why.", status)
        return StripeRefusedError(
            f"Stripe refused ({status}): {self._said(error)}",
            status,
            missing=status == 404 and error.code == "resource_missing",
        )

    def _said(self, error: stripe.StripeError) -> str:
        said = str(error.user_message or type(error).__name__).replace(self._key, "the key")
        return "".join(c if c.isprintable() else " " for c in said)[:SAID_CHARS_MAX]


def _cut_list(body: Json) -> tuple[str, str, Params] | None:
    """Return the member of which Stripe nests only the first items, and the path of the
    whole list.
    """
    match body:
        case {"object": "subscription", "id": str(number), "items": {"has_more": True}}:
            return "items", "/v1/subscription_items", {"subscription": number}
        case {"object": "checkout.session", "id": str(number), "line_items": {"has_more": True}}:
            return "line_items", f"/v1/checkout/sessions/{number}/line_items", {}
    return None


class _Http(stripe.HTTPClient):
    """The SDK's transport: asynchronous, bounded in time and size.

    The SDK's own for httpx passes a body in a way that httpx deprecates, and bounds neither.
    """

    name = "httpx"

    def __init__(self, *, trust_env: bool) -> None:
        super().__init__()
        self._client = httpx.AsyncClient(timeout=TRY_SECONDS_MAX, trust_env=trust_env)

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: str | None = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        try:
            # httpx bounds each read; a server that drips would never come to an end.
            async with (
                asyncio.timeout(TRY_SECONDS_MAX),
                self._client.stream(method, url, headers=headers, content=post_data) as answer,
            ):
                return await _bounded(answer), answer.status_code, answer.headers
        except TimeoutError:
            raise _away(f"no answer within {TRY_SECONDS_MAX:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _away(f"{type(error).__name__} {error}") from None

    async def sleep_async(self, secs: float) -> None:
        await asyncio.sleep(secs)

    async def close_async(self) -> None:
        await self._client.aclose()


async def _bounded(answer: httpx.Response) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in answer.aiter_bytes():
        size += len(part)
        if size > ANSWER_BYTES_MAX:
            raise _away(f"an answer of over {ANSWER_BYTES_MAX} bytes", again=False)
        parts.append(part)
    return b"".join(parts)


def _away(said: str, *, again: bool = True) -> stripe.APIConnectionError:
    return stripe.APIConnectionError(said, should_retry=again)  # type: ignore[no-untyped-call]


async def _merged(lists: Sequence[AsyncIterator[Json]]) -> AsyncIterator[Json]:
    """Merge several lists, each oldest first, into one."""
    heads: list[tuple[int, str, int, Json]] = []
    for at, one in enumerate(lists):
        await _push(heads, at, one)
    while heads:
        *_, at, event = heapq.heappop(heads)
        yield event
        await _push(heads, at, lists[at])


async def _push(
    heads: list[tuple[int, str, int, Json]], at: int, source: AsyncIterator[Json]
) -> None:
    event = await anext(source, None)
    if event is not None:
        created = event.get("created")
        if type(created) is not int:
            raise _nonsense("an event without a time")
        heapq.heappush(heads, (created, _id(event), at, event))


def _id(thing: Json) -> str:
    found = thing.get("id")
    if not isinstance(found, str):
        raise _nonsense("an object without an id")
    return found


def _date(headers: Mapping[str, str]) -> datetime:
    try:
        return parsedate_to_datetime(headers["date"]).astimezone(UTC)
    except (KeyError, ValueError, TypeError):
        raise _nonsense("no Date") from None


def _nonsense(what: str) -> StripeUnavailableError:
    return StripeUnavailableError(f"Stripe's answer is not what its API says: {what}.")
