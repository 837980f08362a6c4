"""The table that `make bench-peers` writes into its page."""

from __future__ import annotations

import pytest

from ops.benchmarks.peers import page
from ops.benchmarks.peers.rounds import Row
from ops.benchmarks.quiet import Machine


def test_a_case_is_named_once_and_the_next_table_takes_the_place_of_the_last(monkeypatch, tmp_path):
    own = tmp_path / "benchmarks.md"
    own.write_text(page.PAGE.read_text())
    monkeypatch.setattr(page, "PAGE", own)
    rows = [
        Row(case="one caller", who="floor", rate=1234.4, of_floor=1.0),
        Row(case="one caller", who="ours", rate=617.2, of_floor=0.5),
    ]
    table = page.markdown(rows, Machine(), "as tested")
    assert "| one caller | floor | 1,234 | 1.00 |\n|  | ours | 617 | 0.50 |" in table

    page.write("an older table")
    page.write(table)

    written = own.read_text()
    assert table in written
    assert "an older table" not in written


def test_a_page_without_the_place_is_left_as_it_is(monkeypatch, tmp_path):
    own = tmp_path / "benchmarks.md"
    own.write_text("nothing here")
    monkeypatch.setattr(page, "PAGE", own)
    with pytest.raises(RuntimeError, match="no place"):
        page.write("a table")
    assert own.read_text() == "nothing here"


def test_a_machine_that_others_work_on_is_told(monkeypatch):
    machine = Machine()
    ticks = iter([(0, 0), (50, 100)])  # half of the cores' time was taken
    monkeypatch.setattr("ops.benchmarks.quiet._ticks", lambda: next(ticks))
    machine.look(0)
    assert not machine.is_quiet
    assert machine.told().startswith("NOT A QUIET MACHINE: 50%")
