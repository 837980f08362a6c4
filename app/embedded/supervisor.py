"""Starts child processes, starts again one that ends unasked, and stops them in order."""

import asyncio
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.embedded import guard
from app.embedded.program import Guard, Program, log_path, rotate_log, spawn

POLL_S = 0.05
SETTLE_S = 0.3  # Ctrl-C reaches a child and us at once: do not take its end for an accident
BACK_OFF_S = (0.5, 1.0, 2.0, 5.0, 15.0, 30.0)
HEALTHY_S = 60.0  # one that ran this long starts over at the shortest back-off


@dataclass
class _Child:
    program: Program
    process: subprocess.Popen[bytes]
    keeper: asyncio.Task[None] | None = None
    deaths: int = 0


class Supervisor:
    """Children are started in waves and stopped in waves, the last one first."""

    def __init__(self, logs_dir: Path, watcher: Guard, announce: Callable[[str], None]) -> None:
        self._logs_dir = logs_dir
        self._watcher = watcher
        self._announce = announce
        self._waves: list[list[_Child]] = []
        self._stopping = False

    async def start(self, *programs: Program) -> None:
        wave: list[_Child] = []
        self._waves.append(wave)
        for program in programs:
            if self._stopping:
                return
            if program.before:
                await asyncio.to_thread(program.before)
            rotate_log(self._logs_dir, program.name)
            child = _Child(program, spawn(program, self._logs_dir, self._watcher))
            wave.append(child)
            child.keeper = asyncio.create_task(self._keep(child))

    def pid(self, name: str) -> int:
        return self._child(name).process.pid

    def deaths(self, name: str) -> int:
        """The number of times that it ended by itself."""
        return self._child(name).deaths

    def log(self, name: str) -> Path:
        return log_path(self._logs_dir, name)

    async def stop(self) -> None:
        self._stopping = True
        for wave in reversed(self._waves):
            await asyncio.gather(*(_stop(child) for child in wave))

    def stop_at_once(self) -> None:
        """Without an orderly end; still safe for PostgreSQL, which recovers at its next start."""
        self._stopping = True
        for child in self._children():
            if child.process.poll() is None:
                child.process.send_signal(child.program.ladder[1])

    def _children(self) -> list[_Child]:
        return [child for wave in self._waves for child in wave]

    def _child(self, name: str) -> _Child:
        return next(child for child in self._children() if child.program.name == name)

    def _end_orphans(self, program: Program) -> None:
        """End the processes that a killed program left: granian's workers would go on answering."""
        if program.marked:
            mark = self._watcher.mark_of(program.name)
            guard.end({}, lambda: guard.marked(mark))

    async def _keep(self, child: _Child) -> None:
        loop = asyncio.get_running_loop()
        in_a_row = 0
        while True:
            started_s = loop.time()
            code = await _ended(child.process)
            child.deaths += 1
            in_a_row = 0 if loop.time() - started_s > HEALTHY_S else in_a_row
            delay_s = BACK_OFF_S[min(in_a_row, len(BACK_OFF_S) - 1)]
            in_a_row += 1
            await asyncio.sleep(SETTLE_S)
            if self._stopping:
                return
            name = child.program.name
            self._announce(
                f"The {name} ended unasked ({_how(code)}) and starts again in {delay_s:g} s; "
                f"its log: {self.log(name)}"
            )
            await asyncio.sleep(delay_s)
            await asyncio.to_thread(self._end_orphans, child.program)
            if child.program.before:
                await asyncio.to_thread(child.program.before)
            if self._stopping:
                return
            child.process = spawn(child.program, self._logs_dir, self._watcher)


async def _ended(process: subprocess.Popen[bytes]) -> int:
    # Polled: before 3.12 asyncio's own child watcher keeps a thread for each process.
    while (code := process.poll()) is None:  # noqa: ASYNC110 - nothing sets an event
        await asyncio.sleep(POLL_S)
    return code


async def _stop(child: _Child) -> None:
    if child.keeper:
        child.keeper.cancel()
        with suppress(asyncio.CancelledError):
            await child.keeper
    for number in child.program.ladder:
        if child.process.poll() is not None:
            return
        child.process.send_signal(number)
        with suppress(TimeoutError):
            await asyncio.wait_for(_ended(child.process), child.program.step_s)


def _how(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
