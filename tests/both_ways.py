"""For properties that do one thing in two ways and compare what each has written."""

from __future__ import annotations

import contextlib
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
