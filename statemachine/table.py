"""Every state, every trigger, and what each pair of them leads to."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class State(StrEnum):
    """Ours. Stripe's own status is kept beside it, since several statuses share a state."""

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

TABLE: Mapping[tuple[State, Trigger], State] = MappingProxyType(
    {
        # A snapshot names the state itself, so it leads there from everywhere: Stripe promises
        # no order, and what lay between may never arrive.
        (_CREATED, Trigger.BEGIN): _CREATED,
        (_CREATED, Trigger.ACTIVATE): _ACTIVE,
        (_CREATED, Trigger.FALL_DUE): _PAST_DUE,
        (_CREATED, Trigger.CANCEL): _CANCELED,
        # A first invoice may fail and be tried again for 23 hours; only the snapshot tells
        # whether the subscription has begun.
        (_CREATED, Trigger.PAYMENT_FAILED): _CREATED,
        (_CREATED, Trigger.PAYMENT_SUCCEEDED): _CREATED,
        (_ACTIVE, Trigger.BEGIN): _CREATED,
        (_ACTIVE, Trigger.ACTIVATE): _ACTIVE,
        (_ACTIVE, Trigger.FALL_DUE): _PAST_DUE,
        (_ACTIVE, Trigger.CANCEL): _CANCELED,
        (_ACTIVE, Trigger.PAYMENT_FAILED): _PAST_DUE,
        (_ACTIVE, Trigger.PAYMENT_SUCCEEDED): _ACTIVE,
        (_PAST_DUE, Trigger.BEGIN): _CREATED,
        (_PAST_DUE, Trigger.ACTIVATE): _ACTIVE,
        (_PAST_DUE, Trigger.FALL_DUE): _PAST_DUE,
        (_PAST_DUE, Trigger.CANCEL): _CANCELED,
        (_PAST_DUE, Trigger.PAYMENT_FAILED): _PAST_DUE,
        (_PAST_DUE, Trigger.PAYMENT_SUCCEEDED): _ACTIVE,
        # Final for this subscription id: Stripe never revives one, so whatever would is late.
        (_CANCELED, Trigger.BEGIN): _CANCELED,
        (_CANCELED, Trigger.ACTIVATE): _CANCELED,
        (_CANCELED, Trigger.FALL_DUE): _CANCELED,
        (_CANCELED, Trigger.CANCEL): _CANCELED,
        (_CANCELED, Trigger.PAYMENT_FAILED): _CANCELED,
        (_CANCELED, Trigger.PAYMENT_SUCCEEDED): _CANCELED,
    }
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
