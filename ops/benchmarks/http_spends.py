"""A spend over HTTP through the real service, beside a bare handler under the same server."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec

from app import keys
from app.db import opened
from app.embedded.ports import LOOPBACK, free_port
from app.embedded.program import Program, log_path, spawn
from app.embedded.start_error import log_tail
from app.keys import Scope
from ops.benchmarks.figures import Figure, at_least
from ops.benchmarks.load import Load
from ops.benchmarks.server import Ledger, Server
from ops.benchmarks.sizes import Sizes

PEPPER: Final = "pepper-of-the-bench-0000"
START_S_MAX: Final = 30.0
END_S_MAX: Final = 60.0
POLL_S: Final = 0.05
ROOT: Final = Path(__file__).parents[2]


async def measure(server: Server, ledger: Ledger, sizes: Sizes) -> Figure:
    """Authenticated, validated, idempotent, against none of it."""
    async with opened(ledger.application_url) as database:
        token = await keys.create(database, PEPPER, "bench", [Scope.SERVICE])
    tallybook = str(Path(sys.executable).with_name("tallybook"))
    bare = (sys.executable, "-m", "ops.benchmarks.bare")
    async with (
        _child(server, ledger, "bare", bare) as bare_port,
        _child(server, ledger, "serve", (tallybook, "serve", "--port")) as port,
    ):
        bare_load = _load(sizes, token, bare_port, "/spends/{account}")
        load = _load(sizes, token, port, "/api/v1/accounts/bench-{account}/spends")
        rounds = []
        for _ in range(sizes.rounds):
            rounds.append((await _rate(bare_load, sizes), await _rate(load, sizes)))
    return at_least(f"spends by HTTP, {sizes.callers} connections", "spends/s", 0.5, rounds)


def _load(sizes: Sizes, token: str, port: int, path: str) -> Load:
    return Load(
        port=port,
        path=path,
        token=token,
        accounts=sizes.accounts,
        connections=sizes.callers,
        seconds=sizes.round_s,
    )


async def _rate(load: Load, sizes: Sizes) -> float:
    await _send(msgspec.structs.replace(load, seconds=sizes.warm_up_s))
    return await _send(load)


async def _send(load: Load) -> float:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ops.benchmarks.load",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    try:
        said, errors = await asyncio.wait_for(
            process.communicate(msgspec.json.encode(load)), load.seconds + END_S_MAX
        )
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise RuntimeError(f"The load on {load.path} failed:\n{errors.decode()[-2_000:]}")
    return float(said)


@asynccontextmanager
async def _child(
    server: Server, ledger: Ledger, name: str, command: tuple[str, ...]
) -> AsyncIterator[int]:
    """A server process that takes its port as last argument, for the length of the block."""
    port = free_port()
    environment = {
        **{key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ},
        "PYTHONPATH": str(ROOT),
        "DATABASE_URL": ledger.application_url,
        "STRIPE_WEBHOOK_SECRET": "whsec_of_the_bench_0000",
        "TALLYBOOK_KEY_PEPPER": PEPPER,
    }
    logs_dir = server.folder / "logs"
    program = Program(name=name, argv=(*command, str(port)), environment=environment)
    process = spawn(program, logs_dir, server.guard)
    try:
        await _listening(process, port, log_path(logs_dir, name))
        yield port
    finally:
        process.terminate()
        try:
            await asyncio.to_thread(process.wait, END_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()


async def _listening(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    ends_at = time.monotonic() + START_S_MAX
    while True:
        try:
            _, writer = await asyncio.open_connection(LOOPBACK, port)
        except OSError:
            if process.poll() is not None or time.monotonic() > ends_at:
                raise RuntimeError(f"It does not listen:\n{log_tail(log)}") from None
            await asyncio.sleep(POLL_S)
        else:
            writer.close()
            return
