"""Where Piccolo finds our migrations."""

from __future__ import annotations

from pathlib import Path

from piccolo.conf.apps import AppConfig

APP_CONFIG = AppConfig(
    app_name="tallybook",
    migrations_folder_path=str(Path(__file__).parents[2] / "piccolo_migrations"),
)
