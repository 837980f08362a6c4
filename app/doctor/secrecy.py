"""Check settings and secrets: present, strong, distinct, of one mode. They are never shown."""

from __future__ import annotations

import stat
from collections import defaultdict
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

from app.doctor.finding import Finding, fail, ok, ok_or_fail, warn
from app.doctor.surroundings import Surroundings, host_of, hosts_of, is_loopback
from app.errors import ConfigurationError
from app.infrastructure import settings

SECRETS: Final = (
    "STRIPE_WEBHOOK_SECRET", "STRIPE_API_KEY", "CRON_SECRET", "TALLYBOOK_KEY_PEPPER",
)  # fmt: skip
FILES: Final = (
    *(*SECRETS, "TALLYBOOK_SEAL_KEY"),
    *("DATABASE_URL", "DATABASE_OWNER_URL", "DATABASE_READ_URL", "REDIS_URL"),
    "DATABASE_REPLICA_URL",
)


def findings(around: Surroundings) -> list[Finding]:
    """Check the settings by themselves, without a connection."""
    return [_settings(around), _distinct(around), _files(around), _mode(around), *_wires(around)]


def _settings(around: Surroundings) -> Finding:
    try:
        settings.load(around.variables)
    except ConfigurationError as error:  # it names all that is missing or weak, and never a value
        said = error.detail.removeprefix("The settings forbid a start:\n")
        lines = [line.removeprefix("  - ") for line in said.splitlines()]
        return fail("settings", " ".join(lines), "set what is named, then run this again")
    unset = [name for name in SECRETS if not around.read(name)]
    if unset:
        return warn(
            "settings", f"valid; not set: {', '.join(unset)}",
            "leave out only what you do not use: see ops/reference.md",
        )  # fmt: skip
    return ok("settings", f"valid; present and strong: {', '.join(SECRETS)}")


def _distinct(around: Surroundings) -> Finding:
    names: defaultdict[str, list[str]] = defaultdict(list)
    for name in SECRETS:
        for part in (around.read(name) or "").split(","):
            if part.strip():
                names[part.strip()].append(name)
    shared = [" and ".join(each) for each in names.values() if len(each) > 1]
    return ok_or_fail(
        "secrets differ", [f"{each} are the same" for each in shared],
        "no secret serves twice", "make a secret of its own for each",
    )  # fmt: skip


def _files(around: Surroundings) -> Finding:
    open_to_all = []
    for name in FILES:
        path = around.variables.get(f"{name}_FILE")
        if path and Path(path).exists() and Path(path).stat().st_mode & stat.S_IRWXO:
            open_to_all.append(f"{name}_FILE")
    if open_to_all:
        return warn(
            "secret files", f"open to every user: {', '.join(open_to_all)}",
            "run chmod o-rwx on them, unless nobody else can enter the folder",
        )  # fmt: skip
    return ok("secret files", "none is open to every user")


def _mode(around: Surroundings) -> Finding:
    live = around.is_true("TALLYBOOK_LIVEMODE")
    key = around.read("STRIPE_API_KEY")
    mode = "live" if live else "test"
    remedy = "set TALLYBOOK_LIVEMODE and STRIPE_API_KEY to the same mode"
    if live and around.read("TALLYBOOK_ENV") == "development":
        return fail("mode", "a live book in TALLYBOOK_ENV=development", "use production")
    if key is None:
        return ok("mode", f"a {mode} book; no STRIPE_API_KEY to compare it with")
    _, _, rest = key.partition("_")
    of_key, _, _ = rest.partition("_")
    if of_key not in ("live", "test"):
        return warn("mode", "STRIPE_API_KEY does not begin with sk_test_ or sk_live_", remedy)
    if of_key != mode:
        return fail("mode", f"a {mode} book with a STRIPE_API_KEY of {of_key} mode", remedy)
    return ok("mode", f"a {mode} book, and a STRIPE_API_KEY of the same mode")


def _wires(around: Surroundings) -> list[Finding]:
    """Check whether passwords and credits are encrypted on their way to other machines."""
    found = []
    if around.url is not None:
        found.append(_tls(around.url))
    plain = []
    for name in ("DATABASE_URL", "DATABASE_READ_URL", "DATABASE_REPLICA_URL"):
        url = around.read(name)
        if url and not all(map(is_loopback, hosts_of(url))):
            modes = parse_qs(urlsplit(url).query).get("sslmode", [])
            if not {"require", "verify-ca", "verify-full"} & {*modes}:
                plain.append(name)
    redis_url = around.read("REDIS_URL")
    if redis_url and not is_loopback(host_of(redis_url)) and not redis_url.startswith("rediss"):
        plain.append("REDIS_URL")
    if plain:
        remedy = "use sslmode=verify-full and rediss://, unless the network is private"
        found.append(warn("encryption", f"not asked for by {', '.join(plain)}", remedy))
    else:
        found.append(ok("encryption", "asked for by every address beyond this machine"))
    return found


def _tls(url: str) -> Finding:
    if url.startswith("https://"):
        return ok("TLS", f"{url} is encrypted")
    if is_loopback(host_of(url)):
        return ok("TLS", f"{url} does not leave this machine")
    return fail("TLS", f"{url} is not encrypted: keys could be read", "serve it behind TLS")
