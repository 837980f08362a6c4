"""On whose account credits move."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Origin:
    """The source, actor, event and run of a journal."""

    source: str
    actor: str
    event_id: str | None = None
    run_id: int | None = None
