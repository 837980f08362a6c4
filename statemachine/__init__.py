"""The life cycle of a subscription: one table, the machine that holds it, its drawing."""

from statemachine.machine import advance, moved_by_invoices, possible_triggers
from statemachine.table import TABLE, State, Trigger, trigger_of_status

__all__ = [
    "TABLE",
    "State",
    "Trigger",
    "advance",
    "moved_by_invoices",
    "possible_triggers",
    "trigger_of_status",
]
