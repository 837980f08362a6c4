"""Names that stand twice in one JSON object; readers differ in which of two they keep."""

from __future__ import annotations

import json
import re
from typing import Final

_NAME_ENDS: Final = re.compile(rb'"[ \t\r\n]*:')


def name_given_twice(body: bytes, names_kept: int) -> str | None:
    """Find a name that stands twice in an object of this JSON; orjson kept ``names_kept`` names.

    orjson keeps the last of two, other readers the first: a proxy or an auditor that reads the same
    bytes must not see another thing than we did.
    """
    # Each name that was sent ends in a quote and a colon. So may a text inside: only where there
    # are more of them than names were kept is it worth 100 µs to look closely.
    if len(_NAME_ENDS.findall(body)) == names_kept:
        return None
    twice: list[str] = []

    def look(pairs: list[tuple[str, object]]) -> None:
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                twice.append(name)
            seen.add(name)

    json.loads(body, object_pairs_hook=look)
    return twice[0] if twice else None
