"""Lock accounts, load their sheets, and write what was drafted on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from app.infrastructure import sql
from app.infrastructure.db import Database, Record
from app.infrastructure.ids import AccountNumber, LotNumber
from app.infrastructure.sql import Statement
from app.ledger import idempotency
from app.ledger.idempotency import RequestKey, StoredAnswer
from app.ledger.kinds import LotSource
from app.ledger.sheet import Lot, Sheet
from app.ledger.statement import Drafts

if TYPE_CHECKING:
    from app.ledger import row_types
    from app.tables.row_types import AccountsRow


_SQL: Final[row_types.PostSql] = sql.beside(__file__)
_WRITE: Final[Statement[row_types.StatementWrite]] = sql.beside(
    Path(__file__).with_name("statement.sql")
)["write"]


class MoreWrites(Protocol):
    """Rows that another package writes of accounts in the ledger's statement.

    Its ``statement`` includes the ledger's parts. It also writes the sides of its ``sheets``,
    because one statement can change a row only once.
    """

    statement: Statement[row_types.StatementWrite]
    sheets: Sequence[Sheet]

    def parameters(self, drafts: Drafts) -> dict[str, object]:
        """Return the values of the statement's further parameters, by name."""
        ...


@dataclass(slots=True)
class Locked:
    """An account's row as its lock shows it, and its sheet."""

    row: Record
    sheet: Sheet


async def lock(database: Database, numbers: Iterable[AccountNumber]) -> dict[AccountNumber, Locked]:
    """Lock these accounts' rows in order, then read the clock and their live lots.

    A second statement reads the lots: its snapshot is taken after the locks, so it sees what the
    last holder of a lock committed.
    """
    rows = await database.fetch(_SQL["lock"](account_ids=list(set(numbers))))
    return await sheets_of(database, rows)


async def sheets_of(database: Database, rows: Sequence[AccountsRow]) -> dict[AccountNumber, Locked]:
    """The sheets of account rows, at one instant of the clock."""
    sheets, _ = await sheets_and_answers(database, rows, [])
    return sheets


async def sheets_and_answers(
    database: Database, rows: Sequence[AccountsRow], keys: Sequence[RequestKey]
) -> tuple[dict[AccountNumber, Locked], dict[str, StoredAnswer]]:
    """Return the same, and the stored answers under these keys, in one round trip."""
    numbers = [row["id"] for row in rows]
    statement = _SQL["look"](account_ids=numbers, **idempotency.asked(keys))
    found = await database.fetch(statement)
    by_account: dict[AccountNumber, list[Record]] = {row["id"]: [] for row in rows}
    for record in found:
        if record["id"] is not None:
            by_account[record["account_id"]].append(record)
    # The clock may have stepped back since an account was written, or since a list was declared
    # complete. What is recorded now is still later than both.
    now = max([found[0]["now"], *(row["written_at"] for row in rows)])
    locked = {row["id"]: with_lots(row, by_account[row["id"]], now) for row in rows}
    return locked, await idempotency.answers(database, found[0], keys)


def with_lots(row: Record, lots: Iterable[Record], now: datetime) -> Locked:
    """Return the account's row with its sheet, built from the rows of its live lots."""
    suspended = row["suspended_at"] is not None
    sheet = Sheet(row["id"], row["free"], row["held"], row["debt"], [], now, suspended)
    # The day's two lots stay live even if they are empty.
    of_day = (row["day_lot_id"], row["day_carried_lot_id"])
    for record in lots:
        lot = lot_of(record)
        lot.of_running_day = lot.number in of_day
        sheet.lots.append(lot)
    return Locked(row, sheet)


async def load_lots(database: Database, sheet: Sheet, numbers: Iterable[LotNumber | None]) -> None:
    """Put lots on the sheet that are no longer live, for what reaches back to them."""
    wanted = {number for number in numbers if number} - {lot.number for lot in sheet.lots}
    rows = await database.fetch("SELECT * FROM lots WHERE id = ANY($1::bigint[])", sorted(wanted))
    sheet.lots.extend(lot_of(row) for row in rows)


def lot_of(record: Record) -> Lot:
    """Return the lot of a row."""
    return Lot(
        account_id=record["account_id"],
        source=LotSource(record["source"]),
        priority=record["priority"],
        granted_at=record["granted_at"],
        expires_at=record["expires_at"],
        granted=record["granted"],
        lapsed=record["lapsed"],
        moved=record["moved"],
        refunded=record["refunded"],
        free=record["free"],
        held=record["held"],
        number=record["id"],
    )


async def write(
    database: Database, sheets: Iterable[Sheet], more: MoreWrites | None = None
) -> None:
    """Write everything drafted on these sheets, by one statement in the caller's transaction.

    ``more`` writes in the same statement; its sheets are among ``sheets``. Fills in the numbers of
    journals, lots and entries. Raises asyncpg.UniqueViolationError if an idempotency key was used
    meanwhile.
    """
    drafted = [
        sheet for sheet in sheets if sheet.journals or any(lot.changed for lot in sheet.lots)
    ]
    if not drafted and more is None:
        return
    theirs = {sheet.account_id for sheet in more.sheets} if more else set()
    drafts = Drafts(drafted, [sheet for sheet in drafted if sheet.account_id not in theirs])
    statement = more.statement if more else _WRITE
    parameters = drafts.parameters() | (more.parameters(drafts) if more else {})
    record = await database.fetchrow(statement(**parameters))
    assert record is not None
    drafts.number(record)
    for sheet in drafted:
        sheet.journals, sheet.drafted = [], []
