"""Files that pages load from here: a name holds its content's hash, so that they may be kept."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

import msgspec
from litestar import Response

FOLDER: Final = Path(__file__).parent / "assets"
PATH: Final = "/assets"
_MEDIA_TYPES: Final = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
_KEPT: Final = "public, max-age=31536000, immutable"
_HASH_DIGITS: Final = 12


class Asset(msgspec.Struct, frozen=True, kw_only=True):
    """A file as it is served: its name with the hash, its bytes, and those packed."""

    name: str
    media_type: str
    body: bytes
    packed: bytes

    @property
    def path(self) -> str:
        """The address on this server."""
        return f"{PATH}/{self.name}"


def asset(name: str, body: bytes) -> Asset:
    """An asset of this content; ``name`` is the file's, without a hash."""
    stem, _, suffix = name.rpartition(".")
    digest = hashlib.sha256(body).hexdigest()[:_HASH_DIGITS]
    return asset_named(f"{stem}.{digest}.{suffix}", body)


def asset_named(name: str, body: bytes) -> Asset:
    """An asset whose name tells its content already."""
    return Asset(
        name=name,
        media_type=_MEDIA_TYPES[Path(name).suffix],
        body=body,
        packed=gzip.compress(body, 9, mtime=0),
    )


@cache
def assets() -> Mapping[str, Asset]:
    """All files of the folder, by their names without a hash."""
    files = sorted(one for one in FOLDER.iterdir() if one.suffix in _MEDIA_TYPES)
    return {one.name: asset(one.name, one.read_bytes()) for one in files}


@cache
def by_served_name() -> Mapping[str, Asset]:
    """Return the same assets by the names under which they are served."""
    return {one.name: one for one in assets().values()}


def answer(one: Asset, accepted: str) -> Response[bytes]:
    """The file, packed where the Accept-Encoding header lets it be; browsers may keep it."""
    headers = {"Cache-Control": _KEPT, "Vary": "Accept-Encoding"}
    if "gzip" not in accepted:
        return Response(one.body, media_type=one.media_type, headers=headers)
    headers["Content-Encoding"] = "gzip"
    return Response(one.packed, media_type=one.media_type, headers=headers)
