"""Spends of accounts of which nothing is due, by one statement: the short way beside the sheets.

`spend_plainly` of the schema locks, draws in burn order and writes, all within PostgreSQL. What it
leaves goes by `app.spending.spend`, which knows what is due, aliases and customers' ids, refusals,
and answers to keys that were used. A property test holds the two ways to the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import orjson

from app.infrastructure.db import Database
from app.spending.orders import SpendOrder, Spent

_SPEND: Final = "SELECT * FROM spend_plainly($1::account_spends[], $2::text[], $3::bytea[])"
# A row of its answer: an entry.
_PLACE, _JOURNAL, _ENTRY, _FREE, _HELD = range(5)


async def spend_plain(database: Database, orders: Sequence[SpendOrder]) -> list[Spent | None]:
    """Carry out the orders that can be; None for each of which nothing was written.

    It waits for no account. Raises asyncpg.UniqueViolationError when a key was taken meanwhile
    through another account.
    """
    accounts: dict[str, tuple[str, int, list[tuple[object, ...]]]] = {}
    keys: dict[str, bytes] = {}
    # What comes after a key that is said twice depends on how the first of the two ends.
    left: set[str] = set()
    for place, order in enumerate(orders):
        key = order.key
        account = order.account_id
        if key.key in keys:
            left.add(account)
            continue
        keys[key.key] = key.named.hash
        total, spends = accounts[account][1:] if account in accounts else (0, [])
        total += order.amount
        metadata = order.metadata
        spends.append(
            (
                place, total, order.amount, key.key, key.request_hash, order.actor, order.label,
                order.member, order.reason,
                None if metadata is None else orjson.dumps(metadata).decode(),
            )
        )  # fmt: skip
        accounts[account] = account, total, spends
    results: list[Spent | None] = [None] * len(orders)
    wanted = [one for account, one in accounts.items() if account not in left]
    rows = await database.fetch(_SPEND, wanted, list(keys), list(keys.values()))
    for row in rows:
        place = row[_PLACE]
        before = results[place]
        order = orders[place]
        results[place] = Spent(
            journal_id=row[_JOURNAL],
            account_id=order.account_id,
            amount=order.amount,
            balance=row[_FREE] + row[_HELD],  # no debt stands beside what was free
            available=row[_FREE],
            entry_ids=(*before.entry_ids, row[_ENTRY]) if before else (row[_ENTRY],),
            replayed=False,
        )
    return results
