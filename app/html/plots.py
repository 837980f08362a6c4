"""Plots as SVG made here: lines that step, bars by day, one bar of shares.

No library draws them without a script, inline styles or text that shrinks on a phone. Positions are
percentages, so that a plot is as wide as its place and its text keeps its size; colours are classes
of the stylesheet, so that they follow the theme and print. Each plot is a `Figure` with the same
figures as a table: nothing is said by colour or by hovering alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta, tzinfo
from typing import Final

import msgspec
from markupsafe import Markup

from app.html.filters import day, in_zone, number

HEIGHT: Final = 200  # pixels, of which the lowest are the days'
_BOTTOM: Final = 24
_GUTTER: Final = 34  # pixels beside bars for the values of the lines; as styles.css has it
_TOP: Final = 18
_SERIES: Final = 8  # colours that the stylesheet has
_WIDE: Final = 10_000  # units of a line's own coordinates
_STEPS_MAX: Final = 2_000  # of one line: more cannot be told apart


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A plot, and what it shows as text: a title, a sentence, a legend and a table."""

    title: str
    summary: str
    svg: Markup
    legend: Sequence[tuple[str, str]]  # (class of the colour, name)
    heads: Sequence[str]
    rows: Sequence[Sequence[object]]  # the first cell is the row's head


class Step(msgspec.Struct, frozen=True):
    """From this instant on, the value."""

    at: datetime
    value: int


def stepped(
    steps: Sequence[Step],
    start: datetime,
    end: datetime,
    *,
    title: str,
    zone: tzinfo,
    unit: str = "credits",
) -> Figure:
    """A line that steps: the first step's value holds before it, the last one's until the end.

    Steps ascend. Of more than can be told apart, the highest and lowest of each stretch are drawn;
    the table has all that is given.
    """
    values = [one.value for one in steps] or [0]
    low, high = min(0, *values), max(1, *values)
    top = _nice(high)
    bottom = -_nice(-low) if low < 0 else 0
    axis = _Axis(bottom, top)
    span = (end - start) / timedelta(seconds=1) or 1.0

    def across(at: datetime) -> int:
        share = ((at - start) / timedelta(seconds=1)) / span
        return round(_WIDE * min(1.0, max(0.0, share)))

    drawn = [(across(one.at), axis.depth(one.value)) for one in _thinned(steps)]
    line = _line(drawn)
    ground = axis.depth(0)
    area = f"{line}V{ground:.1f}H{drawn[0][0] if drawn else 0}Z" if line else ""
    shapes = Markup(
        '<svg y="0" width="100%" height="{0}" viewBox="0 0 {1} {0}" preserveAspectRatio="none">'
        '<path class="area" d="{2}"/><path class="line" d="{3}"/></svg>'
    ).format(HEIGHT, _WIDE, area, line)
    days = [(start + (end - start) * index / 4).astimezone(zone).date() for index in range(5)]
    labels = Markup("").join(
        _text(f"{25 * index}%", HEIGHT - 6, day(on, year=False), _anchor(index, 4), "tick")
        for index, on in enumerate(days)
    )
    last = values[-1]
    summary = (
        f"{day(days[0])} to {day(days[-1])}: between {number(min(values))} and "
        f"{number(max(values))} {unit}, {number(last)} at the end."
    )
    return Figure(
        title=title,
        summary=summary,
        svg=_svg(title, summary, axis.lines() + shapes + labels + axis.labels()),
        legend=(),
        heads=("From", unit.capitalize()),
        rows=[(in_zone(one.at, zone, seconds=True), one.value) for one in steps],
    )


def stacked(
    days: Sequence[date],
    series: Mapping[str, Sequence[int]],
    *,
    title: str,
    unit: str = "credits",
    names: Mapping[str, str] | None = None,
) -> Figure:
    """A bar for each day, of one part for each series: ``series[name][i]`` belongs to ``days[i]``.

    Values are not negative. A series that is alone has the page's accent.
    """
    kinds = ["alone"] if len(series) == 1 else [colour(place) for place in range(len(series))]
    totals = [sum(values[index] for values in series.values()) for index in range(len(days))]
    top = _nice(max([1, *totals]))
    axis = _Axis(0, top, _GUTTER)
    shown = names or {}
    bars: list[Markup] = []
    slot = 100 / max(1, len(days))
    for index, on in enumerate(days):
        above = 0
        told = f"{day(on)}: {number(totals[index])} {unit}"
        parts = []
        for place, (name, values) in enumerate(series.items()):
            if not values[index]:
                continue
            upper, lower = axis.depth(above + values[index]), axis.depth(above)
            above += values[index]
            told += f"; {shown.get(name, name)} {number(values[index])}"
            parts.append(
                Markup('<rect class="{}" x="{:.3f}%" y="{:.1f}" width="{:.3f}%" height="{:.1f}"/>')
                .format(kinds[place], index * slot + slot * 0.15, upper, slot * 0.7, lower - upper)
            )  # fmt: skip
        whole = Markup('<rect class="hit" x="{:.3f}%" y="0" width="{:.3f}%" height="{}"/>').format(
            index * slot, slot, HEIGHT - _BOTTOM
        )
        bars.append(
            Markup("<g><title>{}</title>{}{}</g>").format(told, whole, Markup("").join(parts))
        )
    summary = (
        f"{number(sum(totals))} {unit} in {len(days)} days, {number(max([0, *totals]))} at most "
        "on one day."
    )
    return Figure(
        title=title,
        summary=summary,
        svg=_svg(
            title,
            summary,
            axis.lines() + Markup("").join(bars) + _day_labels(days, slot) + axis.labels(),
            "plot bars",
        ),
        legend=[(kind, shown.get(name, name)) for kind, name in zip(kinds, series, strict=True)],
        heads=("Day", *(shown.get(name, name) for name in series), "All"),
        rows=[
            (day(on), *(values[index] for values in series.values()), totals[index])
            for index, on in enumerate(days)
        ],
    )


def lot_bar(free: int, held: int, gone: int) -> Markup:
    """A lot as one bar: what is free, what is held, what is gone."""
    return share_bar(
        {"free": free, "held": held, "gone": gone}, {"free": "free", "held": "held", "gone": "gone"}
    )


def share_bar(shares: Mapping[str, int], classes: Mapping[str, str] | None = None) -> Markup:
    """One bar of these shares, each in its colour; its text says each share."""
    total = sum(shares.values()) or 1
    told = ", ".join(f"{number(share)} {name}" for name, share in shares.items())
    parts, left = [], 0.0
    for place, (name, share) in enumerate(shares.items()):
        width = 100 * share / total
        kind = classes[name] if classes else colour(place)
        parts.append(
            Markup('<rect class="{}" x="{:.2f}%" width="{:.2f}%" height="8"/>').format(
                kind, left, width
            )
        )
        left += width
    return Markup(
        '<svg class="bar" width="100%" height="8" role="img" aria-label="{0}">'
        '<rect class="gone" width="100%" height="8"/>{1}</svg>'
    ).format(told, Markup("").join(parts))


def colour(place: int) -> str:
    """The class of the colour of a series, by its place."""
    return f"series-{place % _SERIES + 1}"


class _Axis:
    """The heights of values between a bottom and a top; lines begin in the gutter on the left."""

    def __init__(self, bottom: int, top: int, gutter: int = 0) -> None:
        self._bottom, self._top, self._left = bottom, top, -gutter

    def depth(self, value: int) -> float:
        """Return the distance of the value from the plot's upper edge, in pixels."""
        share = (value - self._bottom) / (self._top - self._bottom)
        return _TOP + (HEIGHT - _BOTTOM - _TOP) * (1 - share)

    def lines(self) -> Markup:
        """Lines across at zero, the half and the top."""
        return Markup("").join(
            Markup('<line class="grid" x1="{1}" x2="100%" y1="{0:.1f}" y2="{0:.1f}"/>').format(
                self.depth(value), self._left
            )
            for value in self._marked()
        )

    def labels(self) -> Markup:
        """The values of the lines above them; drawn last, or bars would hide them."""
        return Markup("").join(
            _text(str(self._left), self.depth(value) - 4, number(value), "start", "tick value")
            for value in self._marked()
            if value or self._bottom
        )

    def _marked(self) -> list[int]:
        half = self._top // 2
        return sorted({self._bottom, 0, self._top, *([half] if half * 2 == self._top else [])})


def _thinned(steps: Sequence[Step]) -> Iterable[Step]:
    if len(steps) <= _STEPS_MAX:
        return steps
    stretch = -(-2 * len(steps) // _STEPS_MAX)
    kept: list[Step] = []
    for begin in range(0, len(steps), stretch):
        part = steps[begin : begin + stretch]
        ends = {part.index(min(part, key=_value)), part.index(max(part, key=_value)), len(part) - 1}
        kept += [part[index] for index in sorted(ends)]
    return kept


def _value(step: Step) -> int:
    return step.value


def _line(drawn: Sequence[tuple[int, float]]) -> str:
    if not drawn:
        return ""
    (first, depth), *others = drawn
    return (
        f"M{first} {depth:.1f}" + "".join(f"H{at}V{down:.1f}" for at, down in others) + f"H{_WIDE}"
    )


def _nice(value: int) -> int:
    """The next round number that is no less, such as 15, 20, 30, 40, 50, 60, 80, 100."""
    power = int(10 ** max(0, len(str(value)) - 2))
    steps = (1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 40, 50, 60, 80, 100)
    return next(step * power for step in steps if step * power >= value)


def _day_labels(days: Sequence[date], slot: float) -> Markup:
    wanted = sorted({round(index * (len(days) - 1) / 4) for index in range(5)}) if days else []
    return Markup("").join(
        _text(
            f"{_label_at(index, len(days) - 1, slot):.2f}%",
            HEIGHT - 6,
            day(days[index], year=False),
            _anchor(index, len(days) - 1),
            "tick",
        )
        for index in wanted
    )


def _label_at(index: int, last: int, slot: float) -> float:
    if index == 0 and last:
        return 0
    return 100 if index == last and last else (index + 0.5) * slot


def _anchor(index: int, last: int) -> str:
    if not last:
        return "middle"
    return {0: "start", last: "end"}.get(index, "middle")


def _text(across: str, down: float, text: str, anchor: str, kind: str) -> Markup:
    return Markup('<text class="{}" x="{}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        kind, across, down, anchor, text
    )


def _svg(title: str, summary: str, inner: Markup, kind: str = "plot") -> Markup:
    return Markup(
        '<svg class="{}" width="100%" height="{}" role="img" aria-label="{}: {}">{}</svg>'
    ).format(kind, HEIGHT, title, summary, inner)
