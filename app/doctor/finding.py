"""A finding: what was looked at, how it stands, and what to do about it."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Level(StrEnum):
    """A warning may be right as it is; a failure never is."""

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
    """As it should be."""
    return Finding(name, Level.OK, said)


def warn(name: str, said: str, remedy: str) -> Finding:
    """May be meant so."""
    return Finding(name, Level.WARN, said, remedy)


def fail(name: str, said: str, remedy: str) -> Finding:
    """Not to go on with."""
    return Finding(name, Level.FAIL, said, remedy)


def ok_or_fail(name: str, wrong: list[str], said: str, remedy: str) -> Finding:
    """Fails with what is wrong, the first few of it; ``said`` where nothing is."""
    if not wrong:
        return ok(name, said)
    more = f"; and {len(wrong) - SHOWN_MAX} more" if len(wrong) > SHOWN_MAX else ""
    return fail(name, "; ".join(wrong[:SHOWN_MAX]) + more, remedy)


SHOWN_MAX = 5
