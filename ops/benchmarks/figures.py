"""A figure: what was measured, its floor, and whether its ratio keeps the bound."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import msgspec
from rich.table import Table


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table and of the JSON; ``ratio`` is value / floor."""

    name: str
    value: float
    unit: str
    floor: float | None
    ratio: float | None
    bound: str | None
    holds: bool | None


def at_least(name: str, unit: str, bound: float, rounds: Sequence[tuple[float, float]]) -> Figure:
    """A throughput of (floor, value) rounds: the medians' ratio is to reach the bound."""
    floor, value = _medians(rounds)
    return _figure(name, value, unit, floor, f">= {bound}", value / floor >= bound)


def below(name: str, unit: str, bound: float, rounds: Sequence[tuple[float, float]]) -> Figure:
    """A duration of (floor, value) rounds: the medians' ratio is to stay below the bound."""
    floor, value = _medians(rounds)
    return _figure(name, value, unit, floor, f"< {bound}", value / floor < bound)


def plain(name: str, value: float, unit: str) -> Figure:
    """What is told beside the figures, without a floor or a bound."""
    return Figure(
        name=name, value=_digits(value), unit=unit, floor=None, ratio=None, bound=None, holds=None
    )


def _figure(name: str, value: float, unit: str, floor: float, bound: str, holds: bool) -> Figure:
    return Figure(
        name=name,
        value=_digits(value),
        unit=unit,
        floor=_digits(floor),
        ratio=round(value / floor, 3),
        bound=bound,
        holds=holds,
    )


def _medians(rounds: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return median(floor for floor, _ in rounds), median(value for _, value in rounds)


def _digits(value: float) -> float:
    """More than the noise lets one know, and short enough to read."""
    return float(f"{value:.5g}")


def table(figures: Sequence[Figure]) -> Table:
    """The figures as a person reads them."""
    drawn = Table(title="Tallybook: speed as ratios to floors of the same run")
    for heading in ("figure", "value", "floor", "unit", "ratio", "bound", "holds"):
        text = heading in ("figure", "unit", "bound", "holds")
        drawn.add_column(heading, justify="left" if text else "right")
    for one in figures:
        holds = {True: "[green]yes[/]", False: "[red]no[/]", None: ""}[one.holds]
        drawn.add_row(
            one.name, _text(one.value), _text(one.floor), one.unit,
            "" if one.ratio is None else f"{one.ratio:.2f}", one.bound or "", holds,
        )  # fmt: skip
    return drawn


def _text(number: float | None) -> str:
    if number is None:
        return ""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"
