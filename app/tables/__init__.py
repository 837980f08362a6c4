"""Every table as Piccolo declares it, module by module as in piccolo_migrations/schema.

The SQL there makes the tables and has what Piccolo cannot say: composite keys, identities (here
BigSerial), checks, partial indexes, triggers, grants. A column that is not null and has no default
in the database says ``null=False, default=None``: Piccolo's own defaults are '' and 0.

A query of these tables runs by `Database.run`, in the task's transaction if there is one:
``await database.run(ApiKeys.select().where(ApiKeys.id == key_id).first())``.
"""

from __future__ import annotations

from typing import Final

from piccolo.table import Table

from app.infrastructure.db import TableEngine
from app.tables import (
    accounts,
    audit,
    clock_and_catalogues,
    daily_grants,
    inbox,
    keys_and_operators,
    ledger,
    purchases,
    reconciliations,
    reversals,
    runs,
    seals,
    subscriptions,
    webhooks_out,
)

_MODULES: Final = (
    *(clock_and_catalogues, inbox, accounts, subscriptions, runs, ledger, daily_grants),
    *(purchases, reversals, reconciliations, keys_and_operators, audit),
    *(webhooks_out, seals),
)
TABLES: Final[list[type[Table]]] = [
    found
    for module in _MODULES
    for found in vars(module).values()
    if isinstance(found, type) and issubclass(found, Table) and found.__module__ == module.__name__
]

_ENGINE: Final = TableEngine()
for _table in TABLES:
    _table._meta.db = _ENGINE
