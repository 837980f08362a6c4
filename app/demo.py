"""`tallybook demo`: start everything, play the six customers, show the result, stay up."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from app.embedded.devbook import DevBook
from app.embedded.up import up
from app.infrastructure import clock
from app.infrastructure.db import opened
from app.simulate.demo import START, demo


async def play_and_stay(*, port: int, data_dir: Path, console: Console, leave: bool) -> int:
    """Return 0 if the demo ended right; stay up unless ``leave``."""

    async def play(book: DevBook) -> int | None:
        right = await demo(book, console, data_dir)
        if leave:
            return 0 if right else 1
        async with opened(book.database_url) as database:
            await clock.run_on(database)  # from the demo's end
        console.print("The clock runs on from here. Ctrl-C stops everything.", style="dim")
        return None

    return await up(port=port, data_dir=data_dir, clock=START, announce=console, after_ready=play)
