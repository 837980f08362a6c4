"""The connection to Redis on each event loop that it meets: the suite's, and that which serves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import uvloop

from app.infrastructure.redis_pipe import connect, pack


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_command_is_answered(
    running_redis, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def ask() -> bytes:
        pipe = await connect(running_redis.url)
        try:
            return await pipe.call(pack("PING"), 5.0)  # type: ignore[no-any-return]
        finally:
            pipe.close()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(ask()) == b"PONG"
