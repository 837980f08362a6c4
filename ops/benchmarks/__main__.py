"""Measure all figures, print them as a table and write them as JSON."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import msgspec
import uvloop
from rich.console import Console

from ops.benchmarks import (
    deliveries,
    figures,
    grants,
    growth,
    http_spends,
    limits,
    pages,
    reads,
    seals,
    seed,
    spends,
    webhooks,
    wrk,
)
from ops.benchmarks.figures import Figure
from ops.benchmarks.quiet import Machine
from ops.benchmarks.server import Ledger, Server, make_ledger, server
from ops.benchmarks.sizes import Sizes

console = Console()
FIRST_LOOK_S = 5.0


async def _uniform(server: Server, ledger: Ledger, sizes: Sizes) -> list[Figure]:
    return [await spends.uniform(server, ledger, sizes)]


async def _hot(server: Server, ledger: Ledger, sizes: Sizes) -> list[Figure]:
    return [await spends.hot(server, ledger, sizes)]


async def _http(server: Server, ledger: Ledger, sizes: Sizes) -> list[Figure]:
    return await http_spends.measure(server, ledger, sizes)


async def _limits(server: Server, ledger: Ledger, sizes: Sizes) -> list[Figure]:
    return await limits.measure(server, ledger, sizes)


async def _reads(server: Server, _ledger: Ledger, sizes: Sizes) -> list[Figure]:
    return await reads.growth(server, sizes)


async def _webhooks(server: Server, _ledger: Ledger, sizes: Sizes) -> list[Figure]:
    return await webhooks.measure(server, sizes)


async def _deliveries(server: Server, _ledger: Ledger, sizes: Sizes) -> list[Figure]:
    return await deliveries.measure(server, sizes)


async def _grants(server: Server, _ledger: Ledger, sizes: Sizes) -> list[Figure]:
    return await grants.measure(server, sizes)


async def _growth(server: Server, _ledger: Ledger, sizes: Sizes) -> list[Figure]:
    return await growth.measure(server, sizes)


async def _pages(server: Server, _ledger: Ledger, sizes: Sizes) -> list[Figure]:
    return await pages.measure(server, sizes)


async def _seals(server: Server, ledger: Ledger, sizes: Sizes) -> list[Figure]:
    return await seals.measure(server, ledger, sizes)


PARTS: Mapping[str, Callable[[Server, Ledger, Sizes], Awaitable[list[Figure]]]] = {
    "uniform": _uniform,
    "hot": _hot,
    "http": _http,
    "limits": _limits,
    "webhooks": _webhooks,
    "deliveries": _deliveries,
    "reads": _reads,
    "growth": _growth,
    "pages": _pages,
    "seals": _seals,
    "grants": _grants,
}


async def measure(server: Server, sizes: Sizes, parts: list[str], machine: Machine) -> list[Figure]:
    """The figures of these parts, in order."""
    if not wrk.is_here():
        console.print(wrk.REMEDY)
    ledger = await make_ledger(server, "ledger_of_spends")
    await seed.seed(ledger, sizes.accounts, sizes.accounts)
    measured = []
    for name in parts:
        machine.look()
        console.print(f"Measuring {name} …")
        measured += await PARTS[name](server, ledger, sizes)
    return measured


def main() -> None:
    """Read the sizes, measure, tell."""
    parser = argparse.ArgumentParser(prog="python -m ops.benchmarks", description=__doc__)
    parser.add_argument("--out", type=Path, help="where the JSON goes")
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    for field in msgspec.structs.fields(Sizes):
        name = "--" + field.name.replace("_", "-")
        parser.add_argument(name, type=field.type, required=True)
    given = vars(parser.parse_args())
    out, parts = given.pop("out"), given.pop("parts")
    # A terminated bench takes its server and folder with it, as an interrupted one does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    machine = Machine()
    machine.look(FIRST_LOOK_S)
    console.print(machine.told())
    with server() as running:
        # By the event loop that granian serves with.
        measured = uvloop.run(measure(running, Sizes(**given), parts, machine))
    console.print(figures.table(measured))
    console.print(f"{machine.described()}. {machine.told()}")
    if out is not None:
        out.write_bytes(msgspec.json.format(msgspec.json.encode(measured), indent=2) + b"\n")


if __name__ == "__main__":
    main()
