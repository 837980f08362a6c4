"""Forms of our own pages, decoded into a struct; what another site sends is refused."""

from __future__ import annotations

from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

import msgspec
from litestar import Request

from app.errors import ForbiddenError, InvalidRequestError
from app.web.http.patterns import in_words

FIELDS_MAX: Final = 100
_TYPE: Final = "application/x-www-form-urlencoded"

Form = TypeVar("Form", bound=msgspec.Struct)


async def form(request: Request[Any, Any, Any], kind: type[Form]) -> Form:
    """The form as this struct; an empty field counts as left out, and texts become numbers.

    Raises InvalidRequestError for what the struct does not take, ForbiddenError for a form that a
    browser says was sent by another site's page.
    """
    refuse_other_sites(request)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _TYPE:
        raise InvalidRequestError(f"Send a form, as {_TYPE}.")
    try:
        text = (await request.body()).decode("ascii")
        pairs = parse_qsl(
            text, strict_parsing=bool(text), errors="strict", max_num_fields=FIELDS_MAX
        )
    except ValueError:
        raise InvalidRequestError("This is no form that a browser sends.") from None
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise InvalidRequestError("A field of the form stands in it twice.")
    if any("\0" in value for value in fields.values()):
        raise InvalidRequestError("A NUL character stands in the form.")
    try:
        return msgspec.convert(fields, kind, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidRequestError(in_words(str(error), kind)) from None


def refuse_other_sites(request: Request[Any, Any, Any]) -> None:
    """Raise ForbiddenError where the browser says that another site's page sent this."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise ForbiddenError("Another site's page sent this form.", needed="same-origin")


def origin(request: Request[Any, Any, Any]) -> str:
    """The origin by which the caller reached this server, such as ``https://credits.example``."""
    host = request.headers.get("host", "") or request.url.netloc
    return f"{'https' if over_https(request) else 'http'}://{host}"


def over_https(request: Request[Any, Any, Any]) -> bool:
    """Return whether the reader's browser speaks HTTPS: to us, or to a proxy that says so."""
    told = request.headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
    return (told or request.url.scheme) == "https"
