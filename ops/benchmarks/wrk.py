"""Load by wrk, which is compiled: what is measured is the server, not the client beside it."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from app.embedded.ports import LOOPBACK
from ops.benchmarks.sizes import Sizes

SCRIPT: Final = Path(__file__).with_suffix(".lua")
RATE_MAX: Final = 15_000  # requests a second that are written in advance
REMEDY: Final = "Without wrk nothing is measured over HTTP; on Debian: apt-get install wrk"
END_S_MAX: Final = 60.0

Requests = Iterator[bytes]


class Told(msgspec.Struct, frozen=True):
    """What wrk says of one round."""

    requests: int
    seconds: float
    failed: int
    p50_ms: float
    p99_ms: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds


def is_here() -> bool:
    """Whether wrk is on the path."""
    return shutil.which("wrk") is not None


async def send(port: int, requests: Requests, sizes: Sizes, connections: int = 0) -> Told:
    """Send for one round, once warm; RuntimeError where an answer was an error."""
    connections = connections or sizes.callers
    if sizes.warm_up_s:
        await _send(port, requests, sizes.warm_up_s, connections)
    told = await _send(port, requests, sizes.round_s, connections)
    if told.failed:
        raise RuntimeError(f"{told.failed} of {told.requests} answers were errors.")
    return told


async def _send(port: int, requests: Requests, seconds: float, connections: int) -> Told:
    whole_s = max(1, round(seconds))
    with tempfile.NamedTemporaryFile(prefix="tb-requests-") as file:
        for one in islice(requests, RATE_MAX * whole_s):
            file.write(b"%08x" % len(one) + one)
        file.flush()
        process = await asyncio.create_subprocess_exec(
            *("wrk", "--threads", "1", "--connections", str(connections)),
            *("--duration", f"{whole_s}s", "--timeout", "30s", "--script", str(SCRIPT)),
            *(f"http://{LOOPBACK}:{port}", "--", file.name),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            said, errors = await asyncio.wait_for(process.communicate(), whole_s + END_S_MAX)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    if process.returncode != 0:
        raise RuntimeError(f"wrk failed: {errors.decode()[-2_000:]}{said.decode()[-2_000:]}")
    return msgspec.json.decode(said.splitlines()[-1], type=Told)


def get(path: str, *headers: str) -> bytes:
    """A request's bytes; each of the headers is a line of its own."""
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: bench", *headers, "", ""]).encode()


def post(path: str, body: bytes, *headers: str) -> bytes:
    """The same with a body of JSON."""
    lines = [f"POST {path} HTTP/1.1", "Host: bench", *headers]
    lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def key() -> str:
    """An idempotency key's header, each time another."""
    return f"Idempotency-Key: {secrets.token_hex(16)}"
