"""Questions to Stripe: a thin event's object, the last of two states, what an event leaves out.

A question stands in the inbox as a queued event and is asked outside any transaction. Its answer is
taken in as a webhook is: as an event of our own, dated by Stripe's clock.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

import orjson

from app.purchases.take import DetailKind, MissingDetail
from app.webhooks.envelope import Envelope
from app.webhooks.shapes import ID_CHARS_MAX, ShapeError, invoice_subscription_of, object_of
from app.webhooks.translate import Ignored, Parked, Thin, translate

if TYPE_CHECKING:  # the SDK behind it takes half a second to import
    from app.stripe_client import Retrieved, StripeApi

ANSWER_PREFIX: Final = "tbask_"
RECONCILED_PREFIX: Final = "tbrec_"
TIE_PREFIX: Final = "tbtie_"
MONEY_PREFIX: Final = "tbmoney_"
OBJECT_PREFIX: Final = "tbread_"
_SNAPSHOT: Final = "customer.subscription.updated"
_ID: Final = re.compile(r"[A-Za-z0-9_]{1,255}")


# A session's own event never carries what it sells.
_EXPANDED: Final = {"expand": ["line_items"]}


class EarlyAnswerError(Exception):
    """Stripe's clock has not left the second that is asked about."""


def tie_question(subscription_id: str, at: datetime, of: Envelope) -> bytes:
    """The event that asks for a subscription whose last second has no single end."""
    number = f"{TIE_PREFIX}{subscription_id}_{int(at.timestamp())}"
    url = f"/v1/subscriptions/{subscription_id}"
    return _question(number, _SNAPSHOT, url, at, of)


def money_question(missing: MissingDetail, of: Envelope) -> bytes:
    """The event that asks what a session sells, or which payment a charge is of: once for each."""
    if missing.kind is DetailKind.SOLD:
        kind, url = "checkout.session.completed", f"/v1/checkout/sessions/{missing.object_id}"
    else:
        kind, url = "charge.refunded", f"/v1/charges/{missing.object_id}"
    return _question(f"{MONEY_PREFIX}{missing.object_id}", kind, url, missing.at, of)


def object_question(url: str, of: Envelope) -> bytes:
    """The event that asks for the object of an event, a part of which nobody can read."""
    return _question(f"{OBJECT_PREFIX}{of.id}", of.type, url, of.created_at, of)


def is_answer(event_id: str) -> bool:
    """Return whether the event is Stripe's own answer: what is unreadable in it, nobody can ask
    for.
    """
    return event_id.startswith((ANSWER_PREFIX, RECONCILED_PREFIX))


def _question(number: str, kind: str, url: str, at: datetime, of: Envelope) -> bytes:
    """A thin event, asked in the mode and in the context of the event that raises it."""
    return orjson.dumps(
        {
            "id": number[:ID_CHARS_MAX],
            "object": "v2.core.event",
            "type": f"v1.{kind}",
            "created": at.isoformat(),
            "livemode": of.livemode,
            "context": of.event.get("context"),
            "related_object": {"id": url.rpartition("/")[2], "url": url},
        }
    )


async def ask(stripe: StripeApi, thin: Thin) -> bytes | Ignored | Parked:
    """The answer's event, or the ruling where the object tells that none is needed.

    Raises StripeFailedError, EarlyAnswerError; no answer takes longer than the client allows.
    """
    if thin.url is None:
        return Parked("unknown shape: related_object names no path of such an object")
    stripe = stripe.in_context(thin.context)
    expanded = _EXPANDED if thin.kind.startswith("checkout.session.") else None
    found = await stripe.retrieve(thin.url, expanded)
    _check_time(thin, found.asked_at)
    if not thin.kind.startswith("invoice."):
        return _event(thin, _kind_of(thin.kind, found.body), found)
    # By now the invoice may have been paid or failed again: its subscription tells how it stands.
    told = translate(_as_event(thin, thin.kind, found))
    if isinstance(told, Ignored | Parked):
        return told
    subscription_id = invoice_subscription_of(found.body)
    if subscription_id is None or not _ID.fullmatch(subscription_id):
        raise ShapeError("the invoice's subscription has no readable id")
    found = await stripe.retrieve(f"/v1/subscriptions/{subscription_id}")
    return _event(thin, _SNAPSHOT, found)


def _check_time(thin: Thin, asked_at: datetime) -> None:
    tie = thin.event_id.startswith(TIE_PREFIX)
    if tie and int(asked_at.timestamp()) <= int(thin.occurred_at.timestamp()):
        raise EarlyAnswerError("Stripe's clock has not left the second that is asked about.")


def _kind_of(kind: str, body: Mapping[str, object]) -> str:
    if kind.startswith("customer.subscription."):
        return _SNAPSHOT  # what is read now is how it stands now, whatever the event was
    if kind.startswith("customer.") and body.get("deleted") is True:
        return "customer.deleted"
    return kind


def _event(thin: Thin, kind: str, found: Retrieved) -> bytes:
    return orjson.dumps(_as_event(thin, kind, found))


def _as_event(thin: Thin, kind: str, found: Retrieved) -> dict[str, object]:
    return {
        "id": answer_id(thin.event_id),
        "object": "event",
        "type": kind,
        "created": int(found.asked_at.timestamp()),
        "livemode": thin.livemode,
        "data": {"object": object_of(found.body, "Stripe's answer")},
    }


def answer_id(question_id: str) -> str:
    """The id of the event that answers it."""
    return f"{ANSWER_PREFIX}{question_id.removeprefix(TIE_PREFIX)}"[:ID_CHARS_MAX]
