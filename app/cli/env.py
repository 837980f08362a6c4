"""`tallybook env`: a running book's addresses and secrets, as exports for the shell."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from app.cli.which_book import key_pepper, running_book, running_folder, seal_keys
from app.cli.words import BookDir, console, refusals
from app.embedded.ports import LOOPBACK_NETWORKS
from app.errors import ConfigurationError


def print_environment(data_dir: BookDir = None) -> None:
    """Print a running book's addresses, secrets and keys for the shell: `eval "$(tallybook env)"`.

    Then `curl "$BASE_URL/api/v1/accounts" -H "Authorization: Bearer $SERVICE_KEY"` works, and psql
    by `$DATABASE_URL`.
    """
    with refusals():
        for name, value in _exports(data_dir).items():
            if value:
                console.file.write(f"export {name}={shlex.quote(str(value))}\n")


def _exports(data_dir: Path | None) -> dict[str, object]:
    """Variables by name; raises ConfigurationError if no book runs."""
    folder = running_folder(data_dir)
    if folder is None:
        raise ConfigurationError(
            "DATABASE_URL names a book, or no `tallybook up` runs in .tallybook here: --data-dir "
            "names the folder of one that runs."
        )
    told = running_book(folder)
    keys = told["keys"]
    assert isinstance(keys, Mapping)
    return {
        "BASE_URL": told["base_url"],
        **{
            name: told[name.lower()]
            for name in (
                *("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL"),
                *("STRIPE_WEBHOOK_SECRET", "CRON_SECRET"),
            )
        },
        # What commands need that then find the book by DATABASE_URL.
        "TALLYBOOK_ENV": "development",
        "TALLYBOOK_KEY_PEPPER": key_pepper(folder),
        "TALLYBOOK_SEAL_KEY": ",".join(seal_keys(folder)),
        "TALLYBOOK_WEBHOOKS_PRIVATE": LOOPBACK_NETWORKS,
        **{f"{scope.upper()}_KEY": key for scope, key in keys.items()},
    }
