"""POST /api/v1/events/{id}/replay: an operator tries a stored event again."""

from __future__ import annotations

from typing import Any

from litestar import Request, post
from litestar.datastructures import State

from app.web import problems
from app.web.access import Access, access
from app.web.parameters import EventId
from app.web.requests import MaybeReason, operator
from app.web.views import View
from app.webhooks.replay import replay


class ReplayAnswer(View, frozen=True, kw_only=True):
    """What the replay came to, and the event's own verdict after it."""

    event_id: str
    outcome: str
    verdict: str
    reason: str


@post(
    "/api/v1/events/{event_id:str}/replay",
    status_code=200,
    responses=problems.declared(400, 401, 403, 404, 413),
    tags=["Life cycle"],
    **access(Access.OPERATOR),
)
async def replay_event(
    event_id: EventId, request: Request[Any, Any, Any], state: State, data: MaybeReason = None
) -> ReplayAnswer:
    """Try a stored event again; what was applied is not applied twice."""
    done = await replay(state.book, event_id, operator(request, data))
    return ReplayAnswer(
        event_id=done.event_id, outcome=done.outcome, verdict=done.verdict, reason=done.reason
    )
