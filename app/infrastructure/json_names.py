"""Find names that occur twice in one JSON object; readers differ in which one they keep."""

from __future__ import annotations

import json
import re
from typing import Final

_NAME_ENDS: Final = re.compile(rb'"[ \t\r\n]*:')


def name_given_twice(body: bytes, names_kept: int) -> str | None:
    """Return a name that occurs twice in an object of this JSON; orjson kept ``names_kept`` names.

    orjson keeps the last of two, other readers the first. A proxy or an auditor that reads the
    same bytes must see the same values as we do.
    """
    # Each name ends in a quote and a colon. A text may contain that as well, so only if there are
    # more of them than orjson kept is it worth 100 µs to look closely.
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
