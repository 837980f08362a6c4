"""A foreign key as the schema has them."""

from __future__ import annotations

from typing import Any

from piccolo.columns import ForeignKey, OnDelete, OnUpdate
from piccolo.columns.reference import LazyTableReference
from piccolo.table import Table


def references(
    table: type[Table] | LazyTableReference | str,
    *,
    null: bool = False,
    primary_key: bool = False,
    unique: bool = False,
) -> ForeignKey[Any]:
    """Refer to the table's row, which then cannot be removed.

    Piccolo's own foreign key may be null, and removes the rows that refer to a removed one.
    """
    return ForeignKey(
        table,
        null=null,
        default=None,
        primary_key=primary_key,
        unique=unique,
        on_delete=OnDelete.restrict,
        on_update=OnUpdate.no_action,
    )
