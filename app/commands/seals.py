"""`tallybook seal` and `tallybook evidence`."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import sys
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

from rich.console import Console

from app.book import Book
from app.commands.book import database_url, seal_keys
from app.commands.listing import Listing
from app.errors import ConfigurationError
from app.infrastructure import ids
from app.infrastructure.db import opened
from app.seals import comparing, notes, sealer, stored
from app.seals.checkpoint import Head
from app.seals.evidence import evidence, receipt, require_numbers, written
from app.seals.notes import new_private_key
from app.seals.page import page

_NAME: Final = re.compile(r"[!-*\--~]{1,128}")  # printable, no space, no +


class Asked(NamedTuple):
    """An account's evidence: at an instant, and since an older seal, where they are given."""

    account_id: str
    at: datetime | None
    since: int | None


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


async def list_seals(console: Console, limit: int, data_dir: Path | None, *, as_json: bool) -> int:
    """`tallybook seal list`, the newest first."""
    listing = Listing("entries", "sealed (UTC)", "complete to (UTC)", "root")
    async with opened(database_url(data_dir)) as database:
        rows = await stored.seals(database, None, limit, "desc")
    for row in rows:
        head = Head.read(notes.split(row["note"])[0])
        root = base64.b64encode(head.root).decode()
        listing.add(row["size"], row["sealed_at"], row["horizon_at"], root)
    listing.show(console, as_json=as_json)
    return 0


async def make_key(console: Console, name: str) -> int:
    """`tallybook seal key`."""
    if not _NAME.fullmatch(name):
        raise ConfigurationError("A name is 1 to 128 printable characters, without space or +.")
    console.print(new_private_key(name), markup=False, highlight=False, soft_wrap=True)
    return 0


async def write_evidence(
    errors: Console, asked: Asked, output: Path | None, data_dir: Path | None, *, html: bool
) -> int:
    """`tallybook evidence ACCOUNT`; standard output takes the file where none is named."""
    async with opened(database_url(data_dir), command_timeout_s=None) as database:
        numbers = await require_numbers(database, asked.account_id)
        told = await evidence(database, asked.account_id, numbers, asked.at, asked.since)
    data = page(written(told)) if html else written(told)
    if output is None:
        await asyncio.to_thread(sys.stdout.buffer.write, data)
        return 0
    await asyncio.to_thread(output.write_bytes, data)
    checks = "it checks itself in a browser" if html else "ops/verify_evidence.py checks it"
    errors.print(f"Wrote {len(data):,} bytes; {checks}.")
    return 0


async def write_receipt(
    console: Console, entry_id: str, output: Path, data_dir: Path | None
) -> int:
    """`tallybook evidence receipt`."""
    number = ids.number(ids.ENTRY, entry_id)
    if number is None:
        raise ConfigurationError(f"{entry_id} is no id of an entry, such as ent_000000000001a.")
    async with opened(database_url(data_dir)) as database:
        leaf, told = await receipt(database, number)
    await asyncio.to_thread(output.write_bytes, told)
    console.print(leaf.decode(), markup=False, highlight=False, soft_wrap=True)
    return 0


async def compare(console: Console, old: Path, new: Path, data_dir: Path | None) -> int:
    """`tallybook evidence compare`."""
    heads = [await asyncio.to_thread(_head, path) for path in (old, new)]
    async with opened(database_url(data_dir)) as database:
        fork = await comparing.fork(database, *heads)
    if fork:
        console.print(fork, markup=False, soft_wrap=True)
        return 1
    console.print(f"The log of {heads[1].size} entries begins with the {heads[0].size} of before.")
    return 0


def _head(path: Path) -> Head:
    """The head of an evidence file or of a checkpoint; raises ConfigurationError."""
    text = path.read_text("utf-8")
    try:
        note = json.loads(text)["checkpoint"] if text.lstrip().startswith("{") else text
        return Head.read(notes.split(note)[0])
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{path} is no evidence file nor checkpoint ({error}).") from None
