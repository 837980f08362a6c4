"""Parts that all pages share: their files, and the choice of a zone."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, QueryParameter
from litestar.response import Redirect

from app.allowance.zones import zone_names
from app.html import accents, assets, zones
from app.html.pages import page
from app.web.http.access import Access, access
from app.web.http.forms import form, over_https
from app.web.http.page_errors import PAGE

_SHOWN: Final[dict[str, Any]] = {"include_in_schema": False, **access(Access.OPEN)}
Back = Annotated[str, QueryParameter(max_length=2_000)]


class ZoneForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The zone that a reader chose, and the page to go back to."""

    zone: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    back: Annotated[str, msgspec.Meta(max_length=2_000)] = "/"


@get(f"{assets.PATH}/{{name:str}}", sync_to_thread=False, **_SHOWN)
def get_asset(name: FromPath[str], request: Request[Any, Any, Any]) -> Response[bytes]:
    """A file of the pages; its name holds its content's hash, so that it may be kept."""
    one = assets.by_served_name().get(name) or accents.named(name)
    if one is None:
        raise NotFoundException
    return assets.answer(one, request.headers.get("accept-encoding", ""))


@get(zones.PATH, sync_to_thread=False, **_SHOWN, **PAGE)
def get_zone_page(request: Request[Any, Any, Any], back: Back = "/") -> Response[str]:
    """The zones to choose from, by region."""
    return page(
        "zone.html",
        regions=_regions(),
        zone=zones.zone_of(request.cookies),
        back=zones.local_path(back),
    )


@post(zones.PATH, status_code=303, **_SHOWN, **PAGE)
async def choose_zone(request: Request[Any, Any, Any]) -> Redirect:
    """Keep the choice in a cookie and lead back."""
    sent = await form(request, ZoneForm)
    known = sent.zone if sent.zone in zone_names() else zones.DEFAULT
    kept = zones.chosen(known, secure=over_https(request))
    return Redirect(zones.local_path(sent.back), status_code=303, cookies=[kept])


def _regions() -> list[tuple[str, list[str]]]:
    """UTC first, then what tzdata ships by region."""
    regions: dict[str, list[str]] = {}
    for name in sorted(zone_names()):
        region, slash, _ = name.partition("/")
        if slash and region != "Etc":
            regions.setdefault(region, []).append(name)
    return [("UTC", [zones.DEFAULT]), *regions.items()]
