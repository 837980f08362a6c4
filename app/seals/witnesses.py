"""Ask witnesses to cosign the newest seal (C2SP tlog-witness); ops/witness.py is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httpx
import structlog

from app.book import Book
from app.errors import SealUnknownError
from app.infrastructure import sql
from app.infrastructure.db import Database
from app.seals import notes, stored
from app.seals.stored import Seal, in_base64

if TYPE_CHECKING:
    from app.seals import row_types


log = structlog.get_logger(__name__)

_SQL: Final[row_types.WitnessesSql] = sql.beside(__file__)
ANSWER_SECONDS_MAX: Final = 5.0
SIZE_CHARS_MAX: Final = 19


async def ask_witnesses(book: Book) -> None:
    """Have every witness cosign the newest seal; one that is away is asked again at the next tick.

    One that refuses has seen another log: that is logged as an error, and stays so.
    """
    if not book.witnesses:
        return
    try:
        newest = await stored.seal(book.database)
    except SealUnknownError:
        return
    async with httpx.AsyncClient(trust_env=False, timeout=ANSWER_SECONDS_MAX) as client:
        for url, key in book.witnesses:
            try:
                await _ask(book.database, client, url, key, newest)
            except httpx.HTTPError as error:
                log.warning("witness_away", witness=key.split("+")[0], error=type(error).__name__)


async def _ask(
    database: Database, client: httpx.AsyncClient, url: str, key: str, newest: Seal
) -> None:
    witness = key.split("+", maxsplit=1)[0]
    last = await database.fetchval(_SQL["last"](witness=witness)) or 0
    if last == newest.size:
        return
    answer = await _post(database, client, url, last, newest)
    if answer.status_code == httpx.codes.CONFLICT:  # it saw another size last, and tells which
        told = answer.text.strip()[:SIZE_CHARS_MAX]
        if told.isascii() and told.isdigit() and int(told) <= newest.size:
            answer = await _post(database, client, url, int(told), newest)
    text, _ = notes.split(newest.note)
    lines = answer.text.splitlines() if answer.status_code == httpx.codes.OK else []
    good = [line for line in lines if notes.cosigner(text, line, key) is not None]
    if not good:
        log.error("witness_refused", witness=witness, status=answer.status_code, size=newest.size)
        return
    await database.execute(_SQL["keep"](size=newest.size, witness=witness, line=good[0]))


async def _post(
    database: Database, client: httpx.AsyncClient, url: str, old: int, newest: Seal
) -> httpx.Response:
    proof = [in_base64(one) for one in await stored.consistency(database, old, newest.size)]
    head = newest.note
    body = "".join(f"{line}\n" for line in (f"old {old}", *proof)) + "\n" + head
    return await client.post(f"{url}/add-checkpoint", content=body.encode())
