"""The stylesheet's colours, computed: texts 4.5:1, what must be told apart 3:1, in both themes."""

from __future__ import annotations

import re

import pytest

from app.html.accents import contrast
from app.html.assets import FOLDER

CSS = (FOLDER / "styles.css").read_text("utf-8")
GROUNDS = ("ground", "surface", "raised")
TEXTS = [
    *((text, ground) for text in ("text", "muted", "accent") for ground in GROUNDS),
    *((tone, f"{tone}-ground") for tone in ("good", "warn", "bad", "note", "quiet")),
    *((tone, ground) for tone in ("good", "bad") for ground in GROUNDS),
    ("on-accent", "accent-fill"),
    ("bad", "bad-ground"),
]
SHAPES = [
    *((f"series-{number}", "surface") for number in range(1, 9)),
    *(("line-strong", ground) for ground in GROUNDS),
    ("accent", "surface"),
]


def variables(theme: int) -> dict[str, str]:
    """The colours of the light (0) or dark (1) theme."""
    found = re.findall(r"--([\w-]+): (light-dark\()?(#\w{6})(?:, (#\w{6})\))?;", CSS)
    return {name: (light, dark or light)[theme] for name, _, light, dark in found}


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("pairs", "least"), [(TEXTS, 4.5), (SHAPES, 3.0)], ids=["texts", "shapes"])
def test_what_is_read_stands_out(pairs: list[tuple[str, str]], least: float, theme: int) -> None:
    colours = variables(theme)
    weak = {
        f"{one} on {other}": round(contrast(colours[one], colours[other]), 2)
        for one, other in pairs
        if contrast(colours[one], colours[other]) < least
    }
    assert weak == {}
