"""Metrics for Prometheus; they are answered while the database is away, too."""

from __future__ import annotations

from typing import Final

from litestar import Response, get
from litestar.datastructures import State

from app.web.http import problems
from app.web.http.access import Access, access

MEDIA_TYPE: Final = "text/plain"
CONTENT_TYPE: Final = f"{MEDIA_TYPE}; version=0.0.4"  # Litestar adds the charset


@get(
    "/metrics",
    media_type=MEDIA_TYPE,
    responses=problems.declared(400),
    tags=["Health"],
    **access(Access.OPEN),
)
async def get_metrics(state: State) -> Response[bytes]:
    """Counts, times and gauges in Prometheus' text format."""
    text = state.metrics.text() + await state.gauges.text()
    return Response(text, media_type=CONTENT_TYPE)
