"""`make bench` at sizes of seconds: it measures, tells, leaves nothing behind; nothing is timed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ops.benchmarks import wrk

ROOT = Path(__file__).parents[2]
FIELDS = {"name", "value", "unit", "floor", "ratio", "bound", "holds"}
TINY = {
    "accounts": 50,
    "callers": 4,
    "rounds": 1,
    "round-s": 0.3,
    "warm-up-s": 0,
    "entries": 2_000,
    "entries-max": 4_000,
    "reads": 2,
    "webhook-customers": 5,
    "inbox-events": 300,
    "history-events": 5,
    "deliveries": 30,
    "page-accounts": 2_000,
    "growth-entries": 2_000,
    "growth-lots": 50,
    "growth-subscriptions": 100,
    "seal-entries": 2_000,
    "grant-accounts": 30,
    "grant-accounts-max": 300,
    "grant-spends-s": 0.5,
}


@pytest.mark.timeout(300)
def test_the_bench_writes_every_figure_of_the_contract_and_removes_its_folder(
    folder: Path,
) -> None:
    out = folder / "bench.json"
    sizes = [word for name, size in TINY.items() for word in (f"--{name}", str(size))]
    done = subprocess.run(
        [sys.executable, "-m", "ops.benchmarks", "--out", str(out), *sizes],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "ratio" in done.stdout
    figures = json.loads(out.read_text())
    over_http = {"reads/s"} if wrk.is_here() else set()
    assert {
        *over_http,
        "spends/s",
        "events/s",
        "messages/s",
        "ms",
        "entries/s",
        "accounts/s",
        "s",
        "µs",
        "MiB",
    } == {figure["unit"] for figure in figures}
    for figure in figures:
        assert set(figure) == FIELDS
        assert figure["value"] > 0
        assert (figure["floor"] is None) == (figure["bound"] is None) == (figure["holds"] is None)
    assert [path.name for path in folder.iterdir()] == ["bench.json"]
