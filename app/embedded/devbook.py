"""What a start tells the programs beside it: the content of dev.json."""

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
