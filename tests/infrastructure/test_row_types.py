"""mypy knows the columns of each statement's rows, as PostgreSQL gives them."""

from __future__ import annotations

import os
from pathlib import Path

from app.infrastructure import sql
from app.infrastructure.db import Database
from app.tables import TABLES
from ops import row_types
from tests.infrastructure.test_sql import APP, FILES

# In the environment: the files are written anew from the database; then look at the difference.
WRITE = "WRITE_ROWS"
PACKAGES = sorted({path.parent for path in FILES})


async def columns(database: Database, path: Path) -> dict[str, list[tuple[str, str]]]:
    """Return what each statement of a file gives: (name, PostgreSQL's type) of its columns."""
    found: dict[str, list[tuple[str, str]]] = {}
    for statement in sql.read(path).values():
        async with database.transaction() as transaction:
            prepared = await transaction.connection.prepare(statement.text)
            given = prepared.get_attributes()
        found[statement.name] = [(one.name, one.type.name) for one in given]
    return found


async def of_tables(database: Database) -> dict[str, list[tuple[str, str]]]:
    """Return the same of each table."""
    found: dict[str, list[tuple[str, str]]] = {}
    for table in TABLES:
        name = table._meta.tablename
        async with database.transaction() as transaction:
            prepared = await transaction.connection.prepare(f"SELECT * FROM {name}")
            given = prepared.get_attributes()
        found[name] = [(one.name, one.type.name) for one in given]
    return found


async def test_the_types_of_rows_are_what_postgresql_gives(database: Database) -> None:
    tables = await of_tables(database)
    wanted: dict[Path, str] = {}
    for package in PACKAGES:
        files = {
            path.stem: await columns(database, path) for path in FILES if path.parent == package
        }
        wanted[package] = row_types.stub(files, tables)
    wanted[APP / "tables"] = row_types.of_tables(tables, wanted.values())
    for package, text in wanted.items():
        if os.environ.get(WRITE):
            (package / "row_types.pyi").write_text(text, "utf-8")
        assert (package / "row_types.pyi").read_text("utf-8") == text, f"Set {WRITE}=1 to write it."
    stubs = {path.parent for path in APP.rglob("row_types.pyi")}
    assert stubs == set(wanted), "a package without statements has types of rows"
