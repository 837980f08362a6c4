"""A real `tallybook serve` on loopback, for what has to go over a socket."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from urllib.request import urlopen

from app.embedded.ports import free_port

READY_S_MAX = 60


@asynccontextmanager
async def served(variables: Mapping[str, str]) -> AsyncIterator[str]:
    """Its address, for the length of a block; ``variables`` are its settings."""
    port = free_port()
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app", "serve", "--port", str(port), env={**kept, **variables}
    )
    url = f"http://127.0.0.1:{port}"
    try:
        async with asyncio.timeout(READY_S_MAX):
            while not await asyncio.to_thread(_answers, url):
                assert process.returncode is None
                await asyncio.sleep(0.1)
        yield url
    finally:
        process.terminate()
        await process.wait()


def _answers(url: str) -> bool:
    try:
        with urlopen(f"{url}/health/live", timeout=5):
            return True
    except OSError:
        return False
