"""Plays a tape at a running book, over HTTP alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from app.simulate.book_client import BookClient
from app.simulate.tape import MoveClock, Put, SendEvents, Spend, Step, Tape


@dataclass
class Played:
    """What the service answered on the way."""

    verdicts: Counter[str] = field(default_factory=Counter)
    spend_count: int = 0
    refused_count: int = 0
    surprises: list[str] = field(default_factory=list)


async def play(tape: Tape, client: BookClient, console: Console | None = None) -> Played:
    """Play it from its start, or, at a book where it was left half-played, to its end.

    What was done before is sent again and changes nothing: events are duplicates, spends are
    replays, and the clock moves forward only.
    """
    player = _Player(client, await client.now())
    with _progress(console) as progress:
        task = progress.add_task("", total=len(tape.steps))
        for step in tape.steps:
            progress.update(task, description=f"{step.at:%Y-%m-%d}  {step.story}")
            await player.take(step)
            progress.advance(task)
    return player.played


class _Player:
    def __init__(self, client: BookClient, now: datetime) -> None:
        self.played = Played()
        self._client = client
        self._now = now  # this process alone moves the clock

    async def take(self, step: Step) -> None:
        past = step.at < self._now
        if step.at > self._now:
            await self._client.move_clock(step.at)
            self._now = step.at
        match step.action:
            case SendEvents(deliveries):
                for delivery in deliveries:
                    self.played.verdicts[await self._client.deliver(delivery)] += 1
            case Put() as put:
                await self._client.put_account(put)
            case Spend() as spend if past and spend.refused:
                # A refusal is not stored: its key, tried on a later day, would be granted.
                self.played.refused_count += 1
            case Spend() as spend:
                await self._spend(spend, step)
            case MoveClock():
                pass

    async def _spend(self, spend: Spend, step: Step) -> None:
        granted = await self._client.spend(spend)
        self.played.spend_count += granted
        self.played.refused_count += not granted
        if granted is spend.refused:
            what = "granted" if granted else "refused"
            self.played.surprises.append(f"{step.at:%Y-%m-%d %H:%M}  {step.story}: {what}")


def _progress(console: Console | None) -> Progress:
    return Progress(
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.description}", markup=False),
        console=console,
        disable=console is None,
    )
