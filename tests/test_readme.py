"""The README is held to the code: every setting, every command, the diagram, the two commands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import typer.main

from app.cli import app as cli
from app.settings import NAMES

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def _commands(group: Any, before: str) -> list[str]:
    names: list[str] = []
    for name, command in group.commands.items():
        full = f"{before} {name}"
        names += _commands(command, full) if hasattr(command, "commands") else [full]
    return names


def test_every_setting_stands_in_the_readme_with_its_meaning() -> None:
    told = dict(re.findall(r"^\| `([A-Z_]+)` \| (.+) \|$", README, re.MULTILINE))
    assert told == dict(NAMES)


def test_every_command_stands_in_the_readme_and_no_other() -> None:
    told = set(re.findall(r"^\| `(tallybook[a-z ]+)` \|", README, re.MULTILINE))
    assert told == set(_commands(typer.main.get_command(cli), "tallybook"))


def test_the_readme_names_the_two_commands_of_a_fresh_machine() -> None:
    assert re.search(r"^make demo ", README, re.MULTILINE)
    assert re.search(r"^make test ", README, re.MULTILINE)
