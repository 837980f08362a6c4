"""Server processes of the bench, and the load that is sent to them from another process."""

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

from app.embedded.ports import LOOPBACK, free_port
from app.embedded.program import Program, log_path, spawn
from app.embedded.start_error import log_tail
from ops.benchmarks.server import Ledger, Server

PEPPER: Final = "pepper-of-the-bench-0000"
SECRET: Final = "whsec_of_the_bench_0000"  # noqa: S105 - of a server that lives for minutes
TALLYBOOK: Final = (sys.executable, "-m", "app", "serve", "--port")
START_S_MAX: Final = 30.0
END_S_MAX: Final = 60.0
POLL_S: Final = 0.05
ROOT: Final = Path(__file__).parents[2]


@asynccontextmanager
async def child(
    server: Server, ledger: Ledger, name: str, command: tuple[str, ...], **more: str
) -> AsyncIterator[int]:
    """A server process that takes its port as last argument, for the length of the block."""
    port = free_port()
    environment = {
        **{key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ},
        "PYTHONPATH": str(ROOT),
        "DATABASE_URL": ledger.application_url,
        "STRIPE_WEBHOOK_SECRET": SECRET,
        "TALLYBOOK_KEY_PEPPER": PEPPER,
        **more,
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
