"""Compare the schema, object by object, with the shipped one.

structure.txt is what a fresh database says of itself. After a change of piccolo_migrations/schema
a test writes it: ``WRITE_STRUCTURE=1 pytest tests/verify/test_structure.py -k shipped``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from piccolo.columns import BigSerial

from app.infrastructure import sql
from app.tables import TABLES

SHIPPED: Final = Path(__file__).with_name("structure.txt")
STANDS: Final = sql.beside(__file__)["structure"].text.rstrip(";")
SHOWN_CHARS_MAX: Final = 300

_DIFFERENCES: Final = f"""
WITH stands AS MATERIALIZED ({STANDS}), shipped AS (
    SELECT split_part(line, ': ', 1) AS what, substr(line, strpos(line, ': ') + 2) AS definition
      FROM string_to_table($shipped${SHIPPED.read_text("utf-8").strip()}$shipped$, chr(10)) AS line
)
SELECT left(CASE
           WHEN stands.what IS NULL THEN format('%s is missing', what)
           WHEN shipped.what IS NULL THEN format('%s does not belong there: %s', what,
                                                 stands.definition)
           ELSE format('%s is not as shipped: %s', what, stands.definition) END, {SHOWN_CHARS_MAX})
  FROM stands FULL JOIN shipped USING (what)
 WHERE stands.definition IS DISTINCT FROM shipped.definition
 ORDER BY what ~ '^(column|constraint|index|right)', what -- a table before what is part of it
"""

# Each sequence: the last number that it gave, and the highest number in its table.
_NUMBERS: Final = " UNION ALL ".join(
    f"SELECT '{table}.{column}', (SELECT last_value FROM {table}_{column}_seq),"
    f" (SELECT max({column}) FROM {table})"
    for table, column in (
        (table._meta.tablename, column._meta.db_column_name)
        for table in TABLES
        for column in table._meta.columns
        if isinstance(column, BigSerial)
    )
)

# name → (the query that counts rows, the query that finds faults); each finding is one text.
STRUCTURE: Final[Mapping[str, tuple[str, str]]] = {
    "every object of the schema is defined as it was shipped": (
        f"SELECT count(*) FROM ({STANDS}) AS stands",
        _DIFFERENCES,
    ),
    "every sequence is above the numbers in its table": (
        f"SELECT count(*) FROM ({_NUMBERS}) AS numbered",
        f"""SELECT format('%s: the next number is drawn after %s, and %s stands', name, drawn,
                          highest)
              FROM ({_NUMBERS}) AS numbered (name, drawn, highest) WHERE highest > drawn""",
    ),
}
