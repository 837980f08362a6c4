"""Plots: what they draw is what they are given, as shapes, as words and as a table."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from xml.etree import ElementTree

import pytest

from app.html import plots
from app.html.plots import Step

START = datetime(2026, 11, 1, tzinfo=UTC)
END = START + timedelta(days=10)
DAYS = [date(2026, 11, 1) + timedelta(days=index) for index in range(3)]


def parsed(figure: plots.Figure) -> ElementTree.Element:
    return ElementTree.fromstring(figure.svg)


def path_of(figure: plots.Figure, kind: str) -> str:
    return next(one.attrib["d"] for one in parsed(figure).iter("path") if one.get("class") == kind)


def stepped(*steps: Step) -> plots.Figure:
    return plots.stepped(steps, START, END, title="Balance", zone=UTC)


def test_a_line_steps_where_the_values_change_and_holds_to_the_end() -> None:
    half = START + timedelta(days=5)
    figure = stepped(Step(START, 100), Step(half, 50), Step(END - timedelta(days=1), 0))
    # 18 pixels below the upper edge is the top, 176 is zero.
    assert path_of(figure, "line") == "M0 18.0H5000V97.0H9000V176.0H10000"
    assert figure.summary == "1 Nov 2026 to 11 Nov 2026: between 0 and 100 credits, 0 at the end."
    assert [row[1] for row in figure.rows] == [100, 50, 0]


def test_debt_is_drawn_below_zero() -> None:
    figure = stepped(Step(START, 10), Step(START + timedelta(days=5), -10))
    assert path_of(figure, "line") == "M0 18.0H5000V176.0H10000"
    assert "V97.0" in path_of(figure, "area")  # the ground is zero, not the lower edge


def test_nothing_to_draw_is_an_empty_plot() -> None:
    assert path_of(stepped(), "line") == ""
    empty = plots.stacked([], {}, title="Spent")
    assert (empty.summary, empty.rows) == ("0 credits in 0 days, 0 at most on one day.", [])


def test_a_line_of_many_steps_keeps_its_highest_and_lowest() -> None:
    many = [Step(START + timedelta(seconds=index), index % 7 + 1) for index in range(100_000)]
    many[70_001] = Step(many[70_001].at, 900)
    many[30_001] = Step(many[30_001].at, 0)
    line = path_of(stepped(*many), "line")
    depths = [float(depth) for depth in re.findall(r"V([\d.]+)", line)]
    assert len(line) < 60_000
    assert (min(depths), max(depths)) == (33.8, 176.0)  # 900 of 1,000, and 0


def test_the_bars_of_a_day_stand_on_one_another() -> None:
    figure = plots.stacked(DAYS, {"FREE": [1, 0, 2], "PRO": [9, 0, 3]}, title="Spent")
    groups = list(parsed(figure).iter("g"))
    told = [group.findtext("title") for group in groups]
    assert told == [
        "1 Nov 2026: 10 credits; FREE 1; PRO 9",
        "2 Nov 2026: 0 credits",
        "3 Nov 2026: 5 credits; FREE 2; PRO 3",
    ]
    bars = [
        [(one.get("class"), one.get("y"), one.get("height")) for one in group.findall("rect")[1:]]
        for group in groups
    ]
    assert bars == [
        [("series-1", "160.2", "15.8"), ("series-2", "18.0", "142.2")],
        [],
        [("series-1", "144.4", "31.6"), ("series-2", "97.0", "47.4")],
    ]
    assert figure.rows == [
        ("1 Nov 2026", 1, 9, 10),
        ("2 Nov 2026", 0, 0, 0),
        ("3 Nov 2026", 2, 3, 5),
    ]
    assert figure.legend == [("series-1", "FREE"), ("series-2", "PRO")]


def test_a_lot_is_one_bar_of_its_shares() -> None:
    bar = ElementTree.fromstring(plots.lot_bar(50, 25, 25))
    assert bar.attrib["aria-label"] == "50 free, 25 held, 25 gone"
    parts = [(one.get("class"), one.get("x"), one.get("width")) for one in bar.findall("rect")[1:]]
    assert parts == [
        ("free", "0.00%", "50.00%"),
        ("held", "50.00%", "25.00%"),
        ("gone", "75.00%", "25.00%"),
    ]


def test_no_plot_has_a_style_or_lets_a_name_be_markup() -> None:
    figure = plots.stacked(DAYS, {"<script>": [1, 2, 3]}, title='"><script>')
    assert "<script" not in figure.svg
    assert "style=" not in figure.svg


@pytest.mark.parametrize(("value", "top"), [(1, 1), (9, 10), (11, 15), (1_369, 1_500), (96, 100)])
def test_an_axis_ends_at_a_round_number(value: int, top: int) -> None:
    figure = plots.stacked(DAYS[:1], {"PRO": [value]}, title="Spent")
    labels = [one.text for one in parsed(figure).iter("text") if "value" in one.get("class", "")]
    assert labels[-1] == f"{top:,}"
