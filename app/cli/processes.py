"""`tallybook up`, `demo`, `serve` and `worker`: the processes, until they are stopped."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from app.cli.words import Clock, DataDir, Port, TiersFile, console, refusals, run


def up(
    port: Port = 8787,
    data_dir: DataDir = Path(".tallybook"),
    tiers: TiersFile = None,
    clock: Clock = None,
) -> None:
    """Run PostgreSQL, Redis, the server and a worker, all of them on this machine.

    Once ready it writes `dev.json` into the data folder: addresses, secrets, API keys.
    """
    from app.embedded.up import up as start

    run(start(port=port, data_dir=data_dir, tiers=tiers, clock=clock, announce=console))


def demo(port: Port = 8787, data_dir: DataDir = Path(".tallybook-demo")) -> None:
    """Like `up`, and play the sample tape: some customers over some weeks, by signed webhooks.

    Its book stands in a folder of its own, since its time is not the world's.
    With DEMO_EXIT=1 it ends after the tape; its exit code tells whether the result was right.
    """
    from app.demo import play_and_stay

    leave = os.environ.get("DEMO_EXIT", "") not in ("", "0")
    run(play_and_stay(port=port, data_dir=data_dir, console=console, leave=leave))


def serve(
    port: Port = 8000,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    workers: Annotated[int, typer.Option(min=1, max=64, help="Server processes.")] = 1,
) -> None:
    """Serve HTTP; settings come from the environment."""
    from app.server import serve as start

    with refusals():
        start(host, port, workers)


def worker() -> None:
    """Tick every minute: what is due is granted, queued events are tried again."""
    from app.worker import work

    run(work())
