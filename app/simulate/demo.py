"""The demo: six customers are played at a book, and their end is told."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from rich.console import Console

from app.allowance.catalogue import default_text, parse
from app.embedded.devbook import DevBook
from app.embedded.own_name import own_name
from app.infrastructure import ids
from app.simulate import roles
from app.simulate.book_client import BookClient, PlayError, connected
from app.simulate.disorder import Outgoing
from app.simulate.engine import Engine, Manner, Outcome
from app.simulate.price_list import PriceList
from app.simulate.report import print_demo, progress_bar
from app.simulate.roles import Role, account_id
from app.simulate.scenarios.demo import LENGTH, PEOPLE

DATA_DIR_DEFAULT: Final = Path(".tallybook-demo")
STRIPE_DATA_DIR: Final = Path(".tallybook-stripe")
# The clock of a new book stands here, and the first tape starts here.
START: Final = datetime(2026, 1, 1, tzinfo=UTC)
_FIRST_NAME: Final = PEOPLE[0].__name__
_DAY: Final = timedelta(days=1)
_KEY_DIGITS: Final = 12


@dataclass(frozen=True)
class Run:
    """A playing of the demo on these data, and when it starts or started."""

    number: int
    starts_at: datetime
    resumed: bool

    @property
    def ends_at(self) -> datetime:
        """The instant of its last act, which moves the clock."""
        return self.starts_at + LENGTH


async def demo(book: DevBook, console: Console, data_dir: Path = DATA_DIR_DEFAULT) -> bool:
    """Play the demo, from its start or to its end; return whether all came as it must.

    On data that an earlier one left, the next has customers of its own and starts on the next
    whole day; one that was left half-played is played to its end first.
    """
    try:
        async with connected(book) as client:
            return await play_demo(client, console, data_dir)
    except PlayError as error:
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        return False


async def play_demo(client: BookClient, console: Console, data_dir: Path) -> bool:
    """Play it by this client; raise PlayError if the book is not what it must be."""
    run = await find_run(client)
    what = "Playing the rest of" if run.resumed else "Playing"
    console.print(
        f"\n[bold]{what} tape {run.number}[/]: six customers, {run.starts_at:%-d %B %Y} to "
        f"{run.ends_at:%-d %B %Y}, every event signed and sent over HTTP.",
        highlight=False,
    )
    outcome = await play_run(client, run, people(run), console)
    right = print_demo(console, outcome)
    richest = max(
        (one.account for one in outcome.found if one.account), key=lambda one: one.available
    )
    print_pages(console, client.book, richest.id, await client.page_link(richest.id))
    print_next_steps(console, client.book, richest.id, data_dir)
    return right


def people(run: Run) -> list[Role]:
    """Return the run's customers; the same for the same run, byte by byte."""
    prices = PriceList(parse(default_text(), "the shipped tiers.toml"))
    return roles.demo_people(run.number, run.starts_at, prices)


async def play_run(
    client: BookClient, run: Run, played: list[Role], console: Console | None = None
) -> Outcome:
    """Play these of the run's customers in order, to the run's end, and compare all of them."""
    manner = Manner(clock_at=await client.now(), ends_at=run.ends_at, reads_ledger=True)
    with progress_bar(console) as progress:
        task = progress.add_task("", total=LENGTH.total_seconds())

        def watch(_: Outcome, clock_at: datetime | None, one: Outgoing | None) -> None:
            assert clock_at is not None, "the demo moves the clock"
            story = f"{one.at:%Y-%m-%d}  {one.story}" if one else f"{clock_at:%Y-%m-%d}"
            passed = (clock_at - run.starts_at).total_seconds()
            progress.update(task, completed=passed, description=story)

        return await Engine(client, manner, watch).run(iter(played))


async def find_run(client: BookClient) -> Run:
    """Find the run that is to be played: the last one if it is unfinished, else the next.

    The ledger itself tells: a run's first act introduces its first customer, whose first entry is
    the opening of the run's first day, and its last act moves the clock.
    """
    now = await client.now()
    number = 1
    while await client.account(account_id(_FIRST_NAME, number)) is not None:
        number += 1
    if number > 1:
        began_at = await _first_entry_at(client, account_id(_FIRST_NAME, number - 1))
        last = Run(number - 1, began_at, resumed=True)
        if now < last.ends_at:
            return last
    return Run(number, max(START, _whole_day_from(now)), resumed=False)


async def _first_entry_at(client: BookClient, account: str) -> datetime:
    async for entry in client.entries(account, limit=1):
        return entry.effective_at
    raise PlayError(f"The account {account} has no entries, though its day was opened.")


def _whole_day_from(now: datetime) -> datetime:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight if midnight == now else midnight + _DAY


def print_pages(console: Console, book: DevBook, account: str, page: str) -> None:
    """Print the addresses of the pages, each a line that a terminal makes a link of."""
    console.print("\nTo look at:", style="bold")
    for line in (
        f"{book.base_url}/console",
        f"  the console; sign in with the operator's key {book.keys.operator}",
        page,
        f"  what the customer of {account} sees, for a week",
    ):
        console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)


def print_next_steps(console: Console, book: DevBook, account: str, data_dir: Path) -> None:
    """Print lines to paste; a comment is one to the shell too, so all may be pasted at once."""
    console.print("\nTo paste:", style="bold")
    for line in next_steps(book, account, data_dir, ids.random_token(_KEY_DIGITS)):
        style = "dim" if line.startswith("#") else None
        # Each is one line, however narrow the terminal.
        console.print(line, style=style, markup=False, highlight=False, emoji=False, soft_wrap=True)


def next_steps(book: DevBook, account: str, data_dir: Path, fresh: str) -> list[str]:
    """Return comments and commands; ``fresh`` makes the spend's key one that nobody has used."""
    api = f"{book.base_url}/api"
    port = book.base_url.rpartition(":")[2].rstrip("/")
    return [
        "# spend one credit; the same line again is a replay and spends nothing",
        f"curl -sw '\\n' {api}/v1/accounts/{account}/spends"
        f" -H 'Authorization: Bearer {book.keys.service}'"
        f" -H 'Idempotency-Key: try-{fresh}'"
        """ -H 'Content-Type: application/json' -d '{"amount": 1, "reason": "a try"}'""",
        "# its entries, newest first, by the auditor's key",
        f"curl -sw '\\n' '{api}/v1/ledger/entries?account_id={account}&order=desc&limit=5'"
        f" -H 'Authorization: Bearer {book.keys.auditor}'",
        "# derive every balance from the entries again, and compare",
        f"{own_name()} ledger verify --data-dir {shlex.quote(str(data_dir))}",
        "# every call, described and ready to try, also offline",
        f"{book.base_url}/schema",
        "",
        # A book of its own: in this one time has run ahead, or behind, of Stripe's.
        "# real Stripe, in test mode: a catalogue, to write your prices into (`stripe prices list`",
        "# tells their ids). Then stop this book:",
        f"{own_name()} tiers show --data-dir {shlex.quote(str(data_dir))} > tiers.toml",
        f"stripe listen --forward-to {api}/webhooks/stripe",
        "# another, with the secret that stripe listen printed:",
        f"STRIPE_WEBHOOK_SECRET=whsec_... {own_name()} up --port {port}"
        f" --data-dir {STRIPE_DATA_DIR} --tiers tiers.toml",
    ]
