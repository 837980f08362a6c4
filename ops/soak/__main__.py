"""Run the soak, print its figures and what must hold; exit code 1 where something does not."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles
from typing import Final

from rich.console import Console
from rich.table import Table

from app.simulate.book_client import connected
from ops.soak import faults
from ops.soak.book import RunningBook, running
from ops.soak.checks import Check, check
from ops.soak.load import Counting, Load
from ops.soak.watch import Watch

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
SPENDERS: Final = 4
STRIPES: Final = 2
PATIENCE_S: Final = 90.0

console = Console()


async def soak(book: RunningBook, seconds: float, days: float, accounts: int) -> bool:
    """Run it; return whether all held."""
    told = await asyncio.to_thread(book.wait)
    counting = Counting()
    async with connected(told, patience_s=PATIENCE_S, transport=counting) as client:
        load = Load(told, client, accounts, START)
        await load.introduce()
        watch = Watch(book, told.database_url)
        watching = asyncio.create_task(watch.look_on())
        console.print(f"{seconds:g} s of load over {days:g} days of the book …")
        async with asyncio.TaskGroup() as group:
            for caller in range(SPENDERS):
                group.create_task(load.spend(caller))
            for part in range(STRIPES):
                group.create_task(load.subscribe(part, STRIPES))
            group.create_task(load.pass_time(START + timedelta(days=days), seconds))
            causing = group.create_task(faults.cause(book, seconds))
            await asyncio.sleep(seconds)
            load.stop()
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        # What was queued while PostgreSQL was away is tried again as time goes on.
        await client.move_clock(load.now + timedelta(hours=2))
        checks = await check(told, client, load.done, watch, counting.faults)
    _tell(load, counting, watch, causing.result(), seconds)
    console.print(_table(checks))
    return all(one.holds for one in checks)


def _tell(load: Load, counting: Counting, watch: Watch, caused: list[str], seconds: float) -> None:
    cuts = quantiles(2 * load.done.seconds or [0.0, 0.0], n=100)
    count = len(load.done.spends)
    figures = {
        "spends acknowledged": f"{count:,} ({count / seconds:.0f}/s)",
        "spends refused for lack of credits": f"{load.done.refused:,}",
        "events acknowledged": f"{len(load.done.events):,}",
        "spend, median and 99th percentile": f"{cuts[49] * 1e3:.1f} ms, {cuts[98] * 1e3:.1f} ms",
        "spend, longest, restarts included": f"{max(load.done.seconds, default=0.0):.1f} s",
        "book's time passed": str(load.now - START),
        "connections at most": str(watch.connections_max()),
        **{name: f"{count:,}" for name, count in sorted(counting.counts.items())},
    }
    table = Table("figure", "value", title="The soak")
    for name, value in figures.items():
        table.add_row(name, value)
    for told in caused:
        table.add_row("meanwhile", told)
    console.print(table)


def _table(checks: list[Check]) -> Table:
    table = Table("must hold", "found", "", title="Afterwards")
    for one in checks:
        table.add_row(one.name, one.found, "[green]yes[/]" if one.holds else "[red]NO[/]")
    return table


def main() -> int:
    """Read the sizes and run; the exit code is 1 if a check fails."""
    parser = argparse.ArgumentParser(prog="python -m ops.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--days", type=float, default=3.0, help="of the book, in that time")
    parser.add_argument("--accounts", type=int, default=20)
    given = parser.parse_args()
    # A terminated soak takes its book and its folder with it, as an interrupted one does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="tb-soak-"))
    try:
        with running(folder, START) as book:
            held = asyncio.run(soak(book, given.seconds, given.days, given.accounts))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if held else 1


if __name__ == "__main__":
    raise SystemExit(main())
