"""The closed list of codes that an answer's problem may have, from the tree of errors itself."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from app.errors import ConfigurationError, TallybookError
from app.web.http import problems


class Code(msgspec.Struct, frozen=True, order=True):
    """One code: its status, its meaning, and whether the same call may be repeated."""

    status: int
    code: str
    meaning: str
    retryable: bool


# Of answers that no error of our tree stands behind.
OTHERS = (
    Code(405, "method_not_allowed", "The route has other methods; `Allow` names them.", False),
    Code(413, "body_too_large", "The body is larger than the route takes.", False),
    Code(415, "unsupported_media_type", "The body is not JSON.", False),
    Code(500, "internal", "A fault of ours; the log tells which, by the request's id.", False),
    Code(503, "unavailable", "The database is away or too slow.", True),
)


def listed() -> list[Code]:
    """Every code, by status; those of a command's own are here only where it was imported."""
    ours = [
        Code(
            status=problems.status_of_kind(kind),
            code=kind.code,
            meaning=(kind.__doc__ or "").partition("\n")[0].replace("``", "`"),
            retryable=kind.retryable,
        )
        for kind in _kinds(TallybookError)
        if not issubclass(kind, ConfigurationError)
    ]
    # Of several kinds with one code the outermost tells what it means.
    return sorted({one.code: one for one in (*reversed(ours), *OTHERS)}.values())


def _kinds(kind: type[TallybookError]) -> Iterator[type[TallybookError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _kinds(below)
