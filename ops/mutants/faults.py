"""The table of planted faults, as ``faults.toml`` has it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final

import msgspec

ROOT: Final = Path(__file__).parents[2]
CAUGHT_MIN: Final = 0.95


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fault: this text of a file becomes another, and one of these tests must fail."""

    name: str
    file: str
    old: str
    new: str
    breaks: str
    tests: list[str]

    def planted(self, text: str) -> str:
        """The file's text with the fault in it."""
        return text.replace(self.old, self.new, 1)


def faults() -> list[Fault]:
    """All of them."""
    table = tomllib.loads(Path(__file__).with_name("faults.toml").read_text("utf-8"))
    return msgspec.convert(table["fault"], list[Fault])
