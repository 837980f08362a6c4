"""Why an operator acts: said with `--reason`, else asked for at a terminal."""

from __future__ import annotations

import sys

import typer


def why(reason: str | None) -> str | None:
    """What was said; who sits at a terminal is asked, a script is not held up."""
    if reason is not None or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return reason
    asked: str = typer.prompt(
        "Why (kept for auditors; Enter for none)", default="", show_default=False, err=True
    )
    return asked
