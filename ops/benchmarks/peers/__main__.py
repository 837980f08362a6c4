"""Measure floors, this product and its peers in one run: `make bench-peers PEERS=FOLDER`."""

from __future__ import annotations

import argparse
import shutil
import signal
from pathlib import Path

import asyncpg
import uvloop
from rich.console import Console
from rich.markdown import Markdown

from ops.benchmarks import wrk
from ops.benchmarks.peers import over_http, page, rounds
from ops.benchmarks.peers.over_http import Environments
from ops.benchmarks.peers.rounds import Load, Row
from ops.benchmarks.peers.subjects import subjects
from ops.benchmarks.quiet import Machine
from ops.benchmarks.server import Server, server

console = Console()
FIRST_LOOK_S = 5.0


def main() -> None:
    """Read what is here, measure, tell, and write the table if asked to."""
    parser = argparse.ArgumentParser(prog="python -m ops.benchmarks.peers", description=__doc__)
    parser.add_argument("--pgledger", type=_path, help="its folder, as fetched; left out without")
    parser.add_argument("--python", type=_path, help="a Python that has FastAPI and dj-stripe")
    parser.add_argument("--modules", type=_path, help="the folder of node_modules")
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--callers", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--round-s", type=float, default=4)
    parser.add_argument("--warm-up-s", type=float, default=1)
    parser.add_argument("--write", action="store_true", help="put the table into ops/benchmarks.md")
    given = parser.parse_args()
    load = Load(
        accounts=given.accounts, callers=given.callers, rounds=given.rounds,
        round_s=given.round_s, warm_up_s=given.warm_up_s,
    )  # fmt: skip
    node = shutil.which("node") if given.modules else None
    peers = Environments(given.python, node, given.modules)
    for told, here in (
        ("pgledger (PEERS=FOLDER, see ops/benchmarks.md)", given.pgledger),
        ("FastAPI and dj-stripe", given.python),
        ("stripe-sync-engine (needs node and npm)", node),
    ):
        if not here:
            console.print(f"Left out: {told}.")
    machine = Machine()
    machine.look(FIRST_LOOK_S)
    console.print(machine.told())
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with server() as running:
        rows, version = uvloop.run(_measure(running, given.pgledger, peers, load, machine))
    about = (
        f"PostgreSQL {version}, fsync on; medians of {load.rounds} rounds in turn of "
        f"{load.round_s:g} s, {load.accounts:,} accounts"
    )
    table = page.markdown(rows, machine, about)
    console.print(Markdown(table))
    if given.write:
        page.write(table)
        console.print(f"Written to {page.PAGE.name}.")


def _path(given: str) -> Path:
    """Absolute, and no link followed: a venv's Python is one."""
    return Path(given).absolute()


async def _measure(
    server: Server, pgledger: Path | None, peers: Environments, load: Load, machine: Machine
) -> tuple[list[Row], str]:
    async with subjects(server, pgledger, load.accounts) as all_of_them:
        console.print("Measuring spends by the Python call …")
        rows = await rounds.spends(all_of_them, load, machine)
    if wrk.is_here():
        console.print("Measuring spends by HTTP …")
        rows += await over_http.spends(server, peers, load, machine)
        console.print("Measuring webhooks …")
        rows += await over_http.deliveries(server, peers, load, machine)
    else:
        console.print(wrk.REMEDY)
    return rows, await _version(server)


async def _version(server: Server) -> str:
    connection = await asyncpg.connect(server.superuser_url)
    try:
        return str(await connection.fetchval("SHOW server_version"))
    finally:
        await connection.close()


if __name__ == "__main__":
    main()
