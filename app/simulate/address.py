"""The book that the simulator plays at: a running `up`, or an address with its webhook's secret."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from app.allowance.catalogue import Catalogue, default_text, parse
from app.allowance.catalogues import Catalogues
from app.embedded.devbook import DevBook, DevKeys
from app.errors import ConfigurationError
from app.infrastructure.db import opened
from app.infrastructure.variables import read_variable
from app.simulate.book_client import WEBHOOK_PATH

DATA_DIR_DEFAULT: Final = Path(".tallybook")
# Where `tallybook up` and `tallybook demo` keep their books unless another folder is named.
FOLDERS: Final = (DATA_DIR_DEFAULT, Path(".tallybook-demo"))


@dataclass(frozen=True, kw_only=True)
class Address:
    """The options given; ``key`` may read accounts, ``data_dir`` is a running `up`'s folder."""

    to: str | None = None
    secret: str | None = None
    key: str | None = None
    data_dir: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Target:
    """A book as far as it is known; the rest is empty."""

    book: DevBook
    webhook_url: str

    @property
    def reads(self) -> bool:
        """Return whether a key is known that may read accounts."""
        return bool(self.book.keys.service)

    @property
    def operates(self) -> bool:
        """Return whether a key is known that may move a clock."""
        return bool(self.book.keys.operator)


_UNKNOWN: Final = DevBook(
    base_url="",
    database_url="",
    redis_url=None,
    stripe_webhook_secret="",
    cron_secret="",
    keys=DevKeys(service="", auditor="", operator=""),
)


def find(address: Address) -> Target:
    """Return the target; raise ConfigurationError, which says what is lacking or wrong."""
    told = _told(address)
    to = address.to or told.base_url
    given = read_variable(os.environ, "STRIPE_WEBHOOK_SECRET") or ""
    secret = address.secret or told.stripe_webhook_secret or given
    if not to or not secret:
        raise ConfigurationError(
            "Where to? Give --data-dir FOLDER of a running `tallybook up`, or --to URL and "
            "--secret whsec_… (else STRIPE_WEBHOOK_SECRET)."
        )
    base_url, webhook_url = _addresses(to)
    keys = replace(told.keys, service=address.key) if address.key else told.keys
    # While a secret is being rolled there are several: each is good.
    first = secret.split(",")[0].strip()
    book = replace(told, base_url=base_url, stripe_webhook_secret=first, keys=keys)
    return Target(book=book, webhook_url=webhook_url)


async def catalogue_of(tiers: Path | None, target: Target | None) -> Catalogue:
    """Return the file's; else the one that a running `up` has applied; else the shipped one."""
    if tiers is not None:
        return parse(await asyncio.to_thread(tiers.read_text, encoding="utf-8"), str(tiers))
    if target is None or not target.book.database_url:
        return parse(default_text(), "the shipped tiers.toml")
    async with opened(target.book.database_url) as database:
        _, catalogue = await Catalogues().present(database)
    return catalogue


def _told(address: Address) -> DevBook:
    """Read the running `up` of the folder that is named, else of the default one if it is there."""
    folder = address.data_dir
    if folder is None:
        running = (one for one in FOLDERS if (one / "dev.json").exists())
        folder = None if address.to or address.secret else next(running, None)
        if folder is None:
            return _UNKNOWN
    try:
        return msgspec.json.decode((folder / "dev.json").read_bytes(), type=DevBook)
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigurationError(
            f"{folder}/dev.json cannot be read ({error}). Is `tallybook up` running there?"
        ) from error


def _addresses(to: str) -> tuple[str, str]:
    """Return the service's address and its webhook's; a path in ``to`` is the webhook's own."""
    parts = urlsplit(to)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ConfigurationError(f"{to} is no address such as http://127.0.0.1:8787.")
    base_url = f"{parts.scheme}://{parts.netloc}"
    return base_url, f"{base_url}{WEBHOOK_PATH}" if parts.path in ("", "/") else to
