"""Piccolo's own configuration, for its migrations and its command line.

Piccolo finds it by PICCOLO_CONF and builds the engine at import: hence the environment read here,
the one place that may.
"""

from __future__ import annotations

import os

from piccolo.conf.apps import AppRegistry

from app.db import Engine
from app.settings import read_variable

_URL = read_variable(os.environ, "DATABASE_OWNER_URL") or read_variable(os.environ, "DATABASE_URL")

DB = Engine(config={"dsn": _URL}, extensions=())
APP_REGISTRY = AppRegistry(apps=["app.piccolo_app"])
