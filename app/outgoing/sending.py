"""One attempt to deliver a message: a signed POST to an address that was judged before."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import cache
from typing import Final

import httpx
import msgspec

from app.infrastructure.rates import Network
from app.outgoing import addresses, secrets
from app.outgoing.message import Message

ATTEMPT_SECONDS_MAX: Final = 10.0
CONNECT_SECONDS_MAX: Final = 5.0
ANSWER_BYTES_MAX: Final = 65_536  # read and dropped, so that the connection can be used again
CONNECTIONS_MAX: Final = 20
ERROR_CHARS_MAX: Final = 200


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of delivery: the pepper of the signing secrets, the private networks."""

    pepper: str
    allowed: tuple[Network, ...] = ()


class Answer(msgspec.Struct, frozen=True):
    """A receiver's answer; without an answer ``status`` is None and ``error`` says why."""

    status: int | None = None
    error: str | None = None
    retry_after_s: int | None = None

    @property
    def delivered(self) -> bool:
        """Return whether the message arrived: only 2xx counts, and redirects are not followed."""
        return self.status is not None and 200 <= self.status < 300


class Line:
    """Connections to one endpoint's resolved address."""

    def __init__(
        self, client: httpx.AsyncClient, url: str, address: str, sender: Sender, salts: list[bytes]
    ) -> None:
        self._client = client
        self._sender = sender
        self._salts: Sequence[bytes] = salts
        named = httpx.URL(url)
        self._url = named.copy_with(host=address)
        self._host = named.netloc.decode("ascii")
        self._name = named.raw_host.decode("ascii")

    async def send(self, message: Message, at: datetime) -> Answer:
        """Try once, within the time limit of an attempt."""
        body = message.body()
        headers = {
            "Host": self._host,
            "Content-Type": "application/json",
            "User-Agent": "Tallybook-Webhooks/1",
            "webhook-id": message.public_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": secrets.signatures(
                self._sender.pepper, self._salts, message.public_id, at, body
            ),
        }
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS_MAX):
                return await self._post(body, headers)
        except TimeoutError:
            return Answer(error=f"No answer within {ATTEMPT_SECONDS_MAX:g} s.")
        except httpx.HTTPError as error:
            return Answer(error=f"{type(error).__name__}: {error}"[:ERROR_CHARS_MAX])

    async def _post(self, body: bytes, headers: dict[str, str]) -> Answer:
        # TLS asks for the name, and checks the certificate against it.
        request = self._client.stream(
            "POST",
            self._url,
            content=body,
            headers=headers,
            extensions={"sni_hostname": self._name},
        )
        async with request as response:
            size = 0
            async for part in response.aiter_raw():
                size += len(part)
                if size > ANSWER_BYTES_MAX:
                    break
            asked = response.headers.get("retry-after", "")
            wait_s = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 9 else None
            return Answer(response.status_code, None, wait_s)


@cache
def _tls() -> ssl.SSLContext:
    """Return a TLS context; making one takes 20 ms, since it reads the machine's certificates."""
    return httpx.create_ssl_context()


@asynccontextmanager
async def opened(sender: Sender, url: str, salts: list[bytes]) -> AsyncIterator[Line]:
    """Resolve and judge the address, and keep connections to it for the length of a block.

    Raises what `addresses.resolve` raises. Each endpoint has its own connections: two names with
    one address would otherwise share a connection whose certificate belongs to one of them.
    """
    address = await addresses.resolve(url, sender.allowed)
    async with httpx.AsyncClient(
        verify=_tls(),
        trust_env=False,  # a proxy of the environment would resolve the name again
        follow_redirects=False,
        timeout=httpx.Timeout(ATTEMPT_SECONDS_MAX, connect=CONNECT_SECONDS_MAX),
        limits=httpx.Limits(
            max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX
        ),
    ) as client:
        yield Line(client, url, address, sender, salts)
