"""However a start ends, no process of it is left."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.embedded import guard
from app.embedded.ports import free_port
from app.embedded.postgres import EmbeddedPostgres, Passwords
from app.embedded.program import Guard
from tests.processes import family, kill

GONE_S_MAX = 5.0
SMALL_START = Path(__file__).with_name("small_start.py")

Started = tuple[subprocess.Popen[str], dict[str, int]]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    """A running parent in a process group of its own, and its children's pids by name."""
    with subprocess.Popen(
        [sys.executable, str(SMALL_START), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(SMALL_START.parents[2])},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process, json.loads(process.stdout.readline())
        finally:
            kill(family(process.pid))


def seconds_until_gone(group: int) -> float:
    began = time.monotonic()
    while family(group) and time.monotonic() - began < GONE_S_MAX + 5:
        time.sleep(0.02)
    return time.monotonic() - began


def test_a_killed_parent_takes_every_process_with_it(started: Started) -> None:
    process, pids = started
    assert set(pids.values()) < set(family(process.pid))
    process.kill()
    assert seconds_until_gone(process.pid) < GONE_S_MAX


def test_a_worker_whose_server_was_killed_goes_with_the_parent(started: Started) -> None:
    process, pids = started
    os.kill(process.pid, signal.SIGSTOP)  # it must not start the server again meanwhile
    os.kill(pids["server"], signal.SIGKILL)
    process.kill()
    assert seconds_until_gone(process.pid) < GONE_S_MAX


def test_ctrl_c_leaves_no_process(started: Started) -> None:
    process, _ = started
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=10) == 0
    assert family(process.pid) == []


def test_a_terminated_parent_leaves_no_process(started: Started) -> None:
    process, _ = started
    process.terminate()
    assert process.wait(timeout=10) == 0
    assert family(process.pid) == []


def test_a_database_that_outlived_parent_and_guard_is_ended_by_the_next_start(
    started: Started, tmp_path: Path, passwords: Passwords, watcher: Guard
) -> None:
    process, pids = started
    # The guard dies ahead of the parent, which it would notice.
    for pid in sorted(set(family(process.pid)) - {pids["postgres"]}, reverse=True):
        os.kill(pid, signal.SIGKILL)
    process.wait()
    postgres = EmbeddedPostgres(tmp_path, free_port(), passwords, {"fsync": "off"})
    assert pids["postgres"] in family(process.pid)
    postgres.start(watcher)
    postgres.ready(10)
    assert pids["postgres"] not in family(process.pid)
    postgres.stop()


def test_a_recycled_pid_is_never_taken_for_a_child() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        born_earlier = str(int(guard.birth(other.pid)) - 1)
        assert guard.end({other.pid: (born_earlier, guard.ORDINARY)}, dict)
        assert other.poll() is None
        other.kill()
