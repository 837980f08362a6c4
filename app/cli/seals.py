"""`tallybook seal` and `tallybook evidence`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from app.cli.words import AsJson, BookDir, console, errors_console, group, parse_instant, run

seal = group("Seals: signed heads over the ledger, see ops/seals.md.")


@seal.command("now")
def seal_now(data_dir: BookDir = None) -> None:
    """Seal what was committed since the last seal, and print the newest head."""
    from app.commands.seals import seal_now as command

    run(command(console, data_dir))


@seal.command("list")
def seal_list(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="The newest so many.")] = 20,
    as_json: AsJson = False,
    data_dir: BookDir = None,
) -> None:
    """List the seals: the entries that each covers, its roots, and when it was made."""
    from app.commands.seals import list_seals

    run(list_seals(console, limit, data_dir, as_json=as_json))


@seal.command("key")
def seal_key(
    name: Annotated[str, typer.Argument(help="The book's name in its seals: books.example.com.")],
) -> None:
    """Make a private key for TALLYBOOK_SEAL_KEY, and print it."""
    from app.commands.seals import make_key

    run(make_key(console, name))


class _AccountFirst(TyperGroup):
    """A group that takes the id of an account, too: `evidence ACCOUNT` is `evidence of ACCOUNT`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The named command, else `of` with the word as its account."""
        named = args[0] in self.commands
        return super().resolve_command(ctx, args if named else ["of", *args])


evidence = typer.Typer(
    help="Evidence: files that prove a balance offline, see ops/seals.md.",
    cls=_AccountFirst,
    no_args_is_help=True,
)


@evidence.command("of")
def evidence_of(
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
    from app.commands.seals import Asked, write_evidence

    asked = Asked(account_id, at, since)
    run(write_evidence(errors_console, asked, output, data_dir, html=html))


@evidence.command("receipt")
def evidence_receipt(
    entry_id: Annotated[str, typer.Argument(metavar="ENTRY", help="The entry's id: ent_….")],
    output: Annotated[Path, typer.Argument(dir_okay=False, help="Takes the receipt.")],
    data_dir: BookDir = None,
) -> None:
    """Write the COSE receipt of a single entry (RFC 9942), and print the leaf that it is of."""
    from app.commands.seals import write_receipt

    run(write_receipt(console, entry_id, output, data_dir))


@evidence.command("compare")
def evidence_compare(
    old: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A file or checkpoint.")],
    new: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A newer one.")],
    data_dir: BookDir = None,
) -> None:
    """Tell whether the newer head's log continues the older one's; 1 where it is a fork."""
    from app.commands.seals import compare

    run(compare(console, old, new, data_dir))
