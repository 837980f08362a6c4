"""Forms as Stripe reads them."""

from __future__ import annotations

import re
from typing import Any


def nested(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """``a[b][0]=c`` as Stripe reads it."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        keys = [part for part in re.split(r"[\[\]]+", name) if part] + ["" * name.endswith("[]")]
        keys = keys if name.endswith("[]") else keys[:-1]
        at = found
        for key in keys[:-1]:
            at = at.setdefault(key, {})
        at[keys[-1] or str(len(at))] = value
    listed: dict[str, Any] = _lists(found)
    return listed


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    made = {key: _lists(part) for key, part in value.items()}
    return list(made.values()) if made and all(key.isdigit() for key in made) else made
