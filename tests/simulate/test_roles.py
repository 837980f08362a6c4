"""Roles are the same for the same seed, drawn lazily, and disturbed as the rates say."""

from __future__ import annotations

import random
import tracemalloc
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise

import orjson
import pytest

from app.allowance.catalogue import default_text, parse
from app.simulate import roles
from app.simulate.customer_story import Setting
from app.simulate.disorder import WINDOW, Disorder, Outgoing, disturbed, in_time
from app.simulate.price_list import PriceList
from app.simulate.roles import Role
from app.simulate.scenarios import SCENARIOS, Need
from app.simulate.steps import Delivery
from app.simulate.stripe_objects import SHAPES
from app.webhooks.translate import Parked, translate

START = datetime(2026, 1, 1, tzinfo=UTC)
PRICES = PriceList(parse(default_text(), "tiers.toml"))
NAMES = list(SCENARIOS)
# Their events are unreadable in part, or come twice with other bytes: that is their subject.
UNREADABLE = {"more_than_ten_items", "parked_then_readable"}


def setting_of(
    seed: int = 1,
    starts_at: datetime = START,
    days: int | None = 30,
    version: str = "2026-08-26.dahlia",
) -> Setting:
    return roles.seeded(seed, starts_at, PRICES, days=days, shape=SHAPES[version])


def events_of(played: Sequence[Role]) -> list[Outgoing]:
    return list(in_time(played, lambda _: None))


def bodies(played: Sequence[Role]) -> list[tuple[str, bytes]]:
    acts = (one.act for one in events_of(played))
    return [(act.event_id, act.payload) for act in acts if isinstance(act, Delivery)]


def some(
    seed: int = 1, count: int = 30, names: Sequence[str] = NAMES, **more: object
) -> list[Role]:
    return list(roles.population(setting_of(seed, **more), count, names))  # type: ignore[arg-type]


def one_of_each(seed: int = 1, names: Sequence[str] = NAMES, **more: object) -> list[Role]:
    return list(roles.named(setting_of(seed, **more), names))  # type: ignore[arg-type]


def test_the_same_seed_makes_the_same_events_byte_by_byte() -> None:
    assert bodies(some()) == bodies(some())
    assert bodies(one_of_each()) == bodies(one_of_each())


def test_more_customers_leave_the_first_ones_as_they_are() -> None:
    assert set(bodies(some(count=10))) < set(bodies(some(count=30)))


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 2},
        {"starts_at": START + timedelta(days=1)},
        {"days": 31},
        {"version": "2026-09-30.endive"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_other_circumstances_make_other_ids(other: dict[str, object]) -> None:
    mine, theirs = (dict(bodies(some(**more))) for more in ({}, other))  # type: ignore[arg-type]
    assert not mine.keys() & theirs.keys()


@pytest.mark.parametrize("version", SHAPES)
def test_an_id_stands_for_one_body_and_every_body_is_understood(version: str) -> None:
    seen: dict[str, bytes] = {}
    names = [name for name in NAMES if name not in UNREADABLE]
    many = some(count=60, names=names, version=version)
    for event_id, body in bodies([*many, *one_of_each(2, names, version=version)]):
        event = orjson.loads(body)
        assert (event["id"], event["livemode"]) == (event_id, False)
        assert not isinstance(translate(event), Parked)
        assert seen.setdefault(event_id, body) == body


def test_a_population_lives_within_its_days_and_in_order() -> None:
    events = events_of(some())
    assert all(one.at <= other.at for one, other in pairwise(events))
    assert events[0].at >= START
    assert events[-1].at <= START + timedelta(days=30)


def test_every_scenario_is_played_in_a_large_population() -> None:
    many = roles.population(setting_of(), 500, NAMES)
    assert {role.scenario for role in many} == set(NAMES)


def test_a_large_population_is_drawn_as_it_is_played_and_fills_no_memory() -> None:
    def play(count: int) -> int:
        tracemalloc.start()
        subscriptions = [one for one in NAMES if Need.PACK not in SCENARIOS[one].needs]
        many = roles.population(setting_of(), 100_000, subscriptions)
        disorder = Disorder(shuffle=True, duplicate=0.5)
        for _ in range(count):
            acts = in_time(list(islice(many, 10)), lambda _: None)
            for one in disturbed(acts, disorder, random.Random(1), lambda _: None):
                assert one.act
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    assert play(12) < 1.5 * play(2)


def stream(count: int) -> Iterator[Outgoing]:
    (role,) = roles.named(setting_of(), ["missed_events"])
    (event,) = events_of([role])
    for number in range(count):
        yield replace(event, at=event.at + timedelta(seconds=number))


def arrived(count: int, disorder: Disorder, lost: list[Outgoing] | None = None) -> list[int]:
    losses: list[Outgoing] = [] if lost is None else lost
    events = disturbed(stream(count), disorder, random.Random(7), losses.append)
    first = next(stream(1)).at
    return [int((one.at - first).total_seconds()) for one in events]


def test_in_order_means_in_order() -> None:
    assert arrived(50, Disorder()) == list(range(50))


def test_shuffled_events_all_arrive_and_none_is_overtaken_without_end() -> None:
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
