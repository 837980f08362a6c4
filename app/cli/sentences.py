"""Sentences for faults of a database or a file that the user can mend."""

from __future__ import annotations

import os

import asyncpg

_UNMIGRATED = (
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedFunctionError,
)
_LOGIN = (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError)
_AWAY = (
    OSError,  # connections refused and waited for too long among them
    asyncpg.PostgresConnectionError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
)


def sentence(error: Exception) -> str | None:  # noqa: PLR0911 - one for each kind
    """Return the sentence with its remedy; None for a fault of ours, which needs its traceback."""
    if isinstance(error, _UNMIGRATED):
        book = os.environ.get("TALLYBOOK_BOOK")
        lists = f" Of the book {book}: `tallybook book list` tells which there are." if book else ""
        return (
            f"The database lacks what this version needs ({error}): run `tallybook migrate`.{lists}"
        )
    if isinstance(error, _LOGIN):
        return f"The database refuses this login: {error}. Correct DATABASE_URL."
    if isinstance(error, asyncpg.InsufficientPrivilegeError):
        return f"The login's role may not do this: {error}. See DATABASE_OWNER_URL."
    if isinstance(error, asyncpg.ClientConfigurationError):
        return "DATABASE_URL is no address such as postgresql://USER:PASSWORD@HOST/DATABASE."
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}."
    if isinstance(error, _AWAY):
        return f"The database does not answer: {error or 'it took too long'}."
    return None
