"""A finding has the name of a check, its result, and the remedy."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Level(StrEnum):
    """The level of a finding: a warning may be intended; a failure never is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(msgspec.Struct, frozen=True):
    """One line of the doctor's table."""

    name: str
    level: Level
    said: str
    remedy: str = ""


def ok(name: str, said: str) -> Finding:
    """Return a finding that all is as it should be."""
    return Finding(name, Level.OK, said)


def warn(name: str, said: str, remedy: str) -> Finding:
    """Return a finding that may be intended."""
    return Finding(name, Level.WARN, said, remedy)


def fail(name: str, said: str, remedy: str) -> Finding:
    """Return a finding that must be mended first."""
    return Finding(name, Level.FAIL, said, remedy)


def ok_or_fail(name: str, wrong: list[str], said: str, remedy: str) -> Finding:
    """Return a failure with the first few of what is wrong; with ``said`` if nothing is wrong."""
    if not wrong:
        return ok(name, said)
    more = f"; and {len(wrong) - SHOWN_MAX} more" if len(wrong) > SHOWN_MAX else ""
    return fail(name, "; ".join(wrong[:SHOWN_MAX]) + more, remedy)


SHOWN_MAX = 5
