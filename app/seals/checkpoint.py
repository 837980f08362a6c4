"""A head as text: a C2SP checkpoint whose further lines state the balances and the book."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from hashlib import sha256
from typing import NamedTuple

from app.seals.balance_tree import Sums


class Head(NamedTuple):
    """The content of a checkpoint."""

    origin: str
    size: int
    root: bytes
    balances_hash: bytes
    totals: Sums
    horizon_at: datetime
    entry_id: int
    schema: str
    epoch: int
    catalogue: tuple[int, bytes] | None = None  # the number, and the hash of its content
    previous: tuple[int, bytes] | None = None  # the size and `text_hash` of the seal before

    def text(self) -> str:
        """The checkpoint without signatures."""
        totals = " ".join(f"{name}={value}" for name, value in self.totals._asdict().items())
        horizon = self.horizon_at.astimezone(UTC).isoformat(timespec="microseconds")
        lines = [
            *(self.origin, str(self.size), _base64(self.root)),
            f"balances {_base64(self.balances_hash)}",
            f"totals {totals}",
            f"horizon {horizon.replace('+00:00', 'Z')}",
            f"entry {self.entry_id}",
            f"schema {self.schema}",
            f"epoch {self.epoch}",
        ]
        for name, named in (("catalogue", self.catalogue), ("previous", self.previous)):
            if named:
                lines.append(f"{name} {named[0]} {_base64(named[1])}")
        return "".join(f"{line}\n" for line in lines)

    @classmethod
    def read(cls, text: str) -> Head:
        """Read a checkpoint without its signatures. Raises ValueError."""
        origin, size, root, *more = text.rstrip("\n").split("\n")
        said = dict(line.split(" ", 1) for line in more)
        totals = dict(pair.split("=") for pair in said["totals"].split(" "))
        named = {
            name: (int(number), base64.b64decode(hashed))
            for name in ("catalogue", "previous")
            if name in said
            for number, hashed in [said[name].split(" ")]
        }
        return cls(
            origin=origin,
            size=int(size),
            root=base64.b64decode(root),
            balances_hash=base64.b64decode(said["balances"]),
            totals=Sums(**{name: int(value) for name, value in totals.items()}),
            horizon_at=datetime.fromisoformat(said["horizon"]),
            entry_id=int(said["entry"]),
            schema=said["schema"],
            epoch=int(said["epoch"]),
            catalogue=named.get("catalogue"),
            previous=named.get("previous"),
        )


def text_hash(text: str) -> bytes:
    """The hash by which the next seal names a checkpoint."""
    return sha256(text.encode()).digest()


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()
