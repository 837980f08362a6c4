"""`tallybook simulate`: play Stripe's life cycles at a book, and tell what came of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from app.allowance.catalogue import Catalogue, default_text, parse
from app.allowance.catalogues import Catalogues
from app.errors import ConfigurationError
from app.infrastructure.db import opened
from app.simulate import address as addresses
from app.simulate import cast
from app.simulate.address import Address, Target
from app.simulate.book_client import BookClient, PlayError, connected
from app.simulate.cast import (
    LIFE_CYCLES,
    TAPE_CUSTOMERS,
    TAPE_NAME,
    TAPE_SENTENCE,
    Casting,
    Role,
)
from app.simulate.disorder import Disorder
from app.simulate.simulation import Manner, Outcome, Simulation, Watch
from app.simulate.summary import print_summary
from app.simulate.trouble import trouble
from app.simulate.wares import Wares

CLOCK_CUSTOMERS_MAX: Final = 2_000  # a clock goes through all lives at once: all are in memory
PATIENCE_S: Final = 5.0
INTERRUPTED: Final = 130  # as a shell counts an end by Ctrl-C


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to play; ``customers`` None plays each named life cycle once."""

    names: Sequence[str]
    customers: int | None
    days: int
    starts_at: datetime
    tiers: Path | None
    seed: int
    disorder: Disorder
    concurrency: int


def list_life_cycles(console: Console) -> int:
    """`tallybook simulate --list`."""
    table = Table("life cycle", "what happens", box=None)
    for one in LIFE_CYCLES:
        table.add_row(one.name, one.sentence)
    table.add_row(TAPE_NAME, TAPE_SENTENCE)
    console.print(table)
    return 0


async def simulate(
    console: Console, errors: Console, address: Address, plan: Plan,
    transport: httpx.AsyncBaseTransport | None = None,
) -> int:  # fmt: skip
    """`tallybook simulate`; ``transport`` is another way to the book than the network."""
    target = addresses.find(address)
    casting = Casting(
        seed=plan.seed,
        starts_at=plan.starts_at,
        wares=Wares(await _catalogue(plan.tiers, target)),
        days=plan.days if plan.customers is not None else None,
    )
    names = cast.check(plan.names, casting.wares)
    async with connected(
        target.book, patience_s=PATIENCE_S, transport=transport, webhook_url=target.webhook_url
    ) as client:
        try:
            manner = await _manner(client, target, plan, casting)
            _announce(console, plan, casting, manner, target)
            return await _play(console, client, plan, casting, names, manner)
        except PlayError as error:
            told = trouble(error, target.webhook_url)
            errors.print(told, style="red", markup=False, soft_wrap=True)
            return 1


async def _catalogue(tiers: Path | None, target: Target) -> Catalogue:
    """The file's; else what a running `up` has applied; else the shipped one."""
    if tiers is not None:
        return parse(await asyncio.to_thread(tiers.read_text, encoding="utf-8"), str(tiers))
    if not target.book.database_url:
        return parse(default_text(), "the shipped tiers.toml")
    async with opened(target.book.database_url) as database:
        _, catalogue = await Catalogues().present(database)
    return catalogue


async def _manner(client: BookClient, target: Target, plan: Plan, casting: Casting) -> Manner:
    clock_at = await client.settable_now() if target.operates else None
    if clock_at is not None and (plan.customers or 0) > CLOCK_CUSTOMERS_MAX:
        raise ConfigurationError(
            f"A book whose clock moves takes {CLOCK_CUSTOMERS_MAX:,} customers at most, since all "
            "of them live at once; a book without --clock takes more."
        )
    ends_at = None if casting.days is None else casting.starts_at + timedelta(days=casting.days)
    return Manner(
        disorder=plan.disorder,
        concurrency=plan.concurrency,
        seed=casting.tag,
        clock_at=clock_at,
        ends_at=ends_at,
        reads=target.reads,
        available_told=not casting.wares.carries_over,
    )


def _announce(
    console: Console, plan: Plan, casting: Casting, manner: Manner, target: Target
) -> None:
    lines = [f"Playing at {target.webhook_url}, seed {plan.seed}; ids carry {casting.tag}."]
    day = f"{casting.starts_at:%-d %B %Y}"
    if manner.clock_at is None:
        lines.append(f"The book's clock is its own: events are dated from {day} on, and sent now.")
    elif manner.clock_at > casting.starts_at:
        lines.append(
            f"The book's clock stands at {manner.clock_at:%-d %B %Y}, after {day}: what is older "
            "arrives late. For new days give --start, or an `up` on another folder."
        )
    else:
        lines.append(f"The book's clock moves with the story, from {day} on.")
    if not manner.available_told:
        lines.append("A tier carries credits over, which is not predicted; they are not compared.")
    for line in lines:
        console.print(line, style="dim", markup=False, highlight=False, soft_wrap=True)


async def _play(
    console: Console, client: BookClient, plan: Plan, casting: Casting, names: list[str],
    manner: Manner,
) -> int:  # fmt: skip
    interrupted = False
    with _progress(console) as progress:
        simulation = Simulation(client, manner, _watching(progress, plan, names))
        try:
            await simulation.run(_roles(plan, casting, names))
        except asyncio.CancelledError:
            interrupted = True  # Ctrl-C: the summary so far is all that is left to do
        except PlayError:
            progress.stop()
            if simulation.outcome.sent_count:
                print_summary(console, simulation.outcome)
            raise
    right = print_summary(console, simulation.outcome)
    return INTERRUPTED if interrupted else int(not right)


def _roles(plan: Plan, casting: Casting, names: list[str]) -> Iterator[Role]:
    if plan.customers is None:
        return cast.named(casting, names)
    return cast.population(casting, plan.customers, names)


def _progress(console: Console) -> Progress:
    return Progress(
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("customers  {task.description}", markup=False),
        console=console,
        transient=True,
    )


def _watching(progress: Progress, plan: Plan, names: list[str]) -> Watch:
    """Draws how far it is; the tape is six customers, of whom five have a subscription."""
    total = plan.customers
    if total is None:
        total = len(names) + (TAPE_CUSTOMERS - 1) * (TAPE_NAME in names)
    task = progress.add_task("", total=total)

    def watch(outcome: Outcome, clock_at: datetime | None) -> None:
        day = f"{clock_at:%Y-%m-%d}  " if clock_at else ""
        said = f"{day}{outcome.sent_count:,} events"
        progress.update(task, completed=outcome.customers.total(), description=said)

    return watch
