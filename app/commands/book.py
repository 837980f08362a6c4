"""Which book a command works on: a running `up`'s, or that of DATABASE_URL."""

from __future__ import annotations

import json
import os
from pathlib import Path

from app.errors import ConfigurationError
from app.settings import read_variable


def database_url(data_dir: Path | None = None) -> str:
    """A running `up`'s database, or that of DATABASE_URL."""
    if data_dir is not None:
        try:
            return str(json.loads((data_dir / "dev.json").read_text())["database_url"])
        except (OSError, ValueError, KeyError) as error:
            raise ConfigurationError(
                f"{data_dir}/dev.json cannot be read ({error}). Is `tallybook up` running there?"
            ) from error
    url = read_variable(os.environ, "DATABASE_URL")
    if url is None:
        raise ConfigurationError(
            "DATABASE_URL is missing: postgresql://USER:PASSWORD@HOST/DATABASE."
        )
    return url
