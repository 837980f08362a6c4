"""Stripe's events, signed: POST /api/webhooks/stripe."""

from __future__ import annotations

import time
from typing import Any, Final

from litestar import Request, post
from litestar.datastructures import State

from app.errors import SignatureRefusedError
from app.web.http import problems, rate_limits
from app.web.http.access import Access, access
from app.web.http.views import View
from app.webhooks.receive import receive
from app.webhooks.signature import verify

WEBHOOK_BODY_BYTES_MAX: Final = 524_288


class WebhookAnswer(View, frozen=True, kw_only=True):
    """The verdict on the delivery."""

    event_id: str
    outcome: str


@post(
    "/api/webhooks/stripe",
    status_code=200,
    request_max_body_size=WEBHOOK_BODY_BYTES_MAX,
    responses=problems.declared(400, 413, 429),
    tags=["Stripe"],
    **access(Access.SIGNATURE),
)
async def receive_stripe_event(request: Request[Any, Any, Any], state: State) -> WebhookAnswer:
    """Take in one Stripe event: stored once, with its effects in the same transaction."""
    started = time.perf_counter()
    payload = await request.body()
    header = request.headers.get("stripe-signature")
    # Wall time, also in a book whose clock is set: Stripe signs by its own clock.
    try:
        verify(payload, header, state.settings.stripe_webhook_secrets, int(time.time()))
    except SignatureRefusedError:
        state.metrics.signature_failures.inc()
        await rate_limits.of_address(request)
        raise
    book = state.book
    received = await receive(book, payload, livemode=book.livemode, groups=state.webhook_groups)
    seconds = time.perf_counter() - started
    state.metrics.webhook(received.type, received.outcome, seconds)
    return WebhookAnswer(event_id=received.event_id, outcome=received.outcome)
