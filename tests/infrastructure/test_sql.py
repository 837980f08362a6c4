"""SQL files: named statements, named parameters, each understood by PostgreSQL."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.infrastructure import sql
from app.infrastructure.db import Database

APP = Path(__file__).parents[2] / "app"
FILES = sorted(APP.rglob("*.sql"))


def _write(folder: Path, text: str) -> Path:
    path = folder / "statements.sql"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_parameter_that_is_named_twice_has_one_number(tmp_path: Path) -> None:
    text = "-- name: both\n-- Compare.\nSELECT :a::int, :b::text, :a + 1\n"
    both = sql.read(_write(tmp_path, text))["both"]
    assert both.text == "-- Compare.\nSELECT $1::int, $2::text, $1 + 1"
    assert both(b="x", a=1) == (both.text, 1, "x")


def test_a_colon_in_a_string_a_comment_or_a_cast_is_no_parameter(tmp_path: Path) -> None:
    text = "-- name: plain\n-- At :noon.\nSELECT 'it''s :noon'::text, now()::timestamptz\n"
    assert sql.read(_write(tmp_path, text))["plain"].parameters == ()


def test_a_missing_and_a_needless_value_are_refused(tmp_path: Path) -> None:
    statement = sql.read(_write(tmp_path, "-- name: one\nSELECT :a\n"))["one"]
    with pytest.raises(TypeError, match="one takes a; given: nothing"):
        statement()
    with pytest.raises(TypeError, match="given: a, b"):
        statement(a=1, b=2)


def test_a_filter_that_is_not_given_is_left_out(tmp_path: Path) -> None:
    text = """-- name: page
-- Filtered.
SELECT :a::int
 WHERE true
   AND kind = :kind        -- given: kind
   AND open                -- absent: kind
   AND id IN (SELECT :b    -- given: b
                   + :a)   -- given: b
   AND closed              -- given: closed
 LIMIT :limit
"""
    page = sql.read(_write(tmp_path, text))["page"]
    told, *values = page(a=1, kind=None, b=None, closed=None, limit=9)
    kept = "-- Filtered.\nSELECT $1::int\n WHERE true\n   AND open -- absent: kind\n LIMIT $2"
    assert re.sub(r" +--", " --", told) == kept
    assert values == [1, 9]
    told, *values = page(a=1, kind=0, b=2, closed=True, limit=9)
    assert told.count("AND") == 3
    assert "LIMIT $4" in told
    assert values == [1, 0, 2, 9]
    with pytest.raises(TypeError, match="page takes a, b, closed, kind, limit; given: a"):
        page(a=1)


@pytest.mark.parametrize(
    "text", ["-- name: one\nSELECT 1\n-- name: one\nSELECT 2\n", "SELECT 1\n-- name: one\nSELECT 2"]
)
def test_a_file_that_would_lose_a_statement_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r"twice|before"):
        sql.read(_write(tmp_path, text))


async def test_postgresql_understands_every_statement(database: Database) -> None:
    for path in FILES:
        for statement in sql.read(path).values():
            first = statement.text.splitlines()[0]
            assert first.startswith("-- "), f"{path.name}: {statement.name} has no sentence"
            async with database.transaction() as transaction:
                await transaction.connection.prepare(statement.text)
