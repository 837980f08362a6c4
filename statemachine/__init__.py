"""The life cycle of a subscription: one table, the engine that walks it, its drawing."""

from statemachine.advance import advance
from statemachine.diagram import mermaid
from statemachine.table import TABLE, State, Trigger, trigger_of_status

__all__ = ["TABLE", "State", "Trigger", "advance", "mermaid", "trigger_of_status"]
