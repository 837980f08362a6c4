"""Sessions at the console: a random cookie, kept by its hash, that stands for a key for some hours.

A session gives no right of its own: at each request its key is judged again, and ends it when it is
revoked or expires. They go by wall time, as keys do.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Final

import msgspec

from app.infrastructure import sql
from app.infrastructure.db import Database
from app.infrastructure.ids import random_token

TOKEN_CHARS: Final = 52  # 260 bits
IDLE_MAX: Final = timedelta(minutes=30)
LIFE_MAX: Final = timedelta(hours=12)

_SQL: Final = sql.beside(__file__)


class Notice(msgspec.Struct, frozen=True):
    """What a session's next page says, once: a text, and whether that is good or bad news."""

    text: str
    tone: str = "good"


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A session that goes on; ``token`` is the cookie's secret."""

    token: str
    key_id: str
    created_at: datetime
    ends_at: datetime
    notice: Notice | None

    @property
    def form_token(self) -> str:
        """What each form of this session carries: another site's form cannot know it."""
        return hmac.digest(self.token.encode(), b"tallybook's form", "sha256").hex()

    def is_form_token(self, given: str) -> bool:
        """Whether a form was made for this session."""
        return hmac.compare_digest(given.encode(), self.form_token.encode())


async def begin(database: Database, key_id: str) -> str:
    """Begin a session for a good key; returns its cookie, which is kept nowhere."""
    token = random_token(TOKEN_CHARS)
    await database.execute(*_SQL["begin"](token_hash=_hash(token), key_id=key_id, life=LIFE_MAX))
    return token


async def find(database: Database, token: str) -> Session | None:
    """The session of this cookie, noted as seen; None where it has ended, or there is none.

    Its notice is told this once.
    """
    if len(token) != TOKEN_CHARS:
        return None
    token_hash = _hash(token)
    row = await database.fetchrow(*_SQL["find"](token_hash=token_hash, idle=IDLE_MAX))
    if row is None:
        return None
    notice = None if row["notice"] is None else msgspec.json.decode(row["notice"], type=Notice)
    if row["unseen"] or notice is not None:
        await database.execute(*_SQL["note"](token_hash=token_hash))
    return Session(
        token=token,
        key_id=row["key_id"],
        created_at=row["created_at"],
        ends_at=row["ends_at"],
        notice=notice,
    )


async def say(database: Database, session: Session, notice: Notice) -> None:
    """Let the session's next page say this."""
    text = msgspec.json.encode(notice).decode()
    await database.execute(*_SQL["say"](token_hash=_hash(session.token), notice=text))


async def end(database: Database, token: str) -> None:
    """End the session of this cookie, if there is one."""
    await database.execute(*_SQL["end"](token_hash=_hash(token)))


async def end_all(database: Database, key_id: str) -> int:
    """End every session of a key; returns how many there were."""
    return len(await database.fetch(*_SQL["end_all"](key_id=key_id)))


async def count(database: Database, key_id: str) -> int:
    """How many sessions of a key go on."""
    going: int = await database.fetchval(*_SQL["count"](key_id=key_id, idle=IDLE_MAX))
    return going


async def sweep(database: Database) -> None:
    """Remove the sessions that have ended."""
    await database.execute(*_SQL["sweep"](idle=IDLE_MAX))


def _hash(token: str) -> bytes:
    # A fast hash will do: the cookie is 260 random bits.
    return hashlib.sha256(token.encode()).digest()
