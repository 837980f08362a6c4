"""The subject of an examination: the settings, the service's address, the catalogue's file."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from app.errors import ConfigurationError
from app.infrastructure.variables import read_variable


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings, address and file to examine; ``variables`` hold the process's environment."""

    variables: Mapping[str, str]
    url: str | None = None
    tiers: Path | None = None

    def read(self, name: str) -> str | None:
        """Return a setting from its variable or its file; raise ConfigurationError like a start."""
        return read_variable(self.variables, name)

    def is_true(self, name: str) -> bool:
        """Return whether a flag is set, in the words that a start accepts."""
        return (self.read(name) or "").lower() in ("true", "1", "yes")


def surroundings(url: str | None, data_dir: Path | None, tiers: Path | None) -> Surroundings:
    """Return the surroundings of the environment, or of the `up` that runs on a data folder."""
    if data_dir is None:
        return Surroundings(variables=dict(os.environ), url=url, tiers=tiers)
    try:
        book = json.loads((data_dir / "dev.json").read_text())
        secrets = json.loads((data_dir / "secrets.json").read_text())
        named = {
            "DATABASE_URL": book["database_url"],
            "REDIS_URL": book["redis_url"] or "",
            "STRIPE_WEBHOOK_SECRET": book["stripe_webhook_secret"],
            "CRON_SECRET": book["cron_secret"],
            "TALLYBOOK_KEY_PEPPER": secrets["key_pepper"],
            "TALLYBOOK_SEAL_KEY": secrets["seal_key"],
            "TALLYBOOK_ENV": "development",
        }
        base_url = str(book["base_url"])
    except (OSError, ValueError, KeyError) as error:
        raise ConfigurationError(
            f"{data_dir} cannot be read ({error}). Is `tallybook up` running there?"
        ) from error
    others = {k: v for k, v in os.environ.items() if k.removesuffix("_FILE") not in named}
    return Surroundings(variables={**others, **named}, url=url or base_url, tiers=tiers)


def is_loopback(host: str | None) -> bool:
    """Return whether traffic to this host stays on this machine."""
    if host in (None, "", "localhost"):  # none means a Unix socket
        return True
    try:
        return ip_address(host or "").is_loopback
    except ValueError:
        return False


def host_of(url: str) -> str | None:
    """Return the host of a URL."""
    return urlsplit(url).hostname


def hosts_of(url: str) -> list[str | None]:
    """Return the hosts of a database's address, which may list several, separated by commas."""
    _, _, hosts = urlsplit(url).netloc.rpartition("@")
    return [urlsplit(f"//{one}").hostname for one in hosts.split(",")]
