"""Lines to paste after the demo; each is one line, however narrow the terminal."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Final

from rich.console import Console

from app.embedded.devbook import DevBook
from app.infrastructure import ids

STRIPE_DATA_DIR: Final = Path(".tallybook-stripe")
_KEY_DIGITS: Final = 12


def print_next_steps(console: Console, book: DevBook, account_id: str, data_dir: Path) -> None:
    """Print them; a comment is a comment to the shell too, so that all may be pasted at once."""
    console.print("\nTo paste:", style="bold")
    for line in next_steps(book, account_id, data_dir, ids.random_token(_KEY_DIGITS)):
        comment = line.startswith("#")
        console.print(
            line, style="dim" if comment else None,
            markup=False, highlight=False, emoji=False, soft_wrap=True,
        )  # fmt: skip


def next_steps(book: DevBook, account_id: str, data_dir: Path, fresh: str) -> list[str]:
    """Comments and commands; ``fresh`` makes the spend's key one that nobody has used."""
    api = f"{book.base_url}/api"
    return [
        "# spend one credit; the same line again is a replay and spends nothing",
        f"curl -sw '\\n' {api}/v1/accounts/{account_id}/spends"
        f" -H 'Authorization: Bearer {book.keys.service}'"
        f" -H 'Idempotency-Key: try-{fresh}'"
        """ -H 'Content-Type: application/json' -d '{"amount": 1, "reason": "a try"}'""",
        "# its entries, newest first, by the auditor's key",
        f"curl -sw '\\n' '{api}/v1/ledger/entries?account_id={account_id}&order=desc&limit=5'"
        f" -H 'Authorization: Bearer {book.keys.auditor}'",
        "# derive every balance from the entries again, and compare",
        f".venv/bin/tallybook ledger verify --data-dir {shlex.quote(str(data_dir))}",
        "# every call, described and ready to try, also offline",
        f"{book.base_url}/schema",
        "",
        *_real_stripe(book),
    ]


def _real_stripe(book: DevBook) -> list[str]:
    """A book of its own: in this one time has run ahead, or behind, of Stripe's."""
    forward_to = f"{book.base_url}/api/webhooks/stripe"
    return [
        "# real Stripe, in test mode (stop this book first). Write your prices into a copy of",
        "# app/allowance/tiers.toml, the catalogue; `stripe prices list` tells their ids. Then:",
        f"stripe listen --forward-to {forward_to}",
        "# another, with the secret that stripe listen printed:",
        f"STRIPE_WEBHOOK_SECRET=whsec_... .venv/bin/tallybook up --port {_port(book)}"
        f" --data-dir {STRIPE_DATA_DIR} --tiers tiers.toml",
    ]


def _port(book: DevBook) -> str:
    return book.base_url.rpartition(":")[2].rstrip("/")
