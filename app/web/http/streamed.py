"""An answer streamed from a database transaction, which ends when the client goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from litestar import Request
from litestar.response.base import ASGIResponse
from litestar.response.streaming import ASGIStreamingResponse, Stream
from litestar.types import Receive, Send


class _Streaming(ASGIStreamingResponse):
    """Litestar's own leaves the generator to the garbage collector, and the transaction with it.

    Here one task of its own begins, consumes and closes the generator, and is canceled once.
    """

    __slots__ = ()

    async def _consume(self, send: Send) -> None:
        assert isinstance(self.iterator, AsyncGenerator)
        async with aclosing(self.iterator):
            await self._stream(send)

    async def send_body(self, send: Send, receive: Receive) -> None:
        sending = asyncio.create_task(self._consume(send))
        gone = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            left = not sending.done() and sending.cancel()
            await asyncio.wait({sending, gone})
        if not left:
            sending.result()  # what failed cuts the answer off


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class Streamed(Stream):
    """Chunks out of an asynchronous generator."""

    def to_asgi_response(
        self, app: Any, request: Request[Any, Any, Any], **given: Any
    ) -> ASGIResponse:
        """The answer, with our way of sending it."""
        response = super().to_asgi_response(app, request, **given)
        response.__class__ = _Streaming
        return response
