"""Work that comes together is carried out in groups: none forgotten, none answered for another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from app.infrastructure.group_commit import GroupQueue


class Groups:
    """Carries out numbers by doubling them, and keeps which came together."""

    def __init__(self, names: Callable[[int], tuple[object, ...]] = lambda _: ()) -> None:
        self.seen: list[list[int]] = []
        self.at_work = self.at_work_max = 0
        self.queue: GroupQueue[int, int] = GroupQueue(
            self.carry_out, drains_max=2, group_max=8, names=names
        )

    async def carry_out(self, group: list[int]) -> list[int]:
        self.seen.append(group)
        self.at_work += 1
        self.at_work_max = max(self.at_work_max, self.at_work)
        await asyncio.sleep(0)
        self.at_work -= 1
        if 13 in group:
            raise ValueError("thirteen")
        return [2 * number for number in group]


async def test_each_has_its_own_result_and_groups_keep_their_bounds() -> None:
    groups = Groups()
    assert await asyncio.gather(*map(groups.queue.put, range(100, 200))) == list(range(200, 400, 2))
    assert sorted(number for group in groups.seen for number in group) == list(range(100, 200))
    assert max(map(len, groups.seen)) == 8
    assert (groups.at_work_max, len(groups.queue)) == (2, 0)


async def test_no_two_of_a_name_are_together_and_those_of_one_name_keep_their_order() -> None:
    groups = Groups(names=lambda number: (number % 3,))
    await asyncio.gather(*map(groups.queue.put, range(100, 130)))
    assert all(len({number % 3 for number in group}) == len(group) for group in groups.seen)
    for name in range(3):
        ordered = [number for group in groups.seen for number in group if number % 3 == name]
        assert ordered == sorted(ordered)


async def test_what_a_group_raises_each_of_it_is_told_and_the_next_goes_on() -> None:
    groups = Groups()
    told = await asyncio.gather(*map(groups.queue.put, range(40)), return_exceptions=True)
    (failed,) = [group for group in groups.seen if 13 in group]
    assert [number for number in range(40) if isinstance(told[number], ValueError)] == failed
    assert await groups.queue.put(50) == 100


async def test_a_caller_that_left_keeps_nobody_from_an_answer() -> None:
    groups = Groups()
    callers = [asyncio.create_task(groups.queue.put(number)) for number in range(6)]
    await asyncio.sleep(0)
    callers[2].cancel()
    with pytest.raises(asyncio.CancelledError):
        await callers[2]
    assert await asyncio.gather(*callers[:2], *callers[3:]) == [0, 2, 6, 8, 10]
    await groups.queue.close()
    assert len(groups.queue) == 0


@pytest.mark.parametrize("misbehave", ["too_few", "cancelled", "exits"])
async def test_every_caller_is_answered_however_the_work_misbehaves(misbehave: str) -> None:
    async def carry_out(group: list[int]) -> list[int]:
        if 13 not in group:
            return group
        if misbehave == "too_few":
            return group[1:]
        if misbehave == "cancelled":
            raise asyncio.CancelledError
        raise _Exit

    queue: GroupQueue[int, int] = GroupQueue(carry_out, drains_max=1, group_max=8)
    async with asyncio.timeout(10):
        told = await asyncio.gather(*map(queue.put, (13, 14, 15)), return_exceptions=True)
        assert all(isinstance(one, BaseException) for one in told[:1])
        assert await queue.put(16) == 16, "the queue goes on"
        await queue.close()


class _Exit(BaseException):
    """Not an Exception, as SystemExit is none."""
