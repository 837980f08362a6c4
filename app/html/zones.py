"""The zone in which a reader sees times: chosen once, kept in a cookie, UTC until then."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal
from zoneinfo import ZoneInfo

from litestar.datastructures import Cookie

COOKIE: Final = "tallybook_zone"
PATH: Final = "/zone"
DEFAULT: Final = "UTC"
_KEPT_S: Final = 400 * 86_400  # as long as browsers keep any


def zone_of(cookies: Mapping[str, str], default: str = DEFAULT) -> ZoneInfo:
    """The zone of the reader's cookie, or the default; a name that is none counts for nothing."""
    return _zone(cookies.get(COOKIE)) or _zone(default) or ZoneInfo(DEFAULT)


def chosen(name: str, *, secure: bool) -> Cookie:
    """The cookie that keeps this choice."""
    kind: Literal["lax"] = "lax"
    return Cookie(
        key=COOKIE,
        value=name,
        path="/",
        max_age=_KEPT_S,
        httponly=True,
        secure=secure,
        samesite=kind,
    )


def local_path(text: str) -> str:
    """The path to go back to: of this server, whatever somebody wrote there."""
    fits = text.startswith("/") and text[1:2] not in ("/", "\\") and text.isprintable()
    return text if fits and text.isascii() else "/"


def _zone(name: str | None) -> ZoneInfo | None:
    if not name or not name.isascii() or len(name) > 64:
        return None
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return None
