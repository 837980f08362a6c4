"""The strict decoder of bodies: JSON by orjson, then the declared struct, nothing coerced."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec
import orjson
from litestar import Request
from litestar.exceptions import InternalServerException

from app.errors import InvalidRequestError, SlowBodyError
from app.infrastructure.json_names import name_given_twice
from app.web.http.patterns import in_words

BODY_BYTES_MAX: Final = 262_144
BODY_SECONDS_MAX: Final = 10.0
DEPTH_MAX: Final = 16
_EXACT_INTEGER_MAX: Final = 2**53


class StrictRequest(Request[Any, Any, Any]):
    """Litestar's request, decoding JSON into the handler's ``data`` type without coercion.

    Litestar's own decoder takes "5" for an int, and answers 500 to deep nesting and to invalid
    UTF-8. It leaves what is an instance of the declared struct already as it is.
    """

    async def body(self) -> bytes:
        """Return the raw body, cut off where it comes too slowly.

        Raises InvalidRequestError if the caller goes away before its end: Litestar answers that
        with a 500, by which anybody could raise the operators' alarms.
        """
        try:
            async with asyncio.timeout(BODY_SECONDS_MAX):
                return await super().body()
        except InternalServerException:
            raise InvalidRequestError("The body broke off before its end.") from None
        except TimeoutError:
            raise SlowBodyError(
                f"The body did not arrive within {BODY_SECONDS_MAX:.0f} s."
            ) from None

    async def json(self) -> Any:
        """The handler's body; InvalidRequestError where it is not what the schema says."""
        content_type = self.headers.get("content-type", "")
        if content_type.partition(";")[0].strip().lower() != "application/json":
            raise InvalidRequestError("The body is JSON: send Content-Type: application/json.")
        if self.headers.get("content-encoding", "identity") != "identity":
            raise InvalidRequestError("The body is read as it comes: send no Content-Encoding.")
        field = self.route_handler.parsed_data_field
        assert field is not None, "only handlers with a data parameter read a body"
        return decode(await self.body(), field.annotation)


def decode(raw: bytes, kind: Any) -> Any:
    """Decode raw JSON as ``kind``; InvalidRequestError says where it differs."""
    try:
        parsed = _plain(orjson.loads(raw), DEPTH_MAX)
        twice = name_given_twice(raw, _names(parsed))
        if twice is not None:
            raise InvalidRequestError(f"{twice!r} stands twice in one object of the body.")
        return msgspec.convert(parsed, kind, strict=True)
    except (orjson.JSONDecodeError, msgspec.ValidationError) as error:
        raise InvalidRequestError(in_words(str(error), kind)) from None


def _names(value: object) -> int:
    """The names of all its objects, counted."""
    if isinstance(value, dict):
        return len(value) + sum(map(_names, value.values()))
    return sum(map(_names, value)) if isinstance(value, list) else 0


def _plain(value: object, depth: int) -> object:
    """Integral floats as ints (JSON Schema calls 1.0 an integer); no NUL, no deep nesting."""
    if depth == 0:
        raise InvalidRequestError(f"The body nests deeper than {DEPTH_MAX} levels.")
    if isinstance(value, float) and value.is_integer() and abs(value) <= _EXACT_INTEGER_MAX:
        return int(value)
    if isinstance(value, str) and "\0" in value:
        raise InvalidRequestError("A NUL character stands in the body; PostgreSQL cannot keep it.")
    if isinstance(value, list):
        return [_plain(item, depth - 1) for item in value]
    if isinstance(value, dict):
        return {_plain(key, depth): _plain(item, depth - 1) for key, item in value.items()}
    return value
