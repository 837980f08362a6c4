"""Debt that comes back: what was owed for a spend, and the lots that repaid it meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from app.errors import NotReversibleError
from app.infrastructure import sql
from app.infrastructure.db import Database, Record
from app.infrastructure.ids import AccountNumber, EntryNumber
from app.ledger.kinds import House, Kind, Side
from app.ledger.sheet import JournalDraft, Lot, Sheet

if TYPE_CHECKING:
    from app.reversals import row_types


_SQL: Final[row_types.OwedSql] = sql.beside(__file__)


async def repaid(
    database: Database,
    account_ids: Sequence[AccountNumber],
    debt: int,
    back: Sequence[tuple[Record, int]],
) -> list[tuple[Record, int]]:
    """Return (repayment, how much of it is undone), the latest first, for debt that comes back.

    ``back`` is how much of each entry comes back. The present ``debt`` is lowered before any
    repayment is undone. Raises NotReversibleError if the debt is neither owed nor was repaid here:
    it went to another account.
    """
    owed = sum(amount for entry, amount in back if entry["debit"] == Side.DEBT)
    wanted = owed - debt
    if wanted <= 0:
        return []
    parts = []
    for row in await database.fetch(_SQL["repayments"](account_ids=account_ids)):
        part = min(wanted, row["amount_left"])
        wanted -= part
        if part:
            parts.append((row, part))
    if wanted:
        raise NotReversibleError(
            f"{wanted} of the credits that were owed for it were repaid by another account."
        )
    return parts


def owe_again(
    sheet: Sheet, journal: JournalDraft, lot: Lot, repayment_id: EntryNumber, amount: int
) -> None:
    """Undo so much of a repayment: it is owed again, and free again in the lot that repaid it."""
    sheet.write(
        journal,
        lot,
        Kind.REPAYMENT,
        Side.DEBT,
        Side.FREE,
        amount,
        reverses_entry_id=repayment_id,
    )


def move(
    left: Sheet, present: Sheet, journal: JournalDraft, lots: tuple[Lot, Lot], amount: int
) -> None:
    """Let what is owed on the account that was left be owed on the one that it is joined to."""
    left.write(journal, lots[0], Kind.TRANSFER, House.TRANSFERRED, Side.DEBT, amount)
    present.write(journal, lots[1], Kind.TRANSFER, Side.DEBT, House.TRANSFERRED, amount)
