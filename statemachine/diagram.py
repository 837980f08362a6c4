"""The table drawn as a Mermaid state diagram; the README carries it and a test compares."""

from __future__ import annotations

from statemachine.table import TABLE, State, Trigger


def mermaid() -> str:
    """Lines joined by newlines, without a fence and without a last newline."""
    return "\n".join(
        [
            "stateDiagram-v2",
            f"    [*] --> {State.CREATED}",
            *(f"    {line}" for line in _moves()),
            f"    {State.CANCELED} --> [*]",
            f"    note right of {State.CANCELED}: final, whatever comes later",
        ]
    )


def _moves() -> list[str]:
    labels: dict[tuple[State, State], list[Trigger]] = {}
    for (source, trigger), target in TABLE.items():
        # A loop says only that nothing happens; drawn, the loops would hide the moves.
        if source is not target:
            labels.setdefault((source, target), []).append(trigger)
    return [
        f"{source} --> {target}: {', '.join(triggers)}"
        for (source, target), triggers in labels.items()
    ]
