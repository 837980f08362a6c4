"""A `tallybook up` of the soak's own, and its processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final

from app.embedded.devbook import DevBook, DevKeys

ROOT: Final = Path(__file__).parents[2]
READY_S_MAX: Final = 120.0
GONE_S_MAX: Final = 30.0
NO_SETTINGS: Final[Mapping[str, str]] = MappingProxyType({})
POOL_SIZE_MAX: Final = 8  # small, so that a leaked connection is missed soon


class RunningBook:
    """A start of `up`: its dev.json and its processes.

    ``clock`` None leaves it the world's time; ``settings`` are more of its environment.
    """

    def __init__(
        self,
        folder: Path,
        clock: datetime | None,
        settings: Mapping[str, str] = NO_SETTINGS,
    ) -> None:
        self.data_dir = folder / "book"
        self._said = folder / "said"
        kept = ("PATH", "HOME", "LANG")
        environment = {name: os.environ[name] for name in kept if name in os.environ}
        environment |= {"PYTHONPATH": str(ROOT), "TALLYBOOK_POOL_SIZE_MAX": str(POOL_SIZE_MAX)}
        command = [sys.executable, "-P", "-m", "app", "up", "--port", "0"]
        command += ["--data-dir", str(self.data_dir)]
        with self._said.open("ab") as said:
            self.process = subprocess.Popen(  # noqa: S603 - our own program
                [*command, *([] if clock is None else ["--clock", clock.isoformat()])],
                env=environment | dict(settings),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                cwd=folder,
                start_new_session=True,
            )

    def wait(self) -> DevBook:
        """Block until it is ready."""
        path = self.data_dir / "dev.json"
        ends_at = time.monotonic() + READY_S_MAX
        while not path.exists():
            if self.process.poll() is not None or time.monotonic() > ends_at:
                raise RuntimeError(f"The book did not start:\n{self._said.read_text()}")
            time.sleep(0.1)
        told = json.loads(path.read_text())
        return DevBook(**{**told, "keys": DevKeys(**told["keys"])})

    def pids(self, word: str) -> list[int]:
        """Return its processes that have this word in their command line, the oldest first."""
        return sorted(pid for pid in self._family() if word.encode() in _words(pid))

    def postgres(self) -> int:
        """Return the postmaster's process id."""
        return int((self.data_dir / "postgres" / "postmaster.pid").read_text().split()[0])

    def end(self) -> None:
        """Ctrl-C; its guard ends what that leaves."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(GONE_S_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _family(self) -> Iterator[int]:
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                group = int((folder / "stat").read_text().rpartition(")")[2].split()[2])
            except OSError:
                continue
            if group == self.process.pid:
                yield int(folder.name)


def _words(pid: int) -> set[bytes]:
    try:
        # Redis writes its own line over it, as one word.
        words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").split()
    except OSError:
        return set()
    return {os.path.basename(word) for word in words}


@contextmanager
def running(
    folder: Path, clock: datetime | None, settings: Mapping[str, str] = NO_SETTINGS
) -> Iterator[RunningBook]:
    """Run a book for the length of a block, however the block ends."""
    book = RunningBook(folder, clock, settings)
    try:
        yield book
    finally:
        book.end()
