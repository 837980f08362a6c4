"""Piccolo's own configuration, for its migrations and its command line.

Piccolo finds it by PICCOLO_CONF and builds the engine at import. So this is the one module that
reads the environment at import.
"""

from __future__ import annotations

import os

from piccolo.conf.apps import AppRegistry

from app.infrastructure.db import LOCK_TIMEOUT_MS
from app.infrastructure.engine import Engine
from app.infrastructure.pins import pins_of
from app.infrastructure.variables import read_variable

_URL = read_variable(os.environ, "DATABASE_OWNER_URL") or read_variable(os.environ, "DATABASE_URL")

# A migration that waits for a table's lock makes all others wait behind it, so it gives up soon.
_SESSION = {
    **pins_of(_URL or ""),
    "lock_timeout": str(LOCK_TIMEOUT_MS),
    "application_name": "tallybook migrate",
}
DB = Engine(config={"dsn": _URL, "server_settings": _SESSION}, extensions=())
APP_REGISTRY = AppRegistry(apps=["app.tables.piccolo_app"])
