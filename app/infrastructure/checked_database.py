"""Open the database of a server or worker, and refuse one that it must not use."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.errors import ConfigurationError
from app.infrastructure import migrations
from app.infrastructure.db import Database


@asynccontextmanager
async def checked(database: Database) -> AsyncIterator[None]:
    """Keep the database open for a block.

    Raises ConfigurationError if it does not answer, or if an unreleased version made it.
    """
    try:
        await database.open()
    except (OSError, TimeoutError) as error:
        raise ConfigurationError(
            f"The database of DATABASE_URL does not answer: {error}."
        ) from error
    try:
        await migrations.refuse_unreleased(database)
        yield
    finally:
        await database.close()
