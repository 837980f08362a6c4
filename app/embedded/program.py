"""Describe and start a child process, and tell the guard of it."""

import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from app.embedded import guard

LOG_BYTES_MAX = 5_000_000


@dataclass(frozen=True, kw_only=True)
class Program:
    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    ladder: tuple[signal.Signals, ...] = (signal.SIGTERM, signal.SIGKILL)
    step_s: float = 8.0  # between one signal of the ladder and the next, in an orderly stop
    user_id: int | None = None  # None: the user we are
    before: Callable[[], None] | None = None  # called ahead of every start, repeated ones too
    marked: bool = True  # whether the guard may know its descendants by their environment


class Guard:
    """The parent's end of the guard; a context: everything watched is gone when it is left."""

    def __init__(self, mark: str, withdraws: Path | None = None) -> None:
        """`withdraws` is the file that says all is ready: gone as soon as the parent is."""
        self.mark = mark
        self._files = [str(withdraws.absolute())] if withdraws else []
        self._watched: list[str] = []
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> "Guard":
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.communicate()  # closes the pipe; the guard ends what is left, and then itself

    def mark_of(self, name: str) -> str:
        """Return the mark that this program's descendants carry; all marks of this start begin
        alike.
        """
        return f"{self.mark}{name}."

    def watch(self, process: subprocess.Popen[bytes], ladder: tuple[signal.Signals, ...]) -> None:
        numbers = ",".join(str(int(number)) for number in ladder)
        self._watched.append(f"{process.pid} {guard.birth(process.pid)} {numbers}\n")
        if self._process is None or self._process.poll() is not None:
            self._start()  # somebody killed it: the next one is told everything again
        else:
            self._tell(self._watched[-1])

    def _start(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - our own file
            [sys.executable, "-I", "-S", guard.__file__, self.mark, *self._files],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            text=True,
        )
        for line in self._watched:
            self._tell(line)

    def _tell(self, line: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(line)
        self._process.stdin.flush()


def log_path(logs_dir: Path, name: str) -> Path:
    return logs_dir / f"{name}.log"


def spawn(program: Program, logs_dir: Path, watcher: Guard) -> subprocess.Popen[bytes]:
    """Start it in our own process group, so that Ctrl-C reaches it as well."""
    path = log_path(logs_dir, program.name)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    mark = {guard.MARK_NAME: watcher.mark_of(program.name)} if program.marked else {}
    with path.open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - a list of our own, no shell
            program.argv,
            env={**program.environment, **mark},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            user=program.user_id,
            extra_groups=None if program.user_id is None else [],
        )
    watcher.watch(process, program.ladder)
    return process


def rotate_log(logs_dir: Path, name: str) -> None:
    path = log_path(logs_dir, name)
    if path.exists() and path.stat().st_size > LOG_BYTES_MAX:
        path.replace(path.with_suffix(".log.1"))
