"""The moves of the table as a Mermaid diagram, drawn by the library of the machine.

The README carries it, and a test compares. The server never draws: this module is not imported
by the package, since the drawing part of the library takes 0.1 s to import.
"""

from __future__ import annotations

from transitions.extensions.diagrams import GraphMachine

from statemachine.machine import advance
from statemachine.table import State, Trigger


class _Drawing(GraphMachine):
    style_attributes = {  # noqa: RUF012 (so it stands in the library)
        "node": {
            "default": {"fillcolor": "white", "color": "black"},
            "final": {"fillcolor": "lightgrey", "color": "black"},
        }
    }


def mermaid() -> str:
    """Lines joined by newlines, without a fence and without a last newline.

    Only moves are drawn: what leaves a state as it is would hide them.
    """
    pairs = ((state, trigger) for state in State for trigger in Trigger)
    moves = [
        [trigger.value, state.value, advance(state, trigger).value]
        for state, trigger in pairs
        if advance(state, trigger) is not state
    ]
    machine = _Drawing(
        model=None,
        states=[state.value for state in State],
        initial=State.CREATED.value,
        auto_transitions=False,
        transitions=moves,
        graph_engine="mermaid",
        title="title: The states of a subscription",
    )
    graph = machine.graph_cls(machine)
    graph.set_node_style(State.CANCELED.value, "final")
    drawn = graph.get_graph().draw(None) or ""
    return "\n".join(line.rstrip() for line in drawn.splitlines())
