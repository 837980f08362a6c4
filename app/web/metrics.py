"""Metrics for Prometheus; they are answered while the database is away, too."""

from __future__ import annotations

from typing import Final

from litestar import Response, get
from litestar.datastructures import State

from app.web.http import problems
from app.web.http.access import Access, access
from app.web.http.bounded import Looks

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
    """Return counts, times and gauges in Prometheus' text format."""
    looks: Looks[bytes] = state.scrapes
    return Response(await looks.get(), media_type=CONTENT_TYPE)


async def scrape(state: State) -> bytes:
    """All of it: 10 ms of this process' time."""
    text: bytes = state.metrics.text() + await state.gauges.text()
    return text
