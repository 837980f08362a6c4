"""README and reference are held to the code: settings, commands, guarantees, the two commands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import typer.main

from app.cli import app as cli
from app.infrastructure.settings import NAMES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUARANTEES = (ROOT / "ops/guarantees.md").read_text(encoding="utf-8")
REFERENCE = (ROOT / "ops/reference.md").read_text(encoding="utf-8")


def _commands(group: Any, before: str) -> list[str]:
    names: list[str] = []
    for name, command in group.commands.items():
        full = f"{before} {name}"
        names += _commands(command, full) if hasattr(command, "commands") else [full]
    return names


def test_every_setting_stands_in_the_reference_with_its_meaning() -> None:
    told = dict(re.findall(r"^\| `([A-Z_]+)` \| (.+) \|$", REFERENCE, re.MULTILINE))
    assert told == dict(NAMES)


def test_every_command_stands_in_the_reference_and_no_other() -> None:
    told = set(re.findall(r"^\| `(tallybook[a-z -]+)` \|", REFERENCE, re.MULTILINE))
    assert told == set(_commands(typer.main.get_command(cli), "tallybook"))


def test_the_readme_names_the_two_commands_of_a_fresh_machine() -> None:
    assert re.search(r"^make demo ", README, re.MULTILINE)
    assert re.search(r"^make test ", README, re.MULTILINE)


def test_each_guarantee_names_a_test_that_exists() -> None:
    sentences = [line for line in GUARANTEES.splitlines() if line.startswith("- ")]
    shown = re.findall(r'\[shown\]\(\.\./(tests/\S+\.py) "(test_\w+)"\)$', GUARANTEES, re.MULTILINE)
    assert len(shown) == len(sentences) > 15
    missing = [
        f"{path}::{name}"
        for path, name in shown
        if not re.search(rf"def {name}\(", (ROOT / path).read_text(encoding="utf-8"))
    ]
    assert missing == []


def test_the_readme_leads_only_where_there_is_something() -> None:
    targets = re.findall(r"\]\(([^)\s]+)", README)
    headings = re.findall(r"^#+ (.+)$", README, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", name.lower()).replace(" ", "-") for name in headings}
    for target in targets:
        path, _, anchor = target.partition("#")
        assert (ROOT / path).exists() if path else anchor in anchors, target
    for name in re.findall(r"^make ([a-z]+)|`make ([a-z]+)`", README, re.MULTILINE):
        assert re.search(rf"^{''.join(name)}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_what_it_is_stands_on_the_first_screen() -> None:
    screen = README.splitlines()[:40]
    assert any(line.startswith("make demo") for line in screen)
    assert any("PostgreSQL, the only truth" in line for line in screen)
