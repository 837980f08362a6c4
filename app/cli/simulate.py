"""`tallybook simulate`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from app.cli.words import command, console, errors_console, group, parse_instant
from app.simulate import simulation
from app.simulate.address import Address
from app.simulate.disorder import Disorder
from app.simulate.pretend_stripe.serve import serve

START_DEFAULT: Final = datetime(2026, 1, 1, tzinfo=UTC)
EXAMPLES: Final = """
Examples, the first two at a running `tallybook up --clock 2026-01-01T00:00:00Z`:

    tallybook simulate

    tallybook simulate upgrade unpaid --shuffle --duplicate 0.5

    tallybook simulate --customers 200 --days 60 --seed 7 --tiers my-tiers.toml

    tallybook simulate --to https://staging.example.com --secret whsec_… --drop 0.05

    tallybook simulate --stripe 8788

The same seed, days, start and catalogue make the same events, ids included: played again they are
duplicates, and change nothing. For other customers give another --seed.
"""

LifeCycles = Annotated[
    list[str] | None,
    typer.Argument(metavar="LIFE_CYCLE", help="Which to play; without any, all."),
]
List = Annotated[
    bool, typer.Option("--list", help="List the life cycles, a sentence each, and end.")
]
Customers = Annotated[
    int | None,
    typer.Option(min=1, max=100_000, help="A random population of so many, instead of one each."),
]
Days = Annotated[int, typer.Option(min=1, max=366, help="How long the population lives.")]
To = Annotated[
    str | None, typer.Option(metavar="URL", help="The book's address, or a webhook's whole one.")
]
Secret = Annotated[
    str | None,
    typer.Option(metavar="SECRET", help="The webhook's whsec_…; else STRIPE_WEBHOOK_SECRET."),
]
Key = Annotated[
    str | None, typer.Option(metavar="KEY", help="Reads accounts, to compare in the end.")
]
Folder = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", help="A running `up`'s folder, which knows all three; .tallybook if there."
    ),
]
Tiers = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="The catalogue to buy from; else what `up` applied, else the shipped one.",
    ),
]
Start = Annotated[
    datetime | None,
    typer.Option(parser=parse_instant, metavar="INSTANT", help="The first day; 1 January 2026."),
]
Seed = Annotated[int, typer.Option(min=0, max=2**32, help="The same seed makes the same events.")]
Shuffle = Annotated[
    bool, typer.Option("--shuffle", help="Let any of a thousand events arrive first.")
]
Duplicate = Annotated[
    float, typer.Option(min=0, max=1, metavar="RATE", help="How many come twice, 0 to 1.")
]
Drop = Annotated[
    float, typer.Option(min=0, max=1, metavar="RATE", help="How many are lost, 0 to 1.")
]
Concurrency = Annotated[int, typer.Option(min=1, max=64, help="Customers beside one another.")]
ApiVersion = Annotated[
    str,
    typer.Option(
        metavar="VERSION",
        help="The API version in whose shapes events come: 2024-06-20, 2026-08-26.dahlia or "
        "2026-09-30.endive.",
    ),
]
StripePort = Annotated[
    int | None,
    typer.Option(
        "--stripe",
        metavar="PORT",
        min=0,
        max=65_535,
        help="Serve a Stripe to try against on this port instead, with Checkout and portal pages.",
    ),
]


simulate = group("")


@command(simulate, "simulate", epilog=EXAMPLES)
async def play(
    life_cycles: LifeCycles = None,
    list_: List = False,
    customers: Customers = None,
    days: Days = 35,
    to: To = None,
    secret: Secret = None,
    key: Key = None,
    data_dir: Folder = None,
    tiers: Tiers = None,
    start: Start = None,
    seed: Seed = 1,
    shuffle: Shuffle = False,
    duplicate: Duplicate = 0.0,
    drop: Drop = 0.0,
    concurrency: Concurrency = 8,
    api_version: ApiVersion = "2026-08-26.dahlia",
    stripe: StripePort = None,
) -> int:
    """Play Stripe's life cycles as signed webhooks, without a Stripe account.

    Each named life cycle once, or a random population; then what must have come of each customer,
    worked out apart from the service, is compared with what the book says.

    Where `up --clock` runs, its clock moves with the story, and a month takes seconds; any other
    book gets the events with their dates, and its clock is left alone.
    """
    if list_:
        return simulation.list_life_cycles(console)
    address = Address(to=to, secret=secret, key=key, data_dir=data_dir)
    if stripe is not None:
        return await serve(console, address, tiers, stripe)
    plan = simulation.Plan(
        names=life_cycles or [],
        customers=customers,
        days=days,
        starts_at=start or START_DEFAULT,
        tiers=tiers,
        seed=seed,
        disorder=Disorder(shuffle=shuffle, duplicate=duplicate, drop=drop),
        concurrency=concurrency,
        api_version=api_version,
    )
    return await simulation.simulate(console, errors_console, address, plan)
