"""Session settings that change the meaning of a statement, with the one right value of each.

Each connection asks for them as it starts, and `tallybook migrate` sets them for the logins in the
database. A role's setting in a database outranks those of the role, the database and the server,
and holds if a pooler drops what a client asks for.

These are not pinned, since no statement's meaning depends on them: what only steers the planner
(`enable_*`, `jit`); waiting times; `xmloption` and `array_nulls` (there is no XML and no array
literal with a null); `lc_*` (nothing is formatted or sorted by them); `check_function_bodies`
(read when a function is made); `default_transaction_deferrable` (read by serializable transactions
alone).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from app.infrastructure.books import MAIN_BOOK, book_of_url

PINS: Final[Mapping[str, str]] = {
    # One statement takes a lock, and the next reads what it guards in a newer snapshot. Under
    # repeatable read a refund beside its purchase took nothing back: 12 of 12 tries.
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    # Our names are those of the book's schema; a temporary table of the same name hides none of
    # them.
    "search_path": f"{MAIN_BOOK}, pg_temp",
    # It decides how `date` and `timestamptz` are converted.
    "TimeZone": "UTC",
    # Dates, intervals and bytes as text: a run's answer and the preview of a catalogue contain
    # them.
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    # Backslashes in the patterns of our SQL are backslashes, and `= NULL` is never true.
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",
    # The structure is compared as PostgreSQL prints it.
    "quote_all_identifiers": "off",
    # Row security that hides rows is an error: no balance is a sum of only some of its entries.
    "row_security": "off",
}


def pins_of(url: str) -> dict[str, str]:
    """Return the settings of sessions at this address, in the schema of the book that it names."""
    return {**PINS, "search_path": f"{book_of_url(url)}, pg_temp"}
