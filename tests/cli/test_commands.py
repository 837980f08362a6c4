"""The list of commands is shown without what they import, and says what each says of itself."""

from __future__ import annotations

import subprocess
import sys

import pytest
import typer

from app.cli import COMMANDS, app


@pytest.mark.parametrize("name", COMMANDS)
def test_a_commands_line_is_the_first_of_its_own_help(name: str) -> None:
    group = typer.main.get_command(app)
    paragraph = group.commands[name].help.partition("\n\n")[0]  # type: ignore[attr-defined]
    assert COMMANDS[name].help == " ".join(paragraph.split())


def test_help_imports_no_command() -> None:
    code = (
        "import sys, app.cli\n"
        "try: app.cli.app(['--help'])\n"
        "except SystemExit: pass\n"
        "print(sorted(name for name in sys.modules if name in ('asyncpg', 'litestar', 'piccolo')))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert told.splitlines()[-1] == "[]"
    assert all(f" {name} " in told for name in COMMANDS)
