"""Who lives what: named life cycles, or a random population; the same for the same seed."""

from __future__ import annotations

import hashlib
import random
from base64 import b32encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from app.errors import ConfigurationError
from app.simulate import sample_tape
from app.simulate.expectation import ExpectedAccount
from app.simulate.life import EndOfTimesError, Life, Story
from app.simulate.life_cycles import SUBSCRIPTIONS, LifeCycle
from app.simulate.pack_life_cycles import PACKS
from app.simulate.tape import Step
from app.simulate.wares import Wares

TAPE_NAME: Final = "sample_tape"
TAPE_SENTENCE: Final = "Those of `tallybook demo` who subscribe, without their spends."
TAPE_CUSTOMERS: Final = 5

LIFE_CYCLES: Final = (*SUBSCRIPTIONS, *PACKS)
_DIGEST_CHARS: Final = 6


@dataclass(frozen=True)
class Role:
    """One customer: steps to play, and what must come of it once they are played.

    The expectation is told as the steps are drawn, so that no life is made before its time.
    """

    life_cycle: str
    account_id: str
    steps: Iterator[Step]
    expected: ExpectedAccount


@dataclass(frozen=True, kw_only=True)
class Casting:
    """All that the events depend on; ``tag`` is in each of their ids."""

    seed: int
    starts_at: datetime
    wares: Wares
    days: int | None = None

    @property
    def tag(self) -> str:
        """Other circumstances make other bodies, which need other ids."""
        said = f"{self.starts_at.isoformat()} {self.days} {self.wares.catalogue!r}"
        digest = hashlib.sha256(said.encode()).digest()
        return f"s{self.seed}{b32encode(digest).decode().lower()[:_DIGEST_CHARS]}"


def check(names: Sequence[str], wares: Wares) -> list[str]:
    """The life cycles of these names, or all that the catalogue allows where none is named."""
    known = {one.name: one for one in LIFE_CYCLES}
    wrong = [name for name in names if name not in known and name != TAPE_NAME]
    if wrong:
        raise ConfigurationError(
            f"No such life cycle: {', '.join(wrong)}. `tallybook simulate --list` names them."
        )
    lacking = {name: lack for name in names if (lack := _lack(name, wares))}
    if lacking:
        raise ConfigurationError(
            "\n".join(f"{name} needs {lack} in the catalogue." for name, lack in lacking.items())
        )
    every = [*known, TAPE_NAME]
    return list(names) or [name for name in every if not _lack(name, wares)]


def _lack(name: str, wares: Wares) -> str | None:
    if name == TAPE_NAME:
        return None if wares.sells_the_tape else "the tape's prices, as shipped,"
    cycle = next(one for one in LIFE_CYCLES if one.name == name)
    return None if cycle.fits(wares) else cycle.needs


def named(casting: Casting, names: Sequence[str]) -> Iterator[Role]:
    """Each of the life cycles once, whole."""
    known = {one.name: one for one in LIFE_CYCLES}
    for name in names:
        if name == TAPE_NAME:
            yield from _tape(casting)
        else:
            rng = _random(casting, name)
            yield _role(
                known[name],
                Life(casting.tag, name, casting.starts_at, casting.wares, rng),
            )


def population(casting: Casting, customers: int, names: Sequence[str]) -> Iterator[Role]:
    """So many customers, each of one of these life cycles, prices and a start by the seed.

    What would come after the last day does not happen.
    """
    assert casting.days is not None, "a population lives for so many days"
    cycles = [one for one in LIFE_CYCLES if one.name in names]
    ends_at = casting.starts_at + timedelta(days=casting.days)
    for number in range(1, customers + 1):
        rng = _random(casting, str(number))
        cycle = rng.choice(cycles)
        # Whole hours: many act at one instant, and a clock has fewer moves to make.
        begins_at = casting.starts_at + timedelta(hours=rng.randrange(casting.days * 24))
        life = Life(
            casting.tag, f"c{number:06}", begins_at, casting.wares, rng,
            ends_at=ends_at, free_choice=True,
        )  # fmt: skip
        yield _role(cycle, life)


def _random(casting: Casting, name: str) -> random.Random:
    return random.Random(f"{casting.tag} {name}")  # noqa: S311 - it plays, and guards nothing


def _role(cycle: LifeCycle, life: Life) -> Role:
    return Role(cycle.name, life.customer_id, _until_the_end(cycle.tell(life)), life.expected)


def _until_the_end(story: Story) -> Iterator[Step]:
    try:
        yield from story
    except EndOfTimesError:
        return


def _tape(casting: Casting) -> Iterator[Role]:
    for one in sample_tape.events_alone(casting.tag, casting.starts_at, casting.wares.rules):
        yield Role(TAPE_NAME, one.customer_id, iter(one.steps), one.expected)
