"""Limits are exact over several processes, and a Redis that is away or hangs opens the doors."""

from __future__ import annotations

import asyncio
import signal
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
import redis
from structlog.testing import capture_logs

from app.infrastructure.limiter import RETRY_SECONDS, Limiter
from app.infrastructure.rates import Rate
from tests.limits.conftest import PATIENT_SECONDS
from tests.running_redis import RunningRedis

HOURLY = Rate(5, 3_600)  # slow enough that nothing comes back while the test runs


async def test_the_limit_is_let_through_and_the_next_is_refused(limiter: Limiter) -> None:
    told = [await limiter.take(HOURLY, "key:a") for _ in range(6)]
    assert [one.remaining for one in told if one] == [4, 3, 2, 1, 0, 0]
    assert [bool(one.retry_after_s) for one in told if one] == [False] * 5 + [True]
    last = told[-1]
    assert last is not None
    assert 700 < last.retry_after_s <= 720, "a fifth of an hour until one comes back"
    assert 3_590 < last.reset_s <= 3_600
    other = await limiter.take(HOURLY, "key:b")
    assert other is not None
    assert other.remaining == 4, "another key has a limit of its own"


async def test_a_refused_call_costs_nothing_and_calls_come_back_evenly(limiter: Limiter) -> None:
    rate = Rate(2, 1)
    while True:
        started = time.monotonic()
        told = [await limiter.take(rate, f"key:{started}") for _ in range(9)]
        if time.monotonic() - started < 0.4:  # on a machine that stood still, once more
            break
    assert sum(1 for one in told if one and not one.retry_after_s) == 2
    await asyncio.sleep(1.1)
    back = [await limiter.take(rate, f"key:{started}") for _ in range(2)]
    assert all(one and not one.retry_after_s for one in back)


async def test_calls_at_once_are_counted_each(limiter: Limiter) -> None:
    told = await asyncio.gather(*(limiter.take(Rate(50, 3_600), "key:a") for _ in range(200)))
    assert sum(1 for one in told if one and not one.retry_after_s) == 50


def _take_in_a_process(url: str, count: int) -> int:
    async def take() -> int:
        limiter = Limiter(url, within_s=PATIENT_SECONDS)
        await limiter.open()
        told = await asyncio.gather(*(limiter.take(Rate(60, 3_600), "key:a") for _ in range(count)))
        await limiter.close()
        assert all(one is not None for one in told)
        return sum(1 for one in told if one and not one.retry_after_s)

    return asyncio.run(take())


def test_several_processes_share_one_limit_exactly(running_redis: RunningRedis) -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        tasks = [pool.submit(_take_in_a_process, running_redis.url, 50) for _ in range(2)]
        assert sum(task.result() for task in tasks) == 60


async def test_what_is_counted_leaves_redis_by_itself(
    limiter: Limiter, running_redis: RunningRedis
) -> None:
    await limiter.take(Rate(10, 100), "key:a")
    client = redis.Redis.from_url(running_redis.url)
    (name,) = client.keys("*")
    assert name == b"tallybook:limit:key:a"
    assert 0 < client.pttl(name) <= 10_001  # type: ignore[operator]
    client.close()


async def test_a_redis_that_is_gone_opens_the_doors_until_it_is_back(
    running_redis: RunningRedis,
) -> None:
    unseen = []
    limiter = Limiter(running_redis.url, lambda: unseen.append(1), within_s=PATIENT_SECONDS)
    await limiter.open()
    assert await limiter.take(HOURLY, "key:a") is not None
    running_redis.stop()
    for _ in range(20):
        assert await limiter.take(HOURLY, "key:a") is None
    assert len(unseen) == 20
    assert limiter.away
    running_redis.start()
    async with asyncio.timeout(30):
        while await limiter.take(HOURLY, "key:a") is None:
            await asyncio.sleep(0.05)
    assert not limiter.away
    await limiter.close()


async def test_a_redis_that_hangs_is_waited_for_once_and_then_costs_nothing(
    running_redis: RunningRedis,
) -> None:
    limiter = Limiter(running_redis.url)
    await limiter.open()
    running_redis.signal(signal.SIGSTOP)
    assert await limiter.take(HOURLY, "key:a") is None
    assert limiter.away
    # From here on nothing waits: none of these calls lets another task run.
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count_turns())
    for _ in range(1_000):
        assert await limiter.take(HOURLY, "key:a") is None
    assert turns == 0
    counting.cancel()
    running_redis.signal(signal.SIGCONT)
    async with asyncio.timeout(30 + RETRY_SECONDS):
        while await limiter.take(HOURLY, "key:a") is None:
            await asyncio.sleep(0.05)
    await limiter.close()


async def test_a_flushed_script_is_loaded_again(
    limiter: Limiter, running_redis: RunningRedis
) -> None:
    client = redis.Redis.from_url(running_redis.url)
    client.script_flush()
    client.close()
    assert await limiter.take(HOURLY, "key:a") is not None


@pytest.mark.parametrize(
    "poison",
    [
        "9000000000000000000",  # it refused every call for 285,000 years
        "1e400",
        "-1",
        "no number",
        "nan",
    ],
)
async def test_a_number_that_is_none_of_ours_refuses_nobody(
    limiter: Limiter, running_redis: RunningRedis, poison: str
) -> None:
    client = redis.Redis.from_url(running_redis.url)
    client.set("tallybook:limit:key:a", poison)
    told = [await limiter.take(HOURLY, "key:a") for _ in range(6)]
    assert [one.retry_after_s == 0 for one in told if one] == [True] * 5 + [False]
    client.delete("tallybook:limit:key:b")
    client.lpush("tallybook:limit:key:b", "a list")
    assert await limiter.take(HOURLY, "key:b") is not None
    client.close()


async def test_a_shorter_window_frees_who_waits_for_the_longer_one(
    limiter: Limiter, running_redis: RunningRedis
) -> None:
    for _ in range(6):
        await limiter.take(HOURLY, "key:a")
    later = Limiter(running_redis.url, within_s=PATIENT_SECONDS)
    await later.open()
    told = await later.take(Rate(5, 60), "key:a")
    assert told is not None
    assert told.retry_after_s == 0
    await later.close()


def asked(url: str) -> int:
    client = redis.Redis.from_url(url)
    stats = client.info("commandstats")
    client.close()
    return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("evalsha", "eval"))


async def test_a_busy_caller_asks_redis_once_for_many_calls(
    limiter: Limiter, running_redis: RunningRedis
) -> None:
    rate = Rate(60_000, 60)
    told = [await limiter.take(rate, "key:a") for _ in range(200)]
    assert all(one and not one.retry_after_s for one in told)
    # One each 50, one more for the script, which is loaded when it is first asked for.
    assert asked(running_redis.url) <= 5
    assert [one.remaining for one in told[:3] if one] == [59_999, 59_998, 59_997]


async def test_a_refused_caller_is_refused_without_redis(
    limiter: Limiter, running_redis: RunningRedis
) -> None:
    for _ in range(6):
        await limiter.take(HOURLY, "key:a")
    before = asked(running_redis.url)
    told = [await limiter.take(HOURLY, "key:a") for _ in range(500)]
    assert all(one and one.retry_after_s for one in told)
    assert asked(running_redis.url) - before <= 3


async def test_the_tokens_of_callers_that_went_away_are_forgotten(
    limiter: Limiter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.infrastructure.limiter.SUBJECTS_MAX", 10)
    for number in range(35):
        assert await limiter.take(HOURLY, f"address:{number}") is not None
    assert len(limiter._leases) <= 10


async def test_a_wrong_password_opens_the_doors_and_is_never_told(
    running_redis: RunningRedis,
) -> None:
    limiter = Limiter(running_redis.url.replace("redis://:", "redis://:wrong"))
    with capture_logs() as logs:
        await limiter.open()
    assert [one["event"] for one in logs] == ["redis_away"]
    assert "wrong" not in str(logs)
    assert limiter.away
    assert await limiter.take(HOURLY, "key:a") is None
    await limiter.close()
