"""Piccolo's tables are the database's, column by column."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from piccolo.columns import BigSerial, Column, ForeignKey

from app.infrastructure.db import Database
from app.tables import TABLES
from app.tables.audit import Verifications
from app.tables.clock_and_catalogues import Catalogues
from tests.conftest import NOW, Server

ROOT = Path(__file__).parents[2]
PICCOLOS_OWN = "migration"  # in which it notes what it ran

COLUMNS = """
SELECT relname AS "table", attname AS "column",
       -- A domain's column is to Piccolo one of the type below it.
       upper(format_type(coalesce(nullif(typbasetype, 0), atttypid), atttypmod)) AS type,
       attnotnull AS required, attidentity <> '' AS drawn, pg_get_expr(adbin, adrelid) AS "default",
       EXISTS (SELECT FROM pg_constraint WHERE conrelid = attrelid AND contype = 'p'
                                           AND attnum = ANY (conkey)) AS primary_key,
       EXISTS (SELECT FROM pg_constraint WHERE conrelid = attrelid AND contype = 'u'
                                           AND conkey = ARRAY[attnum]) AS "unique",
       (SELECT confrelid::regclass::text || ' ' || confdeltype::text || ' ' || confupdtype::text
          FROM pg_constraint WHERE conrelid = attrelid AND contype = 'f'
                               AND conkey[1] = attnum) AS "references"
  FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid JOIN pg_type ON pg_type.oid = atttypid
  LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
 WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped
 ORDER BY relname, attnum
"""
TYPES = {"TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ"}


@pytest.fixture
async def owner(server: Server) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(server.owner_url)
    yield connection
    await connection.close()


def declared(column: Column) -> dict[str, Any]:
    refers = None
    if isinstance(column, ForeignKey):
        meta = column._foreign_key_meta
        actions = {"RESTRICT": "r", "NO ACTION": "a", "CASCADE": "c", "SET NULL": "n"}
        refers = " ".join(
            [
                meta.resolved_references._meta.tablename,
                actions[meta.on_delete.value],
                actions[meta.on_update.value],
            ]
        )
    drawn = isinstance(column, BigSerial)
    return {
        "type": "BIGINT" if drawn else column.column_type,
        "required": not column._meta.null,
        "drawn": drawn,
        "primary_key": column._meta.primary_key,
        "unique": column._meta.unique,
        "references": refers,
    }


async def test_tables_and_database_agree_column_by_column(owner: asyncpg.Connection) -> None:
    rows = [row for row in await owner.fetch(COLUMNS) if row["table"] != PICCOLOS_OWN]
    stands = {
        f"{row['table']}.{row['column']}": {
            "type": TYPES.get(row["type"], row["type"]),
            **{name: row[name] for name in ("required", "drawn", "primary_key", "unique")},
            "references": row["references"],
        }
        for row in rows
    }
    columns = {
        f"{table._meta.tablename}.{column._meta.db_column_name}": column
        for table in TABLES
        for column in table._meta.columns
    }
    assert {name: declared(column) for name, column in columns.items()} == stands
    for row in rows:
        column = columns[f"{row['table']}.{row['column']}"]
        if isinstance(column, BigSerial):
            continue
        literal = column.get_sql_value(column.get_default_value())
        stands_so = row["default"] or "NULL"
        same = f"SELECT ({stands_so}) IS NOT DISTINCT FROM {literal}::{column.column_type}"
        assert await owner.fetchval(same), f"{row['table']}.{row['column']}: {stands_so}"


async def migrations_new(folder: Path, server: Server) -> tuple[str, str]:
    """`piccolo migrations new tallybook --auto` in a copy of the tree; what it said and wrote."""
    migrations = folder / "piccolo_migrations"
    before = set(migrations.glob("*.py"))
    done = await asyncio.to_thread(
        subprocess.run,
        [
            Path(sys.executable).with_name("piccolo"),
            *("migrations", "new", "tallybook", "--auto", "--auto_input=y"),
        ],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(folder),
            "PICCOLO_CONF": "app.infrastructure.piccolo_conf",
            "DATABASE_URL": server.owner_url,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, "".join(path.read_text() for path in set(migrations.glob("*.py")) - before)


async def test_an_automatic_migration_finds_nothing_to_do_but_what_was_added_since(
    folder: Path, server: Server
) -> None:
    for package in ("app", "statemachine", "piccolo_migrations"):
        await asyncio.to_thread(shutil.copytree, ROOT / package, folder / package)
    said, written = await migrations_new(folder, server)
    assert "No changes detected" in said
    assert written == ""

    # As a later version would: its first migration has a copy of the tables as they were.
    first = next((folder / "piccolo_migrations").glob("tallybook_*.py"))
    shutil.copytree(folder / "app" / "tables", folder / "app" / "first_tables")
    for path in (first, *(folder / "app" / "first_tables").glob("*.py")):
        path.write_text(path.read_text().replace("app.tables", "app.first_tables"))
    catalogues = folder / "app" / "tables" / "clock_and_catalogues.py"
    catalogues.write_text(
        catalogues.read_text().replace(
            "    applied_by = Text(null=False, default=None)\n",
            "    applied_by = Text(null=False, default=None)\n"
            "    note = Text(null=True, default=None)\n",
        )
    )
    said, written = await migrations_new(folder, server)
    assert written.count("manager.add_column(") == 1, said
    assert 'column_name="note"' in written
    assert "manager.add_table(" not in written


async def test_a_query_of_a_table_runs_in_the_tasks_transaction(database: Database) -> None:
    newest = Catalogues.select(Catalogues.id, Catalogues.applied_by).first()
    assert await database.run(newest) == {"id": 1, "applied_by": "tests"}
    ids = Catalogues.select(Catalogues.id).output(as_list=True)
    assert await database.run(ids) == [1]
    verdict = Verifications(finished_at=NOW, check_count=1, row_count=1, difference_count=0)
    with suppress(ZeroDivisionError):
        async with database.transaction():
            await database.run(Verifications.insert(verdict))
            assert await database.run(Verifications.count()) == 1
            raise ZeroDivisionError
    assert await database.run(Verifications.count()) == 0


async def test_a_query_that_is_awaited_by_itself_fails_and_says_how_to_run_it() -> None:
    with pytest.raises(RuntimeError, match=r"runs by `await database.run\(query\)`"):
        await Catalogues.count()
