"""A page from a template, under headers that let it run nothing and be framed by nobody unasked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC
from functools import cache
from pathlib import Path
from typing import Final

import jinja2
from litestar import Response
from litestar.datastructures import Cookie

from app.html import filters, plots, tones
from app.html.assets import assets

# Each package of pages has a folder of templates; all are found by all.
TEMPLATES: Final = tuple(sorted(Path(__file__).parents[1].glob("*/templates")))
MEDIA_TYPE: Final = "text/html"
# What each template may name without being given it.
_DEFAULTS: Final[Mapping[str, object]] = {
    "zone": UTC,
    "theme": "auto",
    "accent_path": None,
    "flash": None,
    "refresh_s": None,
    "here": None,
    "zone_path": None,
}


def page(
    template: str,
    *,
    status: int = 200,
    frame_ancestors: Iterable[str] = (),
    headers: Mapping[str, str] | None = None,
    cookies: Iterable[Cookie] = (),
    **context: object,
) -> Response[str]:
    """The template with this context; ``frame_ancestors`` are origins that may frame the page."""
    text = environment().get_template(template).render({**_DEFAULTS, **context})
    return Response(
        text,
        status_code=status,
        media_type=MEDIA_TYPE,
        headers={**strict_headers(frame_ancestors), **(headers or {})},
        cookies=list(cookies),
    )


def strict_headers(frame_ancestors: Iterable[str] = ()) -> dict[str, str]:
    """The policy: no script, nothing inline, nothing from elsewhere, forms to this server alone."""
    framing = " ".join(sorted(frame_ancestors)) or "'none'"
    return {
        "Content-Security-Policy": (
            "default-src 'none'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
            f"form-action 'self'; base-uri 'none'; frame-ancestors {framing}"
        ),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
    }


@cache
def environment() -> jinja2.Environment:
    """Jinja's environment: all texts are escaped, and a name that nobody gave is an error."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(filters.FILTERS, tone=tones.tone, words=tones.words)
    made.globals.update(
        asset=lambda name: assets()[name].path,
        lot_bar=plots.lot_bar,
        share_bar=plots.share_bar,
    )
    return made
