"""Who lives what: the same for the same seed, drawn lazily, disturbed as the rates say."""

from __future__ import annotations

import random
import tracemalloc
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

import orjson
import pytest

from app.allowance.catalogue import default_text, parse
from app.simulate import cast
from app.simulate.cast import LIFE_CYCLES, Casting, Role
from app.simulate.disorder import WINDOW, Disorder, Outgoing, disturbed, in_time
from app.simulate.life_cycles import SUBSCRIPTIONS
from app.simulate.wares import Wares
from app.webhooks.translate import Parked, translate

START = datetime(2026, 1, 1, tzinfo=UTC)
WARES = Wares(parse(default_text(), "tiers.toml"))
NAMES = [one.name for one in LIFE_CYCLES]


def casting(seed: int = 1, starts_at: datetime = START, days: int | None = 30) -> Casting:
    return Casting(seed=seed, starts_at=starts_at, wares=WARES, days=days)


def events_of(roles: Sequence[Role]) -> list[Outgoing]:
    return list(in_time(roles, lambda _: None))


def bodies(roles: Sequence[Role]) -> list[tuple[str, bytes]]:
    return [(one.delivery.event_id, one.delivery.payload) for one in events_of(roles)]


def some(seed: int = 1, count: int = 30, **more: object) -> list[Role]:
    return list(cast.population(casting(seed, **more), count, NAMES))  # type: ignore[arg-type]


def test_the_same_seed_makes_the_same_events_byte_by_byte() -> None:
    assert bodies(some()) == bodies(some())
    assert bodies(list(cast.named(casting(), NAMES))) == bodies(list(cast.named(casting(), NAMES)))


def test_more_customers_leave_the_first_ones_as_they_are() -> None:
    assert set(bodies(some(count=10))) < set(bodies(some(count=30)))


@pytest.mark.parametrize(
    "other",
    [{"seed": 2}, {"starts_at": START + timedelta(days=1)}, {"days": 31}],
    ids=lambda other: next(iter(other)),
)
def test_other_circumstances_make_other_ids(other: dict[str, object]) -> None:
    mine, theirs = (dict(bodies(some(**more))) for more in ({}, other))  # type: ignore[arg-type]
    assert not mine.keys() & theirs.keys()


def test_an_id_stands_for_one_body_and_every_body_is_understood() -> None:
    seen: dict[str, bytes] = {}
    for event_id, body in bodies([*some(count=60), *cast.named(casting(2), NAMES)]):
        event = orjson.loads(body)
        assert (event["id"], event["livemode"]) == (event_id, False)
        assert not isinstance(translate(event), Parked)
        assert seen.setdefault(event_id, body) == body


def test_a_population_lives_within_its_days_and_in_order() -> None:
    events = events_of(some())
    assert all(one.at <= other.at for one, other in pairwise(events))
    assert events[0].at >= START
    assert events[-1].at <= START + timedelta(days=30)


def test_every_life_cycle_is_lived_in_a_large_population() -> None:
    roles = cast.population(casting(), 500, NAMES)
    assert {role.life_cycle for role in roles} == set(NAMES)


def test_a_large_population_is_drawn_as_it_is_played_and_fills_no_memory() -> None:
    def play(count: int) -> int:
        tracemalloc.start()
        roles = cast.population(casting(), 100_000, [one.name for one in SUBSCRIPTIONS])
        for _ in range(count):
            for event in disturbed(
                in_time(list(islice(roles, 10)), lambda _: None),
                Disorder(shuffle=True, duplicate=0.5), random.Random(1), lambda _: None,
            ):  # fmt: skip
                assert event.delivery.payload
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    assert play(12) < 1.5 * play(2)


def stream(count: int) -> Iterator[Outgoing]:
    (role,) = cast.named(casting(), ["missed_events"])
    (event,) = events_of([role])
    for number in range(count):
        yield Outgoing(role, event.at + timedelta(seconds=number), event.delivery)


def arrived(count: int, disorder: Disorder, lost: list[Outgoing] | None = None) -> list[int]:
    losses: list[Outgoing] = [] if lost is None else lost
    events = disturbed(stream(count), disorder, random.Random(7), losses.append)
    first = next(stream(1)).at
    return [int((one.at - first).total_seconds()) for one in events]


def test_in_order_means_in_order() -> None:
    assert arrived(50, Disorder()) == list(range(50))


def test_shuffled_events_all_arrive_and_none_waits_for_ever() -> None:
    arriving = arrived(5_000, Disorder(shuffle=True))
    assert sorted(arriving) == list(range(5_000)) != arriving
    assert all(number <= place + WINDOW for place, number in enumerate(arriving))


def test_duplicates_come_after_the_first_and_about_as_often_as_asked() -> None:
    count = Counter(arrived(2_000, Disorder(duplicate=0.3)))
    assert set(count.values()) == {1, 2}
    assert len(count) == 2_000
    assert 500 < sum(one == 2 for one in count.values()) < 700
    assert set(Counter(arrived(100, Disorder(duplicate=1.0))).values()) == {2}


def test_dropped_events_never_arrive_and_are_counted() -> None:
    lost: list[Outgoing] = []
    arriving = arrived(2_000, Disorder(drop=0.2), lost)
    assert len(arriving) + len(lost) == 2_000
    assert 300 < len(lost) < 500
    assert arrived(100, Disorder(drop=1.0)) == []
