"""Plant one fault after the other into a copy of the product, and run the tests that must fail.

``make mutants`` runs them all; ONLY=text those whose name has it, JOBS=n so many side by side.
It is no part of ``make test``: a fault takes as long as the tests that are named for it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from ops.mutants.faults import CAUGHT_MIN, ROOT, Fault, faults

TIMEOUT_S: Final = 600
# What pytest ends with: 0 where all passed, 1 where some failed.
PASSED, FAILED = 0, 1


def main() -> None:
    """Run the faults, tell each end as it comes, and name the survivors."""
    parser = argparse.ArgumentParser(prog="python -m ops.mutants", description=__doc__)
    parser.add_argument("--only", default="", help="only faults whose name has this text")
    parser.add_argument("--jobs", type=int, default=2, help="so many side by side (2)")
    asked = parser.parse_args()
    chosen = [fault for fault in faults() if asked.only in fault.name]
    if not chosen:
        sys.exit(f"No fault's name has {asked.only!r}; `grep name ops/mutants/faults.toml`.")
    began = time.monotonic()
    survivors = asyncio.run(_run(chosen, max(1, asked.jobs)))
    caught = len(chosen) - len(survivors)
    share = caught / len(chosen)
    minutes = (time.monotonic() - began) / 60
    print(f"{caught} of {len(chosen)} caught, {share:.0%}, in {minutes:.1f} minutes.")
    for fault in survivors:
        print(f"  survived: {fault.name} ({fault.file}): {fault.breaks}")
    sys.exit(0 if share >= CAUGHT_MIN else 1)


async def _run(chosen: list[Fault], jobs: int) -> list[Fault]:
    waiting = list(enumerate(chosen, 1))
    survivors: list[Fault] = []

    async def work() -> None:
        with tempfile.TemporaryDirectory(prefix="tallybook-mutants-") as folder:
            copy = Path(folder) / "tree"
            await asyncio.to_thread(_copy_to, copy)
            while waiting:
                number, fault = waiting.pop(0)
                began = time.monotonic()
                caught = await _is_caught(copy, fault)
                if not caught:
                    survivors.append(fault)
                told = "caught" if caught else "SURVIVED"
                took = time.monotonic() - began
                print(f"{number:3}/{len(chosen)} {told:8} {took:4.0f} s  {fault.name}", flush=True)

    await asyncio.gather(*(work() for _ in range(min(jobs, len(chosen)))))
    return survivors


def _copy_to(copy: Path) -> None:
    """The files that git knows, as they stand."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"],  # noqa: S607 - whichever git made the checkout
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)


async def _is_caught(copy: Path, fault: Fault) -> bool:
    """Whether a test fails once the fault is there; the copy is whole again afterwards."""
    file = copy / fault.file
    whole = file.read_text("utf-8")
    file.write_text(fault.planted(whole), "utf-8")
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            *("-n", "0", "-p", "no:cacheprovider"),
            *fault.tests,
            cwd=copy,
            # Before the installed product, so that the copy is what is tested.
            env={**os.environ, "PYTHONPATH": str(copy)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            said, _ = await asyncio.wait_for(process.communicate(), TIMEOUT_S)
        except TimeoutError:
            process.kill()
            await process.wait()
            return True  # it hangs: nobody would land that
        if process.returncode not in (PASSED, FAILED):
            print(f"{fault.name}: its tests could not be run:\n{said.decode()[-1_000:]}")
        return process.returncode == FAILED
    finally:
        file.write_text(whole, "utf-8")


if __name__ == "__main__":
    main()
