"""The lots that continue in another account since their account was joined to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from app.infrastructure.db import Database
from app.infrastructure.ids import LotNumber
from app.ledger import post
from app.ledger.sheet import Lot


class Trail(msgspec.Struct, frozen=True):
    """A lot and its successors, in order; ``astray`` credits went to a lot that is not recorded.

    The held part of a day's own lot goes into the day of the account it was joined to. Any other
    astray credits moved before moves were recorded.
    """

    lots: list[Lot]
    astray: int

    @property
    def lapsed(self) -> int:
        """Return how much of the lot expired, in any account."""
        return sum(lot.lapsed for lot in self.lots)


async def store(database: Database, moved: Iterable[tuple[Lot, Lot]], at: datetime) -> None:
    """Record the successors of lots; the new lots are written already."""
    pairs = [(old.number, new.number) for old, new in moved]
    if pairs:
        await database.execute(
            """INSERT INTO moved_lots (lot_id, to_lot_id, moved_at)
               SELECT *, $3 FROM unnest($1::bigint[], $2::bigint[])""",
            [old for old, _ in pairs],
            [new for _, new in pairs],
            at,
        )


async def trails(database: Database, numbers: Sequence[LotNumber]) -> dict[LotNumber, Trail]:
    """The trail of each of these lots, by the number that it begins with."""
    rows = await database.fetch(
        """WITH RECURSIVE trail AS (
               SELECT lot_id AS first_id, lot_id, 0 AS step
                 FROM unnest($1::bigint[]) AS first (lot_id)
               UNION ALL
               SELECT first_id, to_lot_id, step + 1 FROM trail JOIN moved_lots USING (lot_id))
           SELECT trail.first_id, lots.*, (
                      SELECT coalesce(sum(amount * ((credit = 'transferred')::int
                                                    - (debit = 'transferred')::int)), 0)::bigint
                        FROM entries JOIN journals ON journals.id = journal_id
                       WHERE entries.lot_id = lots.id AND entries.kind = 'transfer'
                         AND journals.kind = 'transfer' AND 'debt' NOT IN (debit, credit)) AS left_
             FROM trail JOIN lots ON lots.id = trail.lot_id ORDER BY first_id, step""",
        list(numbers),
    )
    found: dict[LotNumber, Trail] = {}
    for number in numbers:
        own = [row for row in rows if row["first_id"] == number]
        found[number] = Trail(
            [post.lot_of(row) for row in own], max(0, sum(row["left_"] for row in own))
        )
    return found
