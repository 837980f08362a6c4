"""The content of dev.json, by which a start tells other programs where it is."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DevKeys:
    service: str
    auditor: str
    operator: str


@dataclass(frozen=True, kw_only=True)
class DevBook:
    base_url: str
    database_url: str
    database_owner_url: str | None = None  # for the commands that only the schema's owner may give
    redis_url: str | None  # None: there is no Redis, nudges fall back to polling
    stripe_webhook_secret: str
    cron_secret: str
    keys: DevKeys
