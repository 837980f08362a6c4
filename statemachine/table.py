"""States, triggers, and the table of what each pair of them leads to."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class State(StrEnum):
    """Our states. Stripe's own status is kept beside them, since several statuses share one."""

    CREATED = "created"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    CANCELED = "canceled"


class Trigger(StrEnum):
    """The first four are what a snapshot says, the last two what a renewal's invoice says."""

    BEGIN = "begin"
    ACTIVATE = "activate"
    FALL_DUE = "fall_due"
    CANCEL = "cancel"
    PAYMENT_FAILED = "payment_failed"
    PAYMENT_SUCCEEDED = "payment_succeeded"


_CREATED, _ACTIVE, _PAST_DUE, _CANCELED = State
_ALIVE: Final = (_CREATED, _ACTIVE, _PAST_DUE)
_STAYS: Final = None  # the library's word for an internal transition: nothing moves

# Trigger, sources, target: rows as the library's machine takes them. Together they decide every
# pair of state and trigger, so that nothing is left to a default.
TABLE: Final[tuple[tuple[Trigger, tuple[State, ...], State | None], ...]] = (
    # A snapshot names the state itself, so it leads there from everywhere: Stripe promises
    # no order, and what lay between may never arrive.
    (Trigger.BEGIN, _ALIVE, _CREATED),
    (Trigger.ACTIVATE, _ALIVE, _ACTIVE),
    (Trigger.FALL_DUE, _ALIVE, _PAST_DUE),
    (Trigger.CANCEL, _ALIVE, _CANCELED),
    (Trigger.PAYMENT_FAILED, (_ACTIVE, _PAST_DUE), _PAST_DUE),
    (Trigger.PAYMENT_SUCCEEDED, (_ACTIVE, _PAST_DUE), _ACTIVE),
    # A first invoice may fail and be tried again for 23 hours; only a snapshot tells
    # whether the subscription has begun.
    (Trigger.PAYMENT_FAILED, (_CREATED,), _STAYS),
    (Trigger.PAYMENT_SUCCEEDED, (_CREATED,), _STAYS),
    # Final for this subscription id: Stripe never revives one, so whatever would is late.
    *((trigger, (_CANCELED,), _STAYS) for trigger in Trigger),
)

_TRIGGER_OF_STATUS: Mapping[str, Trigger] = MappingProxyType(
    {
        "incomplete": Trigger.BEGIN,
        "trialing": Trigger.ACTIVATE,
        "active": Trigger.ACTIVATE,
        "past_due": Trigger.FALL_DUE,
        "unpaid": Trigger.FALL_DUE,
        "paused": Trigger.FALL_DUE,
        "canceled": Trigger.CANCEL,
        "incomplete_expired": Trigger.CANCEL,
    }
)


def trigger_of_status(status: str) -> Trigger | None:
    """Stripe's status as a trigger; None for one that nobody knows yet.

    Stripe's SDK types the status as any string, so a new one may come at any time: the caller
    parks it, since every guess is a wrong allowance.
    """
    return _TRIGGER_OF_STATUS.get(status)
