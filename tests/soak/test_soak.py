"""`make soak` at a size of seconds: every part is restarted under load, and nothing is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ops.soak.faults import FAULTS
from ops.soak.watch import MEMORY_RATIO_MAX, Growth

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(300)
def test_a_short_soak_restarts_everything_and_finds_all_that_was_acknowledged(
    folder: Path,
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ops.soak", "--seconds", "8", "--days", "1", "--accounts", "4"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder), "COLUMNS": "160"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = " ".join(done.stdout.split())
    for fault in FAULTS.values():
        assert fault.told in told
    for line in (
        "every acknowledged spend stands once",
        "the ledger verifies",
        "is leaked",
        "was 500",
    ):
        assert line in told
    assert "NO" not in done.stdout
    assert list(folder.iterdir()) == []


def test_memory_that_grows_is_not_flat() -> None:
    assert Growth("server", 100.0, 100.0 * MEMORY_RATIO_MAX).flat
    assert not Growth("server", 100.0, 120.0).flat
