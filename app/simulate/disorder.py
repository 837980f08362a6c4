"""What befalls events on their way: another order, copies, losses; the same for the same seed."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.simulate.cast import Role
from app.simulate.tape import Delivery, SendEvents

WINDOW: Final = 1_000  # how many events may overtake one: memory stays flat however many come
_COPY_COMES: Final = 0.2  # the chance that a copy held back comes after the next event


@dataclass(frozen=True)
class Outgoing:
    """One event on its way, and whose it is; it happened at ``at``."""

    role: Role
    at: datetime
    delivery: Delivery


@dataclass(frozen=True, kw_only=True)
class Disorder:
    """``duplicate`` and ``drop`` are rates from 0 to 1."""

    shuffle: bool = False
    duplicate: float = 0.0
    drop: float = 0.0


Dropped = Callable[[Outgoing], None]


def in_time(roles: Sequence[Role], done: Callable[[Role], None]) -> Iterator[Outgoing]:
    """The events of all these lives by the time at which they happen, drawn as they are needed."""
    lives = [_life(number, role, done) for number, role in enumerate(roles)]
    for _, _, step in heapq.merge(*lives):
        yield from step


def _life(
    number: int, role: Role, done: Callable[[Role], None]
) -> Iterator[tuple[datetime, int, list[Outgoing]]]:
    for step in role.steps:
        if isinstance(step.action, SendEvents):
            sent = [Outgoing(role, step.at, delivery) for delivery in step.action.deliveries]
            yield step.at, number, sent
    done(role)


def disturbed(
    events: Iterator[Outgoing], disorder: Disorder, rng: random.Random, dropped: Dropped
) -> Iterator[Outgoing]:
    """The same events as they arrive."""
    arriving = _copied(_without_losses(events, disorder.drop, rng, dropped), disorder, rng)
    return _shuffled(arriving, rng) if disorder.shuffle else arriving


def _without_losses(
    events: Iterator[Outgoing], rate: float, rng: random.Random, dropped: Dropped
) -> Iterator[Outgoing]:
    for event in events:
        if rng.random() < rate:
            dropped(event)
        else:
            yield event


def _copied(
    events: Iterator[Outgoing], disorder: Disorder, rng: random.Random
) -> Iterator[Outgoing]:
    held: list[Outgoing] = []
    for event in events:
        yield event
        if rng.random() < disorder.duplicate:
            held.append(event)
        if held and (len(held) > WINDOW or rng.random() < _COPY_COMES):
            yield held.pop(0)
    yield from held


def _shuffled(events: Iterator[Outgoing], rng: random.Random) -> Iterator[Outgoing]:
    """Any of the next WINDOW events may be the next to arrive."""
    waiting: list[Outgoing] = []
    for event in events:
        waiting.append(event)
        if len(waiting) > WINDOW:
            yield _any(waiting, rng)
    while waiting:
        yield _any(waiting, rng)


def _any(waiting: list[Outgoing], rng: random.Random) -> Outgoing:
    at = rng.randrange(len(waiting))
    waiting[at], waiting[-1] = waiting[-1], waiting[at]
    return waiting.pop()
