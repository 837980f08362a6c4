"""Piccolo's app: its tables, and where its migrations are."""

from __future__ import annotations

from pathlib import Path

from piccolo.conf.apps import AppConfig

from app.tables import TABLES

APP_CONFIG = AppConfig(
    app_name="tallybook",
    migrations_folder_path=str(Path(__file__).parents[2] / "piccolo_migrations"),
    table_classes=TABLES,
)
