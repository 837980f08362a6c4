"""A killed server leaves nobody behind who goes on answering beside the one that follows it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from urllib.request import urlopen

import pytest

from tests.faults.running_book import RunningBook, running

pytestmark = pytest.mark.timeout(120)

BACK_S_MAX = 40.0


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def serving(started: RunningBook) -> tuple[int, set[int]]:
    """The server's main process, and whoever it started."""
    everybody = started.pids("serve")
    (main,) = [pid for pid in everybody if parent(pid) == started.process.pid]
    return main, {pid for pid in everybody if pid != main}


def test_workers_of_a_server_killed_alone_end_before_the_next_one_serves(folder: Path) -> None:
    with running(folder) as started:
        book = started.wait()
        main, workers = serving(started)
        assert workers, "requests are answered by processes of the main one's"
        os.kill(main, signal.SIGKILL)
        deadline = time.monotonic() + BACK_S_MAX
        while not (new := set(started.pids("serve")) - workers - {main}):
            assert time.monotonic() < deadline, started.said.read_text()
            time.sleep(0.05)
        assert new
        assert [pid for pid in workers if alive(pid)] == [], "the old ones are gone by then"
        while True:
            try:
                with urlopen(f"{book.base_url}/health/ready", timeout=5) as answer:
                    assert answer.status == 200
                    break
            except OSError:
                assert time.monotonic() < deadline, started.said.read_text()
                time.sleep(0.1)
