"""Prices for functions and routes: hold before, capture after success, release after failure."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, TypeVar, cast

from ._asynchronous import AsyncClient
from ._synchronous import Client
from .errors import ProblemError

F = TypeVar("F", bound=Callable[..., Any])
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def priced(
    client: Client | AsyncClient,
    amount: int,
    *,
    account: Callable[..., str],
    label: str | None = None,
) -> Callable[[F], F]:
    """Price each call of a function; ``account`` gets its arguments and names who pays.

    A Client prices plain functions, an AsyncClient coroutine functions.
    """

    def decorate(function: F) -> F:
        if inspect.iscoroutinefunction(function) != isinstance(client, AsyncClient):
            raise TypeError("coroutine functions need an AsyncClient, others a Client")

        if isinstance(client, AsyncClient):

            @functools.wraps(function)
            async def paid_async(*args: Any, **named: Any) -> Any:
                async with client.hold(account(*args, **named), amount, label=label) as hold:
                    result = await function(*args, **named)
                    await hold.capture(amount)
                return result

            return cast(F, paid_async)

        @functools.wraps(function)
        def paid(*args: Any, **named: Any) -> Any:
            with client.hold(account(*args, **named), amount, label=label) as hold:
                result = function(*args, **named)
                hold.capture(amount)
            return result

        return cast(F, paid)

    return decorate


class PricedRoutes:
    """ASGI middleware that prices routes, each named ``"METHOD /path"``.

    A status below 400 is paid once the answer is complete, any other is not. What Tallybook
    refuses, such as 402, is the answer, and the application is not called.
    """

    def __init__(
        self,
        app: App,
        client: AsyncClient,
        prices: Mapping[str, int],
        *,
        account: Callable[[Scope], str],
    ) -> None:
        self._app = app
        self._client = client
        self._prices = prices
        self._account = account

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        route = f"{scope.get('method')} {scope.get('path')}"
        amount = self._prices.get(route) if scope["type"] == "http" else None
        if amount is None:
            await self._app(scope, receive, send)
            return
        entered = False
        status: int | None = None

        async def watched(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            async with self._client.hold(self._account(scope), amount, reason=route) as hold:
                entered = True
                await self._app(scope, receive, watched)
                if status is not None and status < 400:
                    await hold.capture(amount)
        except ProblemError as refused:
            if entered:
                raise  # the application's own, or a capture's after the answer
            await _send_problem(refused, send)


async def _send_problem(refused: ProblemError, send: Send) -> None:
    # Our own key, limits and outages are no business of the route's caller.
    shown = refused.status if refused.status == 402 else 503
    body = refused.problem if shown == 402 else {"status": 503, "title": "Payment is not possible"}
    headers = [(b"content-type", b"application/problem+json")]
    await send({"type": "http.response.start", "status": shown, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})
