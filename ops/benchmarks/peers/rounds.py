"""What is measured of floor, product and peers: in turns, so that a noisy minute falls on all."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from statistics import median
from typing import Final

import msgspec

from ops.benchmarks.peers.subjects import Spend, Subject
from ops.benchmarks.quiet import Machine

BATCH: Final = 100
BATCHES_AT_ONCE: Final = 2
HOT: Final = 1
HOT_CALLERS: Final = 64

Rate = Callable[[], Awaitable[float]]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table: the median of the rounds, and what of its case's floor it is."""

    case: str
    who: str
    rate: float
    of_floor: float


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """How much."""

    accounts: int
    callers: int
    rounds: int
    round_s: float
    warm_up_s: float


async def in_turns(
    case: str, rates: Mapping[str, Rate], rounds: int, machine: Machine
) -> list[Row]:
    """Each of the rates once in each round; the first is the case's floor."""
    taken: dict[str, list[float]] = {who: [] for who in rates}
    for _ in range(rounds):
        machine.look()
        for who, rate in rates.items():
            taken[who].append(await rate())
    floor = median(next(iter(taken.values())))
    return [
        Row(case=case, who=who, rate=median(of_it), of_floor=median(of_it) / floor)
        for who, of_it in taken.items()
    ]


async def spends(subjects: list[Subject], load: Load, machine: Machine) -> list[Row]:
    """Every way to spend through the Python call."""
    rows: list[Row] = []
    floor = subjects[0]
    anyone = (1, load.accounts)

    async def case(name: str, rates: Mapping[str, Rate]) -> None:
        rows.extend(await in_turns(name, rates, load.rounds, machine))

    def one_by_one(spend: Spend, accounts: tuple[int, int], callers: int) -> Rate:
        return lambda: _warmed(lambda s: _calls(spend, accounts, callers, s), load)

    await case(
        "one caller",
        {one.name: one_by_one(one.alone or one.grouped, anyone, 1) for one in subjects},
    )
    await case(
        f"{load.callers} callers, each a transaction of its own",
        {one.name: one_by_one(one.alone, anyone, load.callers) for one in subjects if one.alone},
    )
    await case(
        f"{load.callers} callers, grouped by the same queue",
        {one.name: one_by_one(one.grouped, anyone, load.callers) for one in subjects},
    )
    await case(
        f"batches of {BATCH}, {BATCHES_AT_ONCE} at once",
        {
            one.name: (
                lambda one=one: _warmed(lambda s: _batches(one, anyone, s), load)  # type: ignore[misc]
            )
            for one in subjects
        },
    )
    hot = {f"{one.name}, grouped": one.grouped for one in subjects}
    hot |= {f"{one.name}, alone": one.alone for one in subjects if one.alone and one is not floor}
    await case(
        f"one account, {HOT_CALLERS} callers",
        {who: one_by_one(spend, (HOT, HOT), HOT_CALLERS) for who, spend in hot.items()},
    )
    return rows


async def _warmed(run: Callable[[float], Awaitable[float]], load: Load) -> float:
    if load.warm_up_s:
        await run(load.warm_up_s)
    return await run(load.round_s)


async def _calls(spend: Spend, accounts: tuple[int, int], callers: int, seconds: float) -> float:
    count = 0
    started = time.monotonic()

    async def caller() -> None:
        nonlocal count
        while time.monotonic() < started + seconds:
            await spend(random.randint(*accounts))  # noqa: S311 - it spreads the load
            count += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(caller())
    return count / (time.monotonic() - started)


async def _batches(subject: Subject, accounts: tuple[int, int], seconds: float) -> float:
    async def batch(_number: int) -> None:
        await subject.batch([random.randint(*accounts) for _ in range(BATCH)])  # noqa: S311

    return BATCH * await _calls(batch, accounts, BATCHES_AT_ONCE, seconds)
