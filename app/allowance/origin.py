"""The origin of a movement of credits."""

from __future__ import annotations

from dataclasses import dataclass

from app.infrastructure.ids import RunNumber


@dataclass(frozen=True, slots=True)
class Origin:
    """The source, actor, event and run of a journal."""

    source: str
    actor: str
    event_id: str | None = None
    run_id: RunNumber | None = None
