"""The demo: plays the sample tape at a book, and tells what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from rich.console import Console

from app.embedded.devbook import DevBook
from app.simulate import sample_tape
from app.simulate.book_client import BookClient, PlayError, connected
from app.simulate.next_steps import print_next_steps
from app.simulate.play import play
from app.simulate.report import Found, look_up, print_report
from app.simulate.sample_tape import FIRST_NAME, TAPE_LENGTH, account_id
from app.simulate.tape import TAPE_START

DATA_DIR_DEFAULT: Final = Path(".tallybook")
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True)
class Run:
    """Which playing of the sample tape on these data, and when it starts or started."""

    number: int
    starts_at: datetime
    resumed: bool


async def demo(book: DevBook, console: Console, data_dir: Path = DATA_DIR_DEFAULT) -> bool:
    """Play the tape, anew or to its end; whether everything came as it must.

    On data that an earlier tape left, the next one has customers of its own and starts on the
    next whole day; one that was left half-played is played to its end first.
    """
    try:
        async with connected(book) as client:
            return await play_sample(client, console, data_dir)
    except PlayError as error:
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        return False


async def play_sample(client: BookClient, console: Console, data_dir: Path) -> bool:
    """The same over a client at hand; raises PlayError where the book is not what it must be."""
    run = await find_run(client)
    tape = sample_tape.tape(run.number, run.starts_at)
    _announce(run, console)
    played = await play(tape, client, console)
    found = [await look_up(client, customer) for customer in tape.customers]
    right = print_report(console, played, found)
    print_next_steps(console, client.book, _richest(found).account.id, data_dir)
    return right


async def find_run(client: BookClient) -> Run:
    """The run that is to be played: the last one where it is unfinished, else the next.

    What to know is in the ledger itself: a run's first act introduces its first customer, whose
    first entry is the opening of the tape's first day, and its last act moves the clock.
    """
    now = await client.now()
    number = 1
    while await client.account(account_id(FIRST_NAME, number)) is not None:
        number += 1
    if number > 1:
        began_at = await _first_entry_at(client, account_id(FIRST_NAME, number - 1))
        if now < began_at + TAPE_LENGTH:
            return Run(number - 1, began_at, resumed=True)
    return Run(number, max(TAPE_START, _whole_day_from(now)), resumed=False)


async def _first_entry_at(client: BookClient, account: str) -> datetime:
    async for entry in client.entries(account, limit=1):
        return entry.effective_at
    raise PlayError(f"The account {account} has no entries, though its day was opened.")


def _whole_day_from(now: datetime) -> datetime:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight if midnight == now else midnight + _DAY


def _announce(run: Run, console: Console) -> None:
    first, last = run.starts_at, run.starts_at + TAPE_LENGTH
    what = "Playing the rest of" if run.resumed else "Playing"
    console.print(
        f"\n[bold]{what} tape {run.number}[/]: six customers, {first:%-d %B %Y} to "
        f"{last:%-d %B %Y}, every event signed and sent over HTTP.",
        highlight=False,
    )


def _richest(found: list[Found]) -> Found:
    return max(found, key=lambda one: one.account.available)
