"""A stylesheet of one colour: an application's accent, made to be read in both themes."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from app.html.assets import PATH, Asset, asset_named

PATTERN: Final = r"^#[0-9A-Fa-f]{6}\Z"
TEXT_CONTRAST: Final = 4.5  # WCAG AA
# The grounds on which the accent is a text: the ones with the least contrast of each theme.
_LIGHT_GROUND: Final = "#f3f4f7"
_DARK_GROUND: Final = "#1a1e26"
_STEPS: Final = 64
_NAME: Final = re.compile(r"accent-([0-9a-f]{6})\.css")


def path_of(accent: str) -> str:
    """The address of the stylesheet of a colour such as ``#0A7D5C``."""
    return f"{PATH}/accent-{accent.lstrip('#').lower()}.css"


def named(name: str) -> Asset | None:
    """The stylesheet that is served under this name; None for any other name."""
    found = _NAME.fullmatch(name)
    return _made(f"#{found[1]}") if found else None


@lru_cache(maxsize=256)
def _made(accent: str) -> Asset:
    white, black = "#ffffff", "#14171f"
    on = white if contrast(accent, white) >= contrast(accent, black) else black
    away = "#000000" if on == white else "#ffffff"
    light = _until_read(accent, "#000000", _LIGHT_GROUND)
    dark = _until_read(accent, "#ffffff", _DARK_GROUND)
    text = (
        ":root{"
        f"--accent:light-dark({light},{dark});--alone:light-dark({light},{dark});"
        f"--accent-fill:{accent};--on-accent:{on};"
        f"--accent-hover:color-mix(in srgb,{accent} 88%,{away})"
        "}"
    )
    return asset_named(f"accent-{accent[1:]}.css", text.encode())


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, as WCAG has it: 1 to 21."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _until_read(accent: str, towards: str, ground: str) -> str:
    """The colour, moved as little towards black or white as lets it be read on the ground."""
    mixed = (_mix(accent, towards, step / _STEPS) for step in range(_STEPS + 1))
    return next(colour for colour in mixed if contrast(colour, ground) >= TEXT_CONTRAST)


def _mix(one: str, other: str, share: float) -> str:
    pairs = zip(_channels(one), _channels(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def _channels(colour: str) -> list[int]:
    return [int(colour[place : place + 2], 16) for place in (1, 3, 5)]


def _luminance(colour: str) -> float:
    parts = [one / 255 for one in _channels(colour)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
