"""For properties that do one thing in two ways and compare what each has written."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Any, TypeAlias

from app.infrastructure.db import Database

Rows: TypeAlias = dict[str, list[dict[str, Any]]]


class _UndoneError(Exception):
    """Rolls a transaction back; nothing went wrong."""


@contextlib.asynccontextmanager
async def undone(database: Database) -> AsyncIterator[None]:
    """A transaction that is taken back with the block's end; what fails in it is raised."""
    with contextlib.suppress(_UndoneError):
        async with database.transaction():
            yield
            raise _UndoneError


async def written(database: Database, columns: Mapping[str, str]) -> Rows:
    """Each table's rows, in an order of their content alone; its columns as SQL lists them."""
    found: Rows = {}
    for table, wanted in columns.items():
        listed = await database.fetch(f"SELECT {wanted} FROM {table}")
        found[table] = sorted((dict(row) for row in listed), key=repr)
    return found


def differing(found: Rows, wanted: Rows) -> list[str]:
    """The rows of either that the other has not, or not as often."""
    told = []
    for table, rows in wanted.items():
        have, want = Counter(map(repr, found[table])), Counter(map(repr, rows))
        told += [f"{table} lacks {row}" for row in (want - have).elements()]
        told += [f"{table} has {row}" for row in (have - want).elements()]
    return told
