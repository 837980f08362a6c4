"""A message's types and its body, as the receiver gets it."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import msgspec
import orjson

from app.infrastructure import ids
from app.infrastructure.ids import AccountNumber, MessageNumber


class EventType(StrEnum):
    """The closed list of types; ops/webhooks.md describes the payload of each."""

    BALANCE_LOW = "balance.low"
    BALANCE_DEPLETED = "balance.depleted"
    BALANCE_RECOVERED = "balance.recovered"
    USAGE_UNUSUAL = "usage.unusual"
    HOLD_LEAKED = "hold.leaked"
    CREDITS_GRANTED = "credits.granted"
    TIER_CHANGED = "tier.changed"
    SUBSCRIPTION_CHANGED = "subscription.changed"
    PURCHASE_OPENED = "purchase.opened"
    PURCHASE_REFUNDED = "purchase.refunded"
    PURCHASE_DISPUTED = "purchase.disputed"
    GIFT_DISPUTED = "gift.disputed"
    RUN_DONE = "run.done"
    RUN_FAILED = "run.failed"
    EVENT_PARKED = "event.parked"
    ENDPOINT_DISABLED = "endpoint.disabled"


# Of every payload; a payload that loses or changes a member gets the next version.
VERSION: Final = 1


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message to send; ``account_id`` is the account's present public id."""

    id: MessageNumber
    type: str
    account_number: AccountNumber | None
    account_id: str | None
    data: dict[str, Any]
    effective_at: datetime
    attempt_count: int
    first_attempt_at: datetime

    @property
    def public_id(self) -> str:
        """Return the `webhook-id`, the same at each attempt: receivers recognise a repetition by
        it.
        """
        return ids.public(ids.MESSAGE, self.id)

    def body(self) -> bytes:
        """Return the payload: the same at each attempt, unless the account was renamed."""
        about = {} if self.account_number is None else {"account_id": self.account_id}
        at = self.effective_at.astimezone(UTC).isoformat(timespec="microseconds")
        return orjson.dumps(
            {
                "id": self.public_id,
                "type": self.type,
                "version": VERSION,
                "timestamp": at.replace("+00:00", "Z"),
                "data": {**about, **self.data},
            }
        )
