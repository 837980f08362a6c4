"""The disorder of events on their way: another order, copies, losses; the same for one seed."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.simulate.roles import Role
from app.simulate.steps import Act, Delivery

WINDOW: Final = 1_000  # how many events may overtake one: memory stays flat however many come
_COPY_COMES: Final = 0.2  # the chance that a copy held back comes after the next event


@dataclass(frozen=True)
class Outgoing:
    """One act on its way, which happened at ``at``, and the customer whose it is."""

    role: Role
    at: datetime
    story: str
    act: Act


@dataclass(frozen=True, kw_only=True)
class Disorder:
    """``duplicate`` and ``drop`` are rates of Stripe's events, from 0 to 1."""

    shuffle: bool = False
    duplicate: float = 0.0
    drop: float = 0.0


Dropped = Callable[[Outgoing], None]


def in_time(roles: Sequence[Role], done: Callable[[Role], None]) -> Iterator[Outgoing]:
    """Yield the acts of all these stories by the time at which they happen, drawn when needed."""
    stories = [_story(number, role, done) for number, role in enumerate(roles)]
    for _, _, acts in heapq.merge(*stories):
        yield from acts


def _story(
    number: int, role: Role, done: Callable[[Role], None]
) -> Iterator[tuple[datetime, int, list[Outgoing]]]:
    for step in role.steps:
        yield step.at, number, [Outgoing(role, step.at, step.story, act) for act in step.acts]
    done(role)


def disturbed(
    acts: Iterator[Outgoing], disorder: Disorder, rng: random.Random, dropped: Dropped
) -> Iterator[Outgoing]:
    """Yield the acts as they arrive."""
    arriving = _copied(_without_losses(acts, disorder.drop, rng, dropped), disorder, rng)
    return _shuffled(arriving, rng) if disorder.shuffle else arriving


def _without_losses(
    acts: Iterator[Outgoing], rate: float, rng: random.Random, dropped: Dropped
) -> Iterator[Outgoing]:
    for one in acts:
        if isinstance(one.act, Delivery) and rng.random() < rate:
            dropped(one)
        else:
            yield one


def _copied(acts: Iterator[Outgoing], disorder: Disorder, rng: random.Random) -> Iterator[Outgoing]:
    held: list[Outgoing] = []
    for one in acts:
        yield one
        if isinstance(one.act, Delivery) and rng.random() < disorder.duplicate:
            held.append(one)
        if held and (len(held) > WINDOW or rng.random() < _COPY_COMES):
            yield held.pop(0)
    yield from held


def _shuffled(acts: Iterator[Outgoing], rng: random.Random) -> Iterator[Outgoing]:
    """Let any of the next WINDOW acts be the next to arrive."""
    waiting: list[Outgoing] = []
    for one in acts:
        waiting.append(one)
        if len(waiting) > WINDOW:
            yield _any(waiting, rng)
    while waiting:
        yield _any(waiting, rng)


def _any(waiting: list[Outgoing], rng: random.Random) -> Outgoing:
    at = rng.randrange(len(waiting))
    waiting[at], waiting[-1] = waiting[-1], waiting[at]
    return waiting.pop()
