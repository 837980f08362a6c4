"""POST /api/webhooks/stripe: Stripe's events, signed."""

from __future__ import annotations

import time
from typing import Any, Final

from litestar import Request, post
from litestar.datastructures import State

from app.errors import SignatureRefusedError
from app.web import problems, views
from app.web.access import Access, access
from app.webhooks.receive import receive_together
from app.webhooks.signature import verify

WEBHOOK_BODY_BYTES_MAX: Final = 524_288


@post(
    "/api/webhooks/stripe",
    status_code=200,
    request_max_body_size=WEBHOOK_BODY_BYTES_MAX,
    responses=problems.declared(400, 413),
    tags=["Stripe"],
    **access(Access.SIGNATURE),
)
async def stripe_webhook(request: Request[Any, Any, Any], state: State) -> views.WebhookAnswer:
    """Take in one Stripe event: stored once, its effects in the same transaction."""
    started = time.perf_counter()
    payload = await request.body()
    header = request.headers.get("stripe-signature")
    # Wall time, also in a book whose clock is set: Stripe signs by its own clock.
    with state.metrics.signature_failures.count_exceptions(SignatureRefusedError):
        verify(payload, header, state.settings.stripe_webhook_secrets, int(time.time()))
    received = await receive_together(state.webhook_groups, state.book, payload)
    seconds = time.perf_counter() - started
    state.metrics.webhook(received.type, received.outcome, seconds)
    return views.WebhookAnswer(event_id=received.event_id, outcome=received.outcome)
