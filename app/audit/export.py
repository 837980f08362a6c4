"""The export: every entry as one stream of bytes; its last record has the count and a checksum."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from app.audit import entries
from app.audit.entries import EntryQuery
from app.audit.horizon import Horizon, Horizons
from app.errors import BusyError
from app.infrastructure.db import Database, Record

CHUNK_ENTRIES: Final = 500  # written at once: the process does nothing else for some 10 ms
CLIENT_STALL_SECONDS_MAX: Final = 120  # a reader that is slower than this for one chunk is cut off
AT_ONCE_MAX: Final = 4  # each holds a connection of the pool, which spends need too


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """An export's last record: it proves that nothing is missing.

    ``sha256`` covers all bytes before it. Two exports of different epochs may give one id to
    different entries; see ops/backup.md.
    """

    count: int
    sha256: str
    complete_to: datetime
    epoch: int


@dataclass(frozen=True, slots=True)
class Form:
    """The format of an export: the bytes before the first entry, of entries, and after the last.

    ``end`` is called with an `Ending`.
    """

    media_type: str
    suffix: str
    head: bytes
    rows: Callable[[Sequence[Record]], bytes]
    end: Callable[[Ending], bytes]


async def stream(
    database: Database, horizon: Horizon, query: EntryQuery, form: Form
) -> AsyncGenerator[bytes, None]:
    """Yield the export in chunks, out of one snapshot; an error cuts it off before its last record.

    Consume and close it in one task: it holds that task's transaction.
    """
    digest, count = hashlib.sha256(form.head), 0
    if form.head:
        yield form.head
    async with aclosing(_chunks(database, horizon, query)) as chunks:
        async for rows in chunks:
            chunk = form.rows(rows)
            digest.update(chunk)
            count += len(rows)
            yield chunk
    yield form.end(
        Ending(
            count=count,
            sha256=digest.hexdigest(),
            complete_to=horizon.complete_to,
            epoch=await database.fetchval("SELECT epoch FROM book"),
        )
    )


async def begin(
    database: Database, horizons: Horizons, query: EntryQuery, form: Form
) -> AsyncGenerator[bytes, None]:
    """Return the `stream` up to the present horizon."""
    return stream(database, await horizons.find(database), query, form)


async def _chunks(
    database: Database, horizon: Horizon, query: EntryQuery
) -> AsyncGenerator[list[Record], None]:
    condition, values = entries.where(query, horizon)
    async with database.snapshot():
        await database.execute("SET LOCAL statement_timeout = 0")
        await database.execute(
            f"SET LOCAL idle_in_transaction_session_timeout = '{CLIENT_STALL_SECONDS_MAX}s'"
        )
        # PostgreSQL plans a declared cursor for its first rows: by id, without a sort.
        await database.execute(
            f"DECLARE export NO SCROLL CURSOR FOR {entries.SELECT} WHERE {condition}"
            f" ORDER BY entries.id {query.order}",
            *values,
        )
        while rows := await database.fetch(f"FETCH {CHUNK_ENTRIES} FROM export"):
            yield rows


class Exports:
    """The running exports of this process."""

    def __init__(self) -> None:
        self._running = 0

    async def counted(self, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """Yield the chunks; the export counts as running from the first to the last."""
        self._running += 1
        try:
            async with aclosing(chunks):
                async for chunk in chunks:
                    yield chunk
        finally:
            self._running -= 1

    def require_room(self) -> None:
        """Raise BusyError if the maximum of exports runs already."""
        if self._running >= AT_ONCE_MAX:
            raise BusyError(f"{AT_ONCE_MAX} exports are under way; ask again when one has ended.")
