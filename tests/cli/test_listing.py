"""Lists: a table that keeps ids whole at 80 columns, a row a line in a pipe, JSON where asked."""

from __future__ import annotations

import json
from io import StringIO

from rich.console import Console

from app.commands.listing import Listing

EVENT = "evt_1MqqbKLt4dXK03v5qaIbiNCC"
REASON = "no price is in the catalogue: price_1MowQVLkdIwHu7ixeRlqHVzs; add it, and replay"


def listing() -> Listing:
    made = Listing("event", "verdict", "next try", "reason")
    made.add(EVENT, "parked", None, REASON)
    made.add("evt_2", "applied", None, "two\nlines")
    return made


def printed(*, as_json: bool = False, terminal: bool = False) -> str:
    out = StringIO()
    console = Console(file=out, width=80, force_terminal=terminal, color_system=None)
    listing().show(console, as_json=as_json)
    return out.getvalue()


def test_at_a_terminal_of_80_columns_the_id_is_whole_and_no_column_is_empty() -> None:
    told = printed(terminal=True)
    assert EVENT in told
    assert "next try" not in told
    assert max(map(len, told.splitlines())) <= 80


def test_in_a_pipe_each_row_is_a_line_of_all_columns() -> None:
    assert printed() == (
        "event\tverdict\tnext try\treason\n"
        f"{EVENT}\tparked\t\t{REASON}\n"
        "evt_2\tapplied\t\ttwo lines\n"
    )


def test_json_names_each_member() -> None:
    found = json.loads(printed(as_json=True))
    assert found[0] == {"event": EVENT, "verdict": "parked", "next try": "", "reason": REASON}
