"""The secrets of one data folder, made once."""

import json
import secrets
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from app.embedded.folder import write_private
from app.embedded.start_error import StartError
from app.infrastructure.ids import random_token
from app.operators.keys import SECRET_CHARS
from app.seals.notes import new_private_key

SEAL_NAME = "tallybook.local"


def _token() -> str:
    return secrets.token_urlsafe(32)  # safe in URLs and in SQL literals alike


def _key_secret() -> str:
    return random_token(SECRET_CHARS)


@dataclass(frozen=True, kw_only=True)
class Secrets:
    stripe_webhook_secret: str = field(default_factory=lambda: f"whsec_{secrets.token_hex(32)}")
    cron_secret: str = field(default_factory=_token)
    key_pepper: str = field(default_factory=_token)
    seal_key: str = field(default_factory=lambda: new_private_key(SEAL_NAME))
    postgres_superuser_password: str = field(default_factory=_token)
    postgres_owner_password: str = field(default_factory=_token)
    postgres_application_password: str = field(default_factory=_token)
    redis_password: str = field(default_factory=_token)
    service_key: str = field(default_factory=_key_secret)
    auditor_key: str = field(default_factory=_key_secret)
    operator_key: str = field(default_factory=_key_secret)


def load_or_make(path: Path) -> Secrets:
    """Read them, adding those that a newer version knows; a file that is not ours is refused."""
    kept: dict[str, str] = {}
    if path.exists():
        try:
            content = dict(json.loads(path.read_text()))
            names = [each.name for each in fields(Secrets)]
            kept = {name: str(content[name]) for name in names if name in content}
        except (ValueError, TypeError) as error:
            raise StartError(
                f"{path} is not readable as JSON ({error}). Restore it, or move it away: new "
                "secrets are made then, and keys made with the old ones stop working."
            ) from error
    made = Secrets(**kept)
    if asdict(made) != kept:
        write_private(path, json.dumps(asdict(made), indent=2))
    return made
