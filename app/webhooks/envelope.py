"""From the bytes of a webhook to the event: its envelope, whatever it is about; pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

import msgspec
import orjson

from app.errors import PayloadRefusedError
from app.infrastructure.json_names import name_given_twice
from app.webhooks.shapes import ShapeError, instant_of, object_of, shown, text_of

# Real events nest some 10 deep; whoever walks one later may do so by recursion.
NESTING_MAX: Final = 64

_NESTING: Final = frozenset({dict, list})  # the very types that orjson makes


class EnvelopeError(PayloadRefusedError):
    """The body is no Stripe event, although its signature is good."""


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """The parts that every event has; ``event`` is all of it."""

    id: str
    type: str
    created_at: datetime
    livemode: bool
    api_version: str | None
    event: dict[str, object]


def envelope(body: bytes) -> Envelope:
    """Read the event itself; raises EnvelopeError, and nothing else, on any other body.

    What is stored as text (id, type, version) has only printable characters.
    """
    event = _parse(body)
    try:
        return _envelope(event)
    except ShapeError as error:
        raise EnvelopeError(str(error)) from None


def _parse(body: bytes) -> dict[str, object]:
    try:
        event = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise EnvelopeError(f"The body is no JSON: {error.msg}.") from None
    if not isinstance(event, dict):
        raise EnvelopeError("The body is no JSON object.")
    keys_kept = _count_keys(event)
    twice = name_given_twice(body, keys_kept)
    if twice is not None:
        raise EnvelopeError(f"The key {shown(twice)} stands twice in one object.")
    return event


def _count_keys(event: dict[str, object]) -> int:
    """The keys of all its objects; EnvelopeError where it nests too deep."""
    count = 0
    level: list[object] = [event]
    for _ in range(NESTING_MAX):
        below: list[object] = []
        for one in level:
            children: Iterable[object] = one  # type: ignore[assignment]
            if isinstance(one, dict):
                count += len(one)
                children = one.values()
            below += [child for child in children if type(child) in _NESTING]
        if not below:
            return count
        level = below
    raise EnvelopeError(f"The body nests deeper than {NESTING_MAX}.")


def _envelope(event: dict[str, object]) -> Envelope:
    form = event.get("object", "event")
    if form not in ("event", "v2.core.event"):
        raise ShapeError(f"object is {shown(form)}, no event")
    kind = text_of(event.get("type"), "type")
    if not is_thin(event, kind):
        object_of(object_of(event.get("data"), "data").get("object"), "data.object")
    livemode, version = event.get("livemode"), event.get("api_version")
    if not isinstance(livemode, bool):
        raise ShapeError(f"livemode is {shown(livemode)}, neither true nor false")
    return Envelope(
        id=text_of(event.get("id"), "id"),
        type=kind,
        created_at=created_at(event),
        livemode=livemode,
        api_version=None if version is None else text_of(version, "api_version"),
        event=event,
    )


def created_at(event: dict[str, object]) -> datetime:
    """Unix seconds, or RFC 3339 where the event is a thin one; raises ShapeError."""
    created = event.get("created")
    if event.get("object") != "v2.core.event" or not isinstance(created, str):
        return instant_of(created, "created")
    try:
        instant = datetime.fromisoformat(created)
    except ValueError:
        raise ShapeError(f"created is {shown(created)}, no instant") from None
    if instant.tzinfo is None:
        raise ShapeError(f"created is {shown(created)}, without a zone")
    instant_of(int(instant.timestamp()), "created")
    return instant.astimezone(UTC)


def is_thin(event: dict[str, object], kind: str) -> bool:
    """Return whether it names an object and tells nothing of it."""
    return event.get("object") == "v2.core.event" or kind.startswith(("v1.", "v2."))
