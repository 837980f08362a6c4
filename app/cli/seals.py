"""`tallybook seal` and `tallybook evidence`."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from app.book import Book
from app.cli.listing import Listing
from app.cli.which_book import database_url, seal_keys
from app.cli.words import AsJson, BookDir, command, console, errors_console, group, parse_instant
from app.errors import ConfigurationError
from app.infrastructure import ids
from app.infrastructure.db import opened
from app.seals import comparing, notes, sealer, stored
from app.seals.checkpoint import Head
from app.seals.evidence import evidence as make_evidence
from app.seals.evidence import receipt, require_numbers, written
from app.seals.notes import new_private_key
from app.seals.page import page

_NAME: Final = re.compile(r"[!-*\--~]{1,128}")  # printable, no space, no +


seal = group("Seals: signed heads over the ledger, see ops/seals.md.")


class _AccountFirst(TyperGroup):
    """A group that takes the id of an account, too: `evidence ACCOUNT` is `evidence of ACCOUNT`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The named command, else `of` with the word as its account."""
        named = args[0] in self.commands
        return super().resolve_command(ctx, args if named else ["of", *args])


evidence = group(
    "Evidence: files that prove a balance offline, see ops/seals.md.", cls=_AccountFirst
)


@command(seal, "now")
async def seal_now(data_dir: BookDir = None) -> int:
    """Seal what was committed since the last seal, and print the newest head."""
    keys = seal_keys(data_dir)
    async with opened(database_url(data_dir), command_timeout_s=None) as database:
        size = await sealer.seal(Book(database, seal_keys=keys), float("inf"))
        if size is None:
            console.print("There is nothing to seal yet.")
            return 1
        note = (await stored.seal(database, size)).note
    console.print(note, end="", markup=False, highlight=False, soft_wrap=True)
    return 0


@command(seal, "list")
async def list_seals(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The newest so many.")] = 20,
    as_json: AsJson = False,
    data_dir: BookDir = None,
) -> None:
    """List the seals: the entries that each covers, its roots, and when it was made."""
    listing = Listing("entries", "sealed (UTC)", "complete to (UTC)", "root")
    async with opened(database_url(data_dir)) as database:
        rows = await stored.seals(database, None, limit, "desc")
    for row in rows:
        head = Head.read(notes.split(row["note"])[0])
        root = base64.b64encode(head.root).decode()
        listing.add(row["size"], row["sealed_at"], row["horizon_at"], root)
    listing.show(console, as_json=as_json)


@command(seal, "key")
async def make_key(
    name: Annotated[str, typer.Argument(help="The book's name in its seals: books.example.com.")],
) -> None:
    """Make a private key for TALLYBOOK_SEAL_KEY, and print it."""
    if not _NAME.fullmatch(name):
        raise ConfigurationError("A name is 1 to 128 printable characters, without space or +.")
    console.print(new_private_key(name), markup=False, highlight=False, soft_wrap=True)


@command(evidence, "of")
async def write_evidence(
    account_id: Annotated[str, typer.Argument(help="The application's or the customer's id.")],
    output: Annotated[
        Path | None, typer.Option(dir_okay=False, help="A file, instead of standard output.")
    ] = None,
    at: Annotated[
        datetime | None,
        typer.Option(parser=parse_instant, metavar="INSTANT", help="The balance at this instant."),
    ] = None,
    since: Annotated[
        int | None, typer.Option(help="The size of an older seal that the log must continue.")
    ] = None,
    html: Annotated[
        bool, typer.Option("--html", help="A page that checks itself in a browser, offline.")
    ] = False,
    data_dir: BookDir = None,
) -> None:
    """Write the evidence of an account's balance; `of` may be left out."""
    async with opened(database_url(data_dir), command_timeout_s=None) as database:
        numbers = await require_numbers(database, account_id)
        told = await make_evidence(database, account_id, numbers, at, since)
    data = page(written(told)) if html else written(told)
    if output is None:
        await asyncio.to_thread(sys.stdout.buffer.write, data)
        return
    await asyncio.to_thread(output.write_bytes, data)
    checks = "it checks itself in a browser" if html else "ops/verify_evidence.py checks it"
    errors_console.print(f"Wrote {len(data):,} bytes; {checks}.")


@command(evidence, "receipt")
async def write_receipt(
    entry_id: Annotated[str, typer.Argument(metavar="ENTRY", help="The entry's id: ent_….")],
    output: Annotated[Path, typer.Argument(dir_okay=False, help="Takes the receipt.")],
    data_dir: BookDir = None,
) -> None:
    """Write the COSE receipt of a single entry (RFC 9942), and print the leaf that it is of."""
    number = ids.number(ids.ENTRY, entry_id)
    if number is None:
        raise ConfigurationError(f"{entry_id} is no id of an entry, such as ent_000000000001a.")
    async with opened(database_url(data_dir)) as database:
        leaf, told = await receipt(database, number)
    await asyncio.to_thread(output.write_bytes, told)
    console.print(leaf.decode(), markup=False, highlight=False, soft_wrap=True)


@command(evidence, "compare")
async def compare(
    old: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A file or checkpoint.")],
    new: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A newer one.")],
    data_dir: BookDir = None,
) -> int:
    """Tell whether the newer head's log continues the older one's; 1 where it is a fork."""
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
