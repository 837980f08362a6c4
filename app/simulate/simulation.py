"""`tallybook simulate`: play Stripe's life cycles at a book, and tell what came of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

import httpx
from rich.console import Console
from rich.table import Table

from app.errors import ConfigurationError
from app.simulate import address as addresses
from app.simulate import roles
from app.simulate.address import Address, Target, catalogue_of
from app.simulate.book_client import BookClient, PlayError, connected
from app.simulate.customer_story import Setting
from app.simulate.disorder import Disorder, Outgoing
from app.simulate.engine import Engine, Manner, Outcome
from app.simulate.price_list import PriceList
from app.simulate.report import print_summary, progress_bar
from app.simulate.roles import Role
from app.simulate.scenarios import SCENARIOS, Need, sold
from app.simulate.stripe_objects import DEFAULT, SHAPES

CLOCK_CUSTOMERS_MAX: Final = 2_000  # a clock goes through all stories at once: all are in memory
PATIENCE_S: Final = 5.0
INTERRUPTED: Final = 130  # as a shell counts an end by Ctrl-C


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The options of a play; ``customers`` None plays each named life cycle once."""

    names: Sequence[str]
    customers: int | None
    days: int
    starts_at: datetime
    tiers: Path | None
    seed: int
    disorder: Disorder
    concurrency: int
    api_version: str = DEFAULT.version


def list_life_cycles(console: Console) -> int:
    """Print the names and sentences, for `tallybook simulate --list`."""
    table = Table("life cycle", "what happens", box=None)
    for one in SCENARIOS.values():
        table.add_row(one.name, one.sentence)
    table.add_row(roles.DEMO, roles.DEMO_SENTENCE)
    console.print(table)
    return 0


async def simulate(
    console: Console,
    errors: Console,
    address: Address,
    plan: Plan,
    transport: httpx.AsyncBaseTransport | None = None,
) -> int:
    """Run the command; ``transport`` is another way to the book than the network."""
    target = addresses.find(address)
    setting = await _setting(plan, target)
    async with connected(
        target.book, patience_s=PATIENCE_S, transport=transport, webhook_url=target.webhook_url
    ) as client:
        try:
            manner = await _manner(client, target, plan, setting)
            names = roles.check(plan.names, _met(setting, manner))
            _announce(console, plan, setting, manner, target)
            return await _play(console, client, plan, setting, names, manner)
        except PlayError as error:
            told = f"{error}\n{_remedy(error, target.webhook_url)}"
            errors.print(told, style="red", markup=False, soft_wrap=True)
            return 1


async def _setting(plan: Plan, target: Target) -> Setting:
    shape = SHAPES.get(plan.api_version)
    if shape is None:
        raise ConfigurationError(
            f"No shapes of API version {plan.api_version} are known; there are {', '.join(SHAPES)}."
        )
    prices = PriceList(await catalogue_of(plan.tiers, target))
    days = None if plan.customers is None else plan.days
    return roles.seeded(plan.seed, plan.starts_at, prices, days=days, shape=shape)


async def _manner(client: BookClient, target: Target, plan: Plan, setting: Setting) -> Manner:
    clock_at = await client.settable_now() if target.operates else None
    if clock_at is not None and (plan.customers or 0) > CLOCK_CUSTOMERS_MAX:
        raise ConfigurationError(
            f"A book whose clock moves takes {CLOCK_CUSTOMERS_MAX:,} customers at most, since all "
            "of them live at once; a book without --clock takes more."
        )
    return Manner(
        disorder=plan.disorder,
        concurrency=plan.concurrency,
        seed=setting.tag,
        clock_at=clock_at,
        ends_at=setting.ends_at,
        reads=target.reads,
        tells_credits=not setting.prices.carries_over,
    )


def _met(setting: Setting, manner: Manner) -> frozenset[Need]:
    # What an application does late it does on another day, with other credits.
    in_time = manner.clock_at is not None and manner.clock_at <= setting.starts_at
    in_order = in_time and not manner.disorder.shuffle
    return sold(setting.prices) | (frozenset({Need.CLOCK}) if in_order else frozenset())


def _announce(
    console: Console, plan: Plan, setting: Setting, manner: Manner, target: Target
) -> None:
    lines = [f"Playing at {target.webhook_url}, seed {plan.seed}; ids carry {setting.tag}."]
    day = f"{setting.starts_at:%-d %B %Y}"
    if manner.clock_at is None:
        lines.append(f"The book's clock is its own: events are dated from {day} on, and sent now.")
        lines.append(
            f"These customers stay in that book, by ids with {setting.tag}: where yours is to stay "
            "without, play in another (`tallybook up --data-dir .tallybook-play`)."
        )
    elif manner.clock_at > setting.starts_at:
        lines.append(
            f"The book's clock stands at {manner.clock_at:%-d %B %Y}, after {day}: what is older "
            "arrives late. For new days give --start, or an `up` on another folder."
        )
    else:
        lines.append(f"The book's clock moves with the story, from {day} on.")
    if not manner.tells_credits:
        lines.append("A tier carries credits over, which is not predicted; they are not compared.")
    for line in lines:
        console.print(line, style="dim", markup=False, highlight=False, soft_wrap=True)


async def _play(
    console: Console,
    client: BookClient,
    plan: Plan,
    setting: Setting,
    names: list[str],
    manner: Manner,
) -> int:
    total = plan.customers
    if total is None:
        total = len(names) + (roles.DEMO_CUSTOMERS - 1) * (roles.DEMO in names)
    interrupted = False
    with progress_bar(console) as progress:
        task = progress.add_task("", total=total)

        def watch(outcome: Outcome, clock_at: datetime | None, _: Outgoing | None) -> None:
            day = f"  {clock_at:%Y-%m-%d}" if clock_at else ""
            done, sent = outcome.customers.total(), outcome.verdict_counts.total()
            said = f"{done:,}/{total:,} customers{day}  {sent:,} events"
            progress.update(task, completed=done, description=said)

        engine = Engine(client, manner, watch)
        try:
            await engine.run(_roles(plan, setting, names))
        except asyncio.CancelledError:
            interrupted = True  # Ctrl-C: the summary so far is all that is left to do
        except PlayError:
            progress.stop()
            if engine.outcome.verdicts:
                print_summary(console, engine.outcome)
            raise
    right = print_summary(console, engine.outcome)
    return INTERRUPTED if interrupted else int(not right)


def _roles(plan: Plan, setting: Setting, names: list[str]) -> Iterator[Role]:
    if plan.customers is None:
        return roles.named(setting, names)
    return roles.population(setting, plan.customers, names)


def _remedy(error: PlayError, address: str) -> str:
    remedies = {
        None: f"Nobody answers at {address}. Start a book with `tallybook up`, or name another "
        "address with --to.",
        400: "The secret is not this endpoint's, or this is no webhook. Give the book's own "
        "STRIPE_WEBHOOK_SECRET with --secret, or its folder with --data-dir.",
        401: "The key is not good for reading accounts: give a service key, or none.",
        404: f"There is no webhook at {address}: give the book's address, http://HOST:PORT, or "
        "the webhook's whole address.",
        503: "The service has no database; start it, and send the same again.",
    }
    status = {403: 401, 405: 404}.get(error.status or 0, error.status)
    return remedies.get(status, "Sending the same again changes nothing twice.")
