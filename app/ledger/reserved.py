"""Load and store what is open on lots: holds, waiting clawbacks, the money behind purchases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from app.infrastructure import sql
from app.infrastructure.db import Database, Record
from app.infrastructure.ids import AccountNumber, BackingNumber, HoldNumber, LotNumber
from app.ledger import backings
from app.ledger.backings import Backing
from app.ledger.clawbacks import Clawback, Policy
from app.ledger.holds import Hold
from app.ledger.kinds import House
from app.ledger.sheet import Lot, Sheet

if TYPE_CHECKING:
    from app.ledger import row_types


_SQL: Final[row_types.ReservedSql] = sql.beside(__file__)


async def open_holds(
    database: Database, sheets: Mapping[AccountNumber, Sheet]
) -> dict[AccountNumber, list[Hold]]:
    """The open holds of these accounts, each with its parts on the sheet's lots."""
    rows = await database.fetch(
        # A sum, because joining accounts moves held credits from lot to lot.
        """SELECT holds.id, holds.account_id, holds.amount, holds.expires_at, holds.captured,
                  entries.lot_id,
                  sum(CASE WHEN entries.credit = 'held' THEN entries.amount
                           ELSE -entries.amount END)::bigint AS part
             FROM holds JOIN entries ON entries.hold_id = holds.id
            WHERE holds.account_id = ANY($1::bigint[]) AND holds.state = 'held'
            GROUP BY holds.id, entries.lot_id
           HAVING sum(CASE WHEN entries.credit = 'held' THEN entries.amount
                           ELSE -entries.amount END) > 0
            ORDER BY holds.id, min(entries.id)""",
        list(sheets),
    )
    holds: dict[HoldNumber, Hold] = {}
    for row in rows:
        hold = holds.setdefault(
            row["id"],
            Hold(
                row["id"],
                row["account_id"],
                row["amount"],
                row["expires_at"],
                captured=row["captured"],
            ),
        )
        lot = sheets[row["account_id"]].lot(row["lot_id"])
        assert lot is not None, "a lot that holds something is live"
        hold.parts.append((lot, row["part"]))
    found: dict[AccountNumber, list[Hold]] = {number: [] for number in sheets}
    for hold in holds.values():
        found[hold.account_id].append(hold)
    return found


async def next_hold_number(database: Database) -> HoldNumber:
    """A number for a new hold: its entries name it."""
    number: HoldNumber = await database.fetchval("SELECT nextval('holds_id_seq')")
    return number


async def store_holds(database: Database, holds: Sequence[Hold]) -> None:
    """Insert the new holds and update the changed ones."""
    for hold in holds:
        if hold.new:
            await database.execute(
                """INSERT INTO holds (id, account_id, amount, state, expires_at, created_at)
                   OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3, $4, $5, tallybook_now())""",
                hold.number,
                hold.account_id,
                hold.amount,
                str(hold.state),
                hold.expires_at,
            )
        elif hold.changed:
            await database.execute(
                """UPDATE holds SET state = $2, captured = $3, account_id = $4, expires_at = $5
                    WHERE id = $1""",
                hold.number,
                str(hold.state),
                hold.captured,
                hold.account_id,
                hold.expires_at,
            )
        hold.new = hold.changed = False


async def find_hold(database: Database, number: HoldNumber) -> row_types.ReservedFindHold | None:
    """A hold's row, its account's id, and the state that it has now, posted or not."""
    return await database.fetchrow(_SQL["find_hold"](number=number))


async def holds_of(
    database: Database, account_id: AccountNumber, state: str | None, before: int, limit: int
) -> list[row_types.ReservedHoldsOf]:
    """Return an account's holds like `find_hold`, the newest first, at most ``limit``."""
    return await database.fetch(
        _SQL["holds_of"](account_id=account_id, state=state, before=before, limit=limit)
    )


async def clawbacks_of_lots(
    database: Database, sheets: Mapping[AccountNumber, Sheet]
) -> dict[AccountNumber, list[Clawback]]:
    """Every clawback of the sheets' lots."""
    numbers = [lot.number for sheet in sheets.values() for lot in sheet.lots]
    rows = await database.fetch(
        "SELECT * FROM reversals WHERE lot_id = ANY($1::bigint[]) ORDER BY id", numbers
    )
    return _clawbacks(rows, sheets)


def _clawbacks(
    rows: Sequence[Record], sheets: Mapping[AccountNumber, Sheet]
) -> dict[AccountNumber, list[Clawback]]:
    found: dict[AccountNumber, list[Clawback]] = {number: [] for number in sheets}
    for row in rows:
        lot = sheets[row["account_id"]].lot(row["lot_id"])
        if lot is not None:
            found[row["account_id"]].append(_clawback(row, lot))
    return found


async def clawbacks_of_former_lots(
    database: Database, now: Mapping[LotNumber, Lot]
) -> list[Clawback]:
    """Every clawback of lots that went on as others, from here on a clawback of those."""
    if not now:
        return []
    rows = await database.fetch(
        "SELECT * FROM reversals WHERE lot_id = ANY($1::bigint[]) ORDER BY id", list(now)
    )
    found = [_clawback(row, now[row["lot_id"]]) for row in rows]
    for clawback in found:
        clawback.changed = True
    return found


def _clawback(row: Record, lot: Lot) -> Clawback:
    return Clawback(
        lot=lot,
        entry_id=row["entry_id"],
        house=House(row["house"]),
        policy=Policy(row["policy"]),
        requested=row["requested"],
        clawed=row["clawed"],
        held=row["held"],
        shortfall=row["shortfall"],
        expired=row["expired"],
        pending=row["pending"],
        shortfall_reversed=row["shortfall_reversed"],
        waived=row["waived"],
        number=row["id"],
    )


async def store_clawbacks(database: Database, clawbacks: Sequence[Clawback]) -> None:
    """Update the progress of stored clawbacks; the reversal inserts new ones."""
    stored = [
        clawback for clawback in clawbacks if clawback.changed and clawback.number is not None
    ]
    if not stored:
        return
    rows = [
        (
            clawback.number,
            clawback.clawed,
            clawback.held,
            clawback.shortfall,
            clawback.pending,
            clawback.shortfall_reversed,
            clawback.waived,
            clawback.lot.number,
            clawback.lot.account_id,
        )
        for clawback in stored
    ]
    await database.execute(
        """UPDATE reversals SET clawed = change.clawed, held = change.held,
                  shortfall = change.shortfall, pending = change.pending,
                  shortfall_reversed = change.shortfall_reversed, waived = change.waived,
                  lot_id = change.lot_id, account_id = change.account_id
             FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[],
                         $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[])
               AS change (id, clawed, held, shortfall, pending,
                         shortfall_reversed, waived, lot_id, account_id)
            WHERE reversals.id = change.id""",
        *([row[column] for row in rows] for column in range(9)),
    )
    await database.execute(
        # A reversal of a return tells of all its lots.
        """UPDATE reversals SET (clawed, held, shortfall) = (
               SELECT sum(part.clawed), sum(part.held), sum(part.shortfall)
                 FROM reversals AS part WHERE part.part_of = reversals.id)
            WHERE of_journal_id IS NOT NULL AND id IN (
                  SELECT part_of FROM reversals AS part WHERE part.id = ANY($1::bigint[]))""",
        [clawback.number for clawback in stored],
    )
    for clawback in stored:
        clawback.changed = False


async def open_backings(
    database: Database, sheets: Mapping[AccountNumber, Sheet]
) -> dict[AccountNumber, list[Backing]]:
    """The backings of these accounts that wait for a release, or have something frozen."""
    rows = await database.fetch(
        """SELECT * FROM backings WHERE (pending > 0 OR to_freeze > 0)
              AND account_id = ANY($1::bigint[]) ORDER BY id""",
        list(sheets),
    )
    found: dict[AccountNumber, list[Backing]] = {number: [] for number in sheets}
    for row in rows:
        found[row["account_id"]] += _backings([row], sheets[row["account_id"]])
    return found


async def backings_of_lots(database: Database, sheet: Sheet) -> list[Backing]:
    """Load every backing of the sheet's lots."""
    numbers = [lot.number for lot in sheet.lots]
    rows = await database.fetch(
        "SELECT * FROM backings WHERE lot_id = ANY($1::bigint[]) ORDER BY id", numbers
    )
    return _backings(rows, sheet)


async def backings_of_account(database: Database, sheet: Sheet) -> list[Backing]:
    """Load every backing of the account whose lots are on the sheet, even of empty lots."""
    rows = await database.fetch(
        "SELECT * FROM backings WHERE account_id = $1 ORDER BY id", sheet.account_id
    )
    return _backings(rows, sheet)


def _backings(rows: Sequence[Record], sheet: Sheet) -> list[Backing]:
    return [_backing(row, lot) for row in rows if (lot := sheet.lot(row["lot_id"])) is not None]


def _backing(row: Record, lot: Lot) -> Backing:
    clawback = backings.new_clawback(lot, gift=row["gift"])
    clawback.requested, clawback.clawed, clawback.shortfall = (
        row["taken"],
        row["clawed"],
        row["shortfall"],
    )
    clawback.held = clawback.pending = row["pending"]
    clawback.expired, clawback.shortfall_reversed = row["forgone"], row["shortfall_reversed"]
    return Backing(
        lot=lot,
        credits=row["credits"],
        clawback=clawback,
        to_freeze=row["to_freeze"],
        frozen=row["frozen"],
        closed=row["closed"],
        gift=row["gift"],
        payer_debt=row["payer_debt"],
        number=row["id"],
    )


async def insert_backing(
    database: Database, lot: Lot, credits: int, *, gift: bool
) -> BackingNumber:
    """Put money behind a lot that was written; the backing's number."""
    number: BackingNumber = await database.fetchval(
        """INSERT INTO backings (account_id, lot_id, credits, gift) VALUES ($1, $2, $3, $4)
           RETURNING id""",
        lot.account_id,
        lot.number,
        credits,
        gift,
    )
    return number


async def store_backings(database: Database, changed: Sequence[Backing]) -> None:
    """Update the backings' progress and their present lots."""
    for backing in changed:
        clawback = backing.clawback
        if clawback.changed and backing.number is not None:
            await database.execute(
                """UPDATE backings SET account_id = $2, lot_id = $3, taken = $4, clawed = $5,
                          pending = $6, forgone = $7, shortfall = $8,
                          shortfall_reversed = $9, to_freeze = $10, frozen = $11,
                          closed = $12, payer_debt = $13 WHERE id = $1""",
                backing.number,
                backing.lot.account_id,
                backing.lot.number,
                clawback.requested,
                clawback.clawed,
                clawback.pending,
                clawback.expired,
                clawback.shortfall,
                clawback.shortfall_reversed,
                backing.to_freeze,
                backing.frozen,
                backing.closed,
                backing.payer_debt,
            )
            clawback.changed = False
