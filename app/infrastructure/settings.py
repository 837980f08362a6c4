"""Settings: read once from the environment or from ``NAME_FILE``, validated, frozen."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Final, Literal, cast, get_args
from urllib.parse import urlsplit

import msgspec

from app.errors import ConfigurationError
from app.infrastructure import rates, variables
from app.infrastructure.books import in_book
from app.infrastructure.variables import read_variable

WEBHOOK_SECRET_CHARS_MIN: Final = 12
PEPPER_CHARS_MIN: Final = 16
_OBVIOUS: Final = frozenset({"changeme", "secret", "password", "whsec_test", "default", "example"})

API_KEY_KINDS_MIN: Final = 3  # sk_test_xxxxxxxx is not a key
_API_KEY: Final = re.compile(
    r"(?:sk|rk)_(?:(?P<mode>test|live)_|(?!test_|live_))(?P<rest>[A-Za-z0-9_]{5,240})"
)
_SEAL_KEY: Final = re.compile(r"PRIVATE\+KEY\+[!-*\--~]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}")
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})

# The processes of one server count together in it; prometheus_client reads it when imported.
COUNTS_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"

Environment = Literal["production", "development"]
Assistants = Literal["off", "read", "corrections"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one process; see ops/reference.md for each name.

    Secrets are never printed: ``repr`` leaves them out.
    """

    database_url: str
    database_replica_url: str | None = None
    redis_url: str | None = None
    stripe_webhook_secrets: tuple[str, ...] = ()
    stripe_api_key: str | None = None
    stripe_api_base: str | None = None
    cron_secret: str | None = None
    key_pepper: str = ""
    seal_keys: tuple[str, ...] = ()
    witnesses: tuple[tuple[str, str], ...] = ()  # the address and the public key of each
    livemode: bool = False
    environment: Environment = "production"
    clock_settable: bool = False
    log_level: str = "INFO"
    pool_size_max: int = 16
    grant_chunks: int = 2
    debt_max: int = 10_000  # the largest debt of an account, by captures that ask for debt
    rate_limits: rates.RateLimits | None = None
    trusted_proxies: tuple[rates.Network, ...] = ()
    return_origins: frozenset[str] = frozenset()
    page_origins: frozenset[str] = frozenset()
    webhooks_private: tuple[rates.Network, ...] = ()
    traced: bool = False
    books: tuple[str, ...] = ()  # further books, served beside this one
    assistants: Assistants = "off"

    def __repr__(self) -> str:
        return f"Settings(environment={self.environment!r}, livemode={self.livemode!r})"


# name in the environment → its purpose; a test compares ops/reference.md with it
NAMES: Final[Mapping[str, str]] = {
    "DATABASE_URL": "the application's role on PostgreSQL 15 or later",
    "DATABASE_REPLICA_URL": "the same role on a streaming replica, which then answers reports",
    "DATABASE_READ_URL": "an auditor's own login to PostgreSQL; `migrate` lets it read, no more",
    "DATABASE_OWNER_URL": "the schema's owner, for `migrate`, `keys`, `tiers apply`; no server's",
    "REDIS_URL": "arq's nudges and the rate limits; both do without it",
    "STRIPE_WEBHOOK_SECRET": "the endpoint's signing secret; comma-separated while rolling",
    "STRIPE_API_KEY": "sk_… or rk_…: asks Stripe itself; without it nothing is fetched",
    "STRIPE_API_BASE": "another address than Stripe's own, for a local server",
    "TALLYBOOK_BOOK": "the book to work on, by `book create`; else the database's first, public",
    "TALLYBOOK_BOOKS": "further books that `serve` and `worker` serve, by comma, at /books/NAME",
    "CRON_SECRET": "the bearer token of /api/cron/reset-credits",
    "TALLYBOOK_KEY_PEPPER": "mixed into every API key's hash",
    "TALLYBOOK_SEAL_KEY": "signs seals, by `seal key`; two by comma sign both, while one rolls",
    "TALLYBOOK_WITNESSES": "who cosigns seals, by comma: URL=NAME+HASH+KEY",
    "TALLYBOOK_LIVEMODE": "true: a live book; events of the other mode are refused",
    "TALLYBOOK_ENV": "production (default) or development",
    "TALLYBOOK_CLOCK": "settable: development only, the clock can be set over HTTP",
    "TALLYBOOK_LOG_LEVEL": "DEBUG, INFO (default), WARNING or ERROR",
    "TALLYBOOK_MCP": "tools for assistants at /mcp: off (default), read, or corrections too",
    "TALLYBOOK_POOL_SIZE_MAX": "database connections of one process, 16; spends have 14 more",
    "TALLYBOOK_DEBT_MAX": "what an account may owe by captures with `over: debt`, 10000",
    "TALLYBOOK_GRANT_CHUNKS": "chunks of daily grants side by side while nobody else works, 2",
    "TALLYBOOK_RATE_LIMIT": "calls/seconds of a key, then of an address without: 30000/60,120/60",
    "TALLYBOOK_OTEL": "true: traces by OpenTelemetry; so does OTEL_EXPORTER_OTLP_ENDPOINT",
    "TALLYBOOK_RETURN_ORIGINS": "where Stripe's pages may send users back, by comma; else anywhere",
    "TALLYBOOK_PAGE_ORIGINS": "sites that may frame customers' pages, by comma; else none",
    "TALLYBOOK_TRUSTED_PROXIES": "networks whose X-Forwarded-For is believed, by comma",
    "TALLYBOOK_WEBHOOKS_PRIVATE": "private networks that webhooks may go to, by comma; else none",
}


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Read and validate every setting.

    Raises ConfigurationError with all that is missing or wrong, and never a value.
    """
    source = os.environ if environment is None else environment
    values = {name: read_variable(source, name) for name in NAMES}
    problems: list[str] = []
    settings = Settings(
        database_url=in_book(values["DATABASE_URL"] or "", values["TALLYBOOK_BOOK"]),
        database_replica_url=values["DATABASE_REPLICA_URL"]
        and in_book(values["DATABASE_REPLICA_URL"], values["TALLYBOOK_BOOK"]),
        books=variables.parts_of(values["TALLYBOOK_BOOKS"]),
        redis_url=values["REDIS_URL"],
        stripe_webhook_secrets=variables.parts_of(values["STRIPE_WEBHOOK_SECRET"]),
        stripe_api_key=values["STRIPE_API_KEY"],
        stripe_api_base=(values["STRIPE_API_BASE"] or "").rstrip("/") or None,
        cron_secret=values["CRON_SECRET"],
        key_pepper=values["TALLYBOOK_KEY_PEPPER"] or "",
        seal_keys=variables.parts_of(values["TALLYBOOK_SEAL_KEY"]),
        witnesses=variables.witnesses(values["TALLYBOOK_WITNESSES"], problems),
        livemode=variables.flag(values["TALLYBOOK_LIVEMODE"], "TALLYBOOK_LIVEMODE", problems),
        environment=cast(
            "Environment",
            variables.one_of(
                values["TALLYBOOK_ENV"], "TALLYBOOK_ENV", get_args(Environment), problems
            ),
        ),
        clock_settable=values["TALLYBOOK_CLOCK"] == "settable",
        log_level=(values["TALLYBOOK_LOG_LEVEL"] or "INFO").upper(),
        pool_size_max=variables.number(
            values["TALLYBOOK_POOL_SIZE_MAX"], "TALLYBOOK_POOL_SIZE_MAX", problems, 1, 16
        ),
        grant_chunks=variables.number(
            values["TALLYBOOK_GRANT_CHUNKS"], "TALLYBOOK_GRANT_CHUNKS", problems, 1, 2
        ),
        debt_max=variables.number(
            values["TALLYBOOK_DEBT_MAX"], "TALLYBOOK_DEBT_MAX", problems, 0, 10_000
        ),
        rate_limits=variables.rate_limits(values["TALLYBOOK_RATE_LIMIT"], problems),
        traced=variables.flag(values["TALLYBOOK_OTEL"], "TALLYBOOK_OTEL", problems)
        or bool(source.get("OTEL_EXPORTER_OTLP_ENDPOINT")),
        trusted_proxies=variables.networks(values, "TALLYBOOK_TRUSTED_PROXIES", problems),
        webhooks_private=variables.networks(values, "TALLYBOOK_WEBHOOKS_PRIVATE", problems),
        return_origins=variables.origins(values, "TALLYBOOK_RETURN_ORIGINS", problems),
        page_origins=variables.origins(values, "TALLYBOOK_PAGE_ORIGINS", problems),
        assistants=cast(
            "Assistants",
            variables.one_of(
                values["TALLYBOOK_MCP"], "TALLYBOOK_MCP", get_args(Assistants), problems
            ),
        ),
    )
    if values["TALLYBOOK_CLOCK"] not in (None, "settable"):
        problems.append("TALLYBOOK_CLOCK has another value than settable, the only one allowed.")
    problems += _problems(settings)
    _refuse(problems)
    return settings


def load_stripe(environment: Mapping[str, str] | None = None) -> Settings:
    """Return Stripe's key and the mode, for a command whose book is named otherwise."""
    source = os.environ if environment is None else environment
    problems: list[str] = []
    settings = Settings(
        database_url="",
        environment="development",
        log_level="WARNING",
        stripe_api_key=read_variable(source, "STRIPE_API_KEY"),
        stripe_api_base=(read_variable(source, "STRIPE_API_BASE") or "").rstrip("/") or None,
        livemode=variables.flag(
            read_variable(source, "TALLYBOOK_LIVEMODE"), "TALLYBOOK_LIVEMODE", problems
        ),
    )
    _refuse(problems + _stripe_problems(settings))
    return settings


def _refuse(problems: list[str]) -> None:
    if problems:
        raise ConfigurationError(
            "The settings forbid a start:\n" + "\n".join(f"  - {p}" for p in problems)
        )


def load_seal_keys() -> tuple[str, ...]:
    """Return TALLYBOOK_SEAL_KEY alone, which sealing needs."""
    return variables.parts_of(read_variable(os.environ, "TALLYBOOK_SEAL_KEY"))


def load_key_pepper() -> str:
    """Return TALLYBOOK_KEY_PEPPER alone, which making a key needs; raise ConfigurationError."""
    pepper = read_variable(os.environ, "TALLYBOOK_KEY_PEPPER") or ""
    _refuse(_pepper_problems(pepper))
    return pepper


def load_webhooks_private() -> tuple[rates.Network, ...]:
    """Return TALLYBOOK_WEBHOOKS_PRIVATE alone; raise ConfigurationError."""
    name, problems = "TALLYBOOK_WEBHOOKS_PRIVATE", list[str]()
    networks = variables.networks({name: read_variable(os.environ, name)}, name, problems)
    _refuse(problems)
    return networks


def _pepper_problems(pepper: str) -> list[str]:
    if not _weak(pepper, PEPPER_CHARS_MIN):
        return []
    return [
        f"TALLYBOOK_KEY_PEPPER is missing, too short or a default; use {PEPPER_CHARS_MIN} random "
        "characters or more, the same for every server and for `keys`."
    ]


def _problems(settings: Settings) -> list[str]:
    found = []
    if not settings.database_url:
        found.append("DATABASE_URL is missing: postgresql://USER:PASSWORD@HOST/DATABASE.")
    if not settings.stripe_webhook_secrets:
        found.append(
            "STRIPE_WEBHOOK_SECRET is missing: copy the endpoint's whsec_… from Stripe's dashboard."
        )
    for secret in settings.stripe_webhook_secrets:
        if _weak(secret, WEBHOOK_SECRET_CHARS_MIN):
            found.append(
                "STRIPE_WEBHOOK_SECRET is too short or a default; copy it from Stripe's dashboard."
            )
    if _weak(settings.cron_secret or "", PEPPER_CHARS_MIN) and settings.cron_secret is not None:
        found.append(
            "CRON_SECRET is too short or a default; "
            f"use {PEPPER_CHARS_MIN} random characters or more."
        )
    found += _pepper_problems(settings.key_pepper)
    if not all(map(_SEAL_KEY.fullmatch, settings.seal_keys)):
        found.append(
            "TALLYBOOK_SEAL_KEY is not a private key; `tallybook seal key NAME` makes one."
        )
    found += _stripe_problems(settings)
    if settings.log_level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        found.append("TALLYBOOK_LOG_LEVEL is not DEBUG, INFO, WARNING or ERROR.")
    if settings.grant_chunks > max(2, settings.pool_size_max - 1):
        found.append(
            "TALLYBOOK_GRANT_CHUNKS leaves none of TALLYBOOK_POOL_SIZE_MAX's connections for "
            "anything else."
        )
    return found + _clock_problems(settings)


def _clock_problems(settings: Settings) -> list[str]:
    found = []
    if settings.clock_settable and settings.environment == "production":
        found.append("TALLYBOOK_CLOCK=settable needs TALLYBOOK_ENV=development.")
    if settings.clock_settable and settings.livemode:
        found.append("TALLYBOOK_CLOCK=settable and TALLYBOOK_LIVEMODE=true exclude each other.")
    return found


def _stripe_problems(settings: Settings) -> list[str]:
    found = []
    key = settings.stripe_api_key
    shape = None if key is None else _API_KEY.fullmatch(key)
    if key is not None and (shape is None or _is_placeholder(shape["rest"])):
        found.append(
            "STRIPE_API_KEY is no key of Stripe's, or a placeholder; copy the sk_… or rk_… from "
            "Stripe's dashboard."
        )
    elif shape and shape["mode"] and (shape["mode"] == "live") != settings.livemode:
        found.append(
            f"STRIPE_API_KEY is a {shape['mode']} key, and TALLYBOOK_LIVEMODE is "
            f"{str(settings.livemode).lower()}: a book has to do with one mode alone."
        )
    if settings.stripe_api_base is not None and not _is_safe_base(settings.stripe_api_base):
        found.append(
            "STRIPE_API_BASE is neither https://HOST[:PORT] nor, on this machine alone, "
            "http://127.0.0.1:PORT."
        )
    return found


def _is_placeholder(rest: str) -> bool:
    return rest.lower() in _OBVIOUS or len(set(rest.lower())) < API_KEY_KINDS_MIN


def _is_safe_base(base: str) -> bool:
    """Return whether the key may be sent there: encrypted, or to this machine only."""
    try:
        parts = urlsplit(base)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    plain = f"{parts.scheme}://{f'[{host}]' if ':' in host else host}"
    whole = plain if port is None else f"{plain}:{port}"
    if not host or whole != base.lower():  # a user, a path, a query, a fragment
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)


def _weak(secret: str, chars_min: int) -> bool:
    return len(secret) < chars_min or secret.lower() in _OBVIOUS
