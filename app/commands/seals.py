"""`tallybook seal` and `tallybook evidence`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from rich.console import Console

from app.book import Book
from app.commands.book import database_url, seal_keys
from app.errors import ConfigurationError
from app.infrastructure.db import opened
from app.seals import sealer, stored
from app.seals.notes import new_private_key

_NAME: Final = re.compile(r"[!-*\--~]{1,128}")  # printable, no space, no +


async def seal_now(console: Console, data_dir: Path | None) -> int:
    """`tallybook seal now`."""
    keys = seal_keys(data_dir)
    async with opened(database_url(data_dir), command_timeout_s=None) as database:
        size = await sealer.seal(Book(database, seal_keys=keys), float("inf"))
        if size is None:
            console.print("There is nothing to seal yet.")
            return 1
        note = (await stored.seal(database, size)).note
    console.print(note, end="", markup=False, highlight=False, soft_wrap=True)
    return 0


async def make_key(console: Console, name: str) -> int:
    """`tallybook seal key`."""
    if not _NAME.fullmatch(name):
        raise ConfigurationError("A name is 1 to 128 printable characters, without space or +.")
    console.print(new_private_key(name), markup=False, highlight=False, soft_wrap=True)
    return 0
