"""A real `tallybook up` as a process that tests may kill, part by part."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from app.embedded.devbook import DevBook, DevKeys
from tests.processes import family, kill

READY_S_MAX = 60.0
GONE_S_MAX = 15.0
CLOCK = "2026-01-01T00:00:00Z"


class RunningBook:
    """One start on a data folder; what it says goes to `said`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data_dir = folder / "book"
        self.said = folder / "said"
        # Nothing of our own surroundings: a DATABASE_URL in them would be used instead.
        kept = ("PATH", "HOME", "PYTHONPATH")  # the last: which tree is tested
        environment = {name: os.environ[name] for name in kept if name in os.environ}
        tallybook = Path(sys.executable).with_name("tallybook")
        with self.said.open("ab") as said:
            self.process = subprocess.Popen(
                [tallybook, "up", "--port", "0", "--data-dir", self.data_dir, "--clock", CLOCK],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    def wait(self) -> DevBook:
        """What dev.json says, once it is there."""
        path = self.data_dir / "dev.json"
        deadline = time.monotonic() + READY_S_MAX
        while not path.exists():
            assert self.process.poll() is None, self.said.read_text()
            assert time.monotonic() < deadline, self.said.read_text()
            time.sleep(0.05)
        told: dict[str, Any] = json.loads(path.read_text())
        return DevBook(**{**told, "keys": DevKeys(**told["keys"])})

    def pids(self, word: str) -> list[int]:
        """Who of this start's processes has this as one word of its command line."""
        found = []
        for pid in family(self.process.pid):
            try:
                # Redis writes its own line over it, as one word.
                words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").split()
            except OSError:
                continue
            if word.encode() in (os.path.basename(each) for each in words):
                found.append(pid)
        return found

    def kill_server(self) -> int:
        """SIGKILL to the server and its workers; how many there were."""
        return kill(self.pids("serve"))

    def kill_redis(self) -> int:
        """SIGKILL to valkey-server."""
        return kill(self.pids("valkey-server"))

    def kill_postgres(self) -> int:
        """SIGKILL to the postmaster; its children notice by themselves."""
        pid_file = self.data_dir / "postgres" / "postmaster.pid"
        return kill([int(pid_file.read_text().split()[0])])

    def kill(self) -> None:
        """SIGKILL to the parent of all; its guard ends the others."""
        self.process.kill()
        self.process.wait()
        deadline = time.monotonic() + GONE_S_MAX
        while left := family(self.process.pid):
            assert time.monotonic() < deadline, f"{left} outlived their parent"
            time.sleep(0.05)

    def end(self) -> None:
        """Ctrl-C, and what that leaves."""
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(timeout=GONE_S_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        kill(family(self.process.pid))


@contextmanager
def running(folder: Path) -> Iterator[RunningBook]:
    """A start that is ended with the block, however the block ends."""
    book = RunningBook(folder)
    try:
        yield book
    finally:
        book.end()
