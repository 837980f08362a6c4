"""Serve a pretend Stripe on loopback, its API and its pages, until Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import Message
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from rich.console import Console

from app.embedded.ports import LOOPBACK, chosen_port
from app.errors import ConfigurationError
from app.infrastructure import ids
from app.simulate import address as addresses
from app.simulate.address import DATA_DIR_DEFAULT, Address, Target, catalogue_of
from app.simulate.pretend_stripe import pages
from app.simulate.pretend_stripe.account import RefusedError, StripeAccount
from app.simulate.pretend_stripe.api import Api, form
from app.simulate.pretend_stripe.pretend import PretendStripe
from app.simulate.price_list import PriceList
from app.simulate.stripe_objects import DEFAULT, Ids, Shape

KEY: Final = "sk_test_51SimulatedByTallybook"
BODY_BYTES_MAX: Final = 1_000_000
REQUEST_S_MAX: Final = 60.0
_PREFIX_DIGITS: Final = 8
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True)
class Asked:
    """A request."""

    method: str
    path: str
    headers: Message
    params: dict[str, Any]


@dataclass(frozen=True)
class Answered:
    """An answer; ``headers`` go beside the content's own."""

    status: int
    content: bytes
    media_type: str = "text/html; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)


class Server:
    """Answers requests of the API and of the pages, in the loop that made it."""

    def __init__(self, stripe: PretendStripe) -> None:
        self._stripe = stripe
        self._api = Api(stripe.account, stripe.prices, stripe.base)
        self._tasks: set[asyncio.Task[None]] = set()

    async def answer(self, asked: Asked) -> Answered:
        """Answer a request."""
        if asked.path.startswith("/v1/"):
            return await self._answer_api(asked)
        try:
            return await self._answer_page(asked)
        except RefusedError as refusal:
            content = pages.page("Refused", said=str(refusal))
            return Answered(refusal.status, content.encode())

    async def _answer_api(self, asked: Asked) -> Answered:
        at = await self._stripe.now()
        status = 200
        try:
            if not asked.headers.get("Authorization", "").startswith("Bearer sk_test_"):
                raise RefusedError(401, "Give a test key: sk_test_…")
            key = asked.headers.get("Idempotency-Key")
            body = self._api.answer(asked.method, asked.path, asked.params, at, key)
        except RefusedError as refusal:
            status, body = refusal.status, refusal.as_stripe_tells()
        if asked.method != "GET":
            # After the answer: the book that asks may be the book that is told.
            task = asyncio.create_task(self._stripe.deliver())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        headers = {"Date": format_datetime(at, usegmt=True)}
        return Answered(status, msgspec.json.encode(body), "application/json", headers)

    async def _answer_page(self, asked: Asked) -> Answered:
        self._refuse_others(asked)
        path = [part for part in asked.path.split("/") if part]
        if asked.method == "GET":
            return Answered(200, self._stripe.page(path).encode())
        return Answered(303, b"", headers={"Location": await self._stripe.act(path, asked.params)})

    def _refuse_others(self, asked: Asked) -> None:
        """Refuse pages of other origins: a browser on this machine may be sent here by anyone."""
        host = urlsplit(f"//{asked.headers.get('Host', '')}").hostname
        origin = asked.headers.get("Origin", self._stripe.base)
        if host not in _LOOPBACK or (asked.method != "GET" and origin != self._stripe.base):
            raise RefusedError(403, "These pages are used from this machine, by themselves alone.")


def _handler(server: Server, loop: asyncio.AbstractEventLoop) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """One connection, one request, in a thread of its own."""

        timeout = REQUEST_S_MAX

        def do_GET(self) -> None:
            length = min(int(self.headers.get("Content-Length") or 0), BODY_BYTES_MAX)
            body = self.rfile.read(length).decode("utf-8", "replace")
            url = urlsplit(self.path)
            asked = Asked(self.command, url.path, self.headers, form(body or url.query))
            future = asyncio.run_coroutine_threadsafe(server.answer(asked), loop)
            self._send(future.result(REQUEST_S_MAX))

        do_POST = do_DELETE = do_GET  # noqa: N815 - the library looks for these names

        def _send(self, answered: Answered) -> None:
            self.send_response_only(answered.status)
            sizes = {"Content-Length": str(len(answered.content))}
            headers = {"Content-Type": answered.media_type, **sizes, **answered.headers}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answered.content)

        def log_message(self, *_: object) -> None:
            """Say nothing: the pages tell what happened."""

    return Handler


@asynccontextmanager
async def serving(stripe: PretendStripe, port: int) -> AsyncIterator[None]:
    """Serve on loopback for the length of a block."""
    # The standard library's server: granian's embedded one (2.8.7) aborts the process at its end,
    # "panic in a function that cannot unwind", and this one serves a person and a book.
    handler = _handler(Server(stripe), asyncio.get_running_loop())
    with ThreadingHTTPServer((LOOPBACK, port), handler) as http:
        http.block_on_close = False
        serving_in_a_thread = asyncio.create_task(asyncio.to_thread(http.serve_forever, 0.05))
        try:
            yield
        finally:
            http.shutdown()
            await serving_in_a_thread


async def serve(console: Console, address: Address, tiers: Path | None, port: int) -> int:
    """Serve until Ctrl-C, after words that say how to start a book beside it."""
    port = chosen_port(port)
    base = f"http://{LOOPBACK}:{port}"
    folder = address.data_dir or DATA_DIR_DEFAULT
    file = folder.with_name(f"{folder.name}-pretend-stripe.json")
    prices = PriceList(await catalogue_of(tiers, _target(address)))
    stripe = PretendStripe(read_account(file), prices, base, address, file)
    async with serving(stripe, port):
        console.print(f"A pretend Stripe answers at {base}; it keeps its objects in {file}.")
        console.print("Its events go to the book beside it. Start that with:\n", style="dim")
        console.print(
            f"STRIPE_API_KEY={KEY} STRIPE_API_BASE={base} tallybook up --data-dir {folder}\n",
            soft_wrap=True,
            highlight=False,
            markup=False,
        )
        console.print("Ctrl-C stops it.", style="dim")
        await _signal()
    return 0


async def _signal() -> None:
    """Wait for Ctrl-C or SIGTERM, also where a shell started us in the background."""
    asked = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    await asked.wait()


def _target(address: Address) -> Target | None:
    """Return the book if it runs already."""
    try:
        return addresses.find(address)
    except ConfigurationError:
        return None


def read_account(file: Path | None, shape: Shape = DEFAULT) -> StripeAccount:
    """Read the account of an earlier start, or make a new one."""
    if file is None or not file.exists():
        return StripeAccount(ids=Ids(f"try{ids.random_token(_PREFIX_DIGITS)}"), shape=shape)
    try:
        return msgspec.json.decode(file.read_bytes(), type=StripeAccount)
    except (OSError, msgspec.MsgspecError) as error:
        told = f"{file} cannot be read ({error}). Remove it, and this Stripe begins again."
        raise ConfigurationError(told) from error
