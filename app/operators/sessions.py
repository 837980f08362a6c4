"""Console sessions: a random cookie, stored by its hash, that stands for a key for some hours.

A session gives no rights of its own: at each request its key is checked again, and a revoked or
expired key ends it. Sessions and keys expire by wall time.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from app.infrastructure import sql
from app.infrastructure.db import Database
from app.infrastructure.ids import random_token

if TYPE_CHECKING:
    from app.operators import row_types


TOKEN_CHARS: Final = 52  # 260 bits
IDLE_MAX: Final = timedelta(minutes=30)
LIFE_MAX: Final = timedelta(hours=12)

_SQL: Final[row_types.SessionsSql] = sql.beside(__file__)


class Notice(msgspec.Struct, frozen=True):
    """A message that a session's next page shows once: a text, and whether it is good or
    bad news.
    """

    text: str
    tone: str = "good"


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A valid session; ``token`` is the cookie's secret."""

    token: str
    key_id: str
    created_at: datetime
    ends_at: datetime
    notice: Notice | None

    @property
    def form_token(self) -> str:
        """Return the token that each form of this session carries; another site's form cannot know
        it.
        """
        return hmac.digest(self.token.encode(), b"tallybook's form", "sha256").hex()

    def is_form_token(self, given: str) -> bool:
        """Return whether a form was made for this session."""
        return hmac.compare_digest(given.encode(), self.form_token.encode())


async def begin(database: Database, key_id: str) -> str:
    """Begin a session for a valid key; return its cookie, which is not stored."""
    token = random_token(TOKEN_CHARS)
    await database.execute(_SQL["begin"](token_hash=_hash(token), key_id=key_id, life=LIFE_MAX))
    return token


async def find(database: Database, token: str) -> Session | None:
    """Return the session of this cookie and note its use; None if it has ended or never existed.

    Its notice is returned only once.
    """
    if len(token) != TOKEN_CHARS:
        return None
    token_hash = _hash(token)
    row = await database.fetchrow(_SQL["find"](token_hash=token_hash, idle=IDLE_MAX))
    if row is None:
        return None
    notice = None if row["notice"] is None else msgspec.json.decode(row["notice"], type=Notice)
    if row["unseen"] or notice is not None:
        await database.execute(_SQL["note"](token_hash=token_hash))
    return Session(
        token=token,
        key_id=row["key_id"],
        created_at=row["created_at"],
        ends_at=row["ends_at"],
        notice=notice,
    )


async def say(database: Database, session: Session, notice: Notice) -> None:
    """Store a notice for the session's next page."""
    text = msgspec.json.encode(notice).decode()
    await database.execute(_SQL["say"](token_hash=_hash(session.token), notice=text))


async def end(database: Database, token: str) -> None:
    """End the session of this cookie, if there is one."""
    await database.execute(_SQL["end"](token_hash=_hash(token)))


async def end_all(database: Database, key_id: str) -> int:
    """End every session of a key; return how many there were."""
    return len(await database.fetch(_SQL["end_all"](key_id=key_id)))


async def count(database: Database, key_id: str) -> int:
    """Return how many sessions of a key are valid."""
    going: int = await database.fetchval(_SQL["count"](key_id=key_id, idle=IDLE_MAX))
    return going


async def sweep(database: Database) -> None:
    """Remove the sessions that have ended."""
    await database.execute(_SQL["sweep"](idle=IDLE_MAX))


def _hash(token: str) -> bytes:
    # A fast hash is enough: the cookie is 260 random bits.
    return hashlib.sha256(token.encode()).digest()
