"""Entries for auditors: by every filter, page by page; no entry is skipped or repeated."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from app.audit import cursor as cursors
from app.audit.horizon import Horizon, Horizons
from app.infrastructure import sql
from app.infrastructure.db import Database, Record
from app.infrastructure.ids import AccountNumber, HoldNumber, JournalNumber, LotNumber, RunNumber
from app.ledger.idempotency import Key
from app.ledger.kinds import LotSource

if TYPE_CHECKING:
    from app.audit import row_types


PAGE_SIZE_MAX: Final = 1_000

SELECT: Final = "SELECT * FROM audited_entries AS entries"
_SQL: Final[row_types.EntriesSql] = sql.beside(__file__)


class OfAccount(msgspec.Struct, frozen=True):
    """A public id and its accounts: the account itself and those that were joined to it."""

    public_id: str
    numbers: tuple[AccountNumber, ...]

    @property
    def asked(self) -> OfAccount:
        """Return what a cursor belongs to: a join in between changes the accounts of the id."""
        return OfAccount(self.public_id, ())


class EntryQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The filters of a list; None filters nothing. Ranges are half-open."""

    of_account: OfAccount | None = None
    kind: str | None = None
    journal_id: JournalNumber | None = None
    run_id: RunNumber | None = None
    event_id: str | None = None
    lot_id: LotNumber | None = None
    hold_id: HoldNumber | None = None
    label: str | None = None
    lot_source: LotSource | None = None
    idempotency_key: Key | None = None
    member: str | None = None
    effective_from: datetime | None = None
    effective_to: datetime | None = None
    recorded_from: datetime | None = None
    recorded_to: datetime | None = None
    order: Literal["asc", "desc"] = "asc"

    @property
    def asked(self) -> EntryQuery:
        """Return the filters that a cursor belongs to."""
        return msgspec.structs.replace(self, of_account=self.of_account and self.of_account.asked)


class EntryPage(msgspec.Struct, frozen=True):
    """A page of entries, the cursor to the next, and the instant up to which the list is
    complete.
    """

    rows: Sequence[Record]
    next_cursor: str | None
    horizon: Horizon


_CONDITIONS: Final = {
    "of_account": "entries.owner_id = ANY({}::bigint[])",
    "kind": "entries.kind = {}",
    "journal_id": "entries.journal_id = {}",
    "run_id": "entries.journal_id IN (SELECT id FROM journals WHERE run_id = {})",
    "event_id": "entries.journal_id IN (SELECT id FROM journals WHERE event_id = {})",
    "lot_id": "entries.lot_id = {}",
    "hold_id": "entries.hold_id = {}",
    "lot_source": "entries.lot_source = {}",
    # Keys of both namespaces, an application's and an operator's, each by its index; also erased
    # ones.
    "idempotency_key": (
        "entries.journal_id IN ("
        "SELECT id FROM journals WHERE idempotency_key = {0}"
        " AND kind NOT IN ('grant', 'adjustment', 'reversal', 'transfer') UNION ALL "
        "SELECT id FROM journals WHERE idempotency_key = {0}"
        " AND kind IN ('grant', 'adjustment', 'reversal', 'transfer') UNION ALL "
        "SELECT journal_id FROM erased_keys WHERE key_hash = {1} AND journal_id IS NOT NULL)"
    ),
    "label": "entries.journal_id IN (SELECT id FROM journals WHERE label = {})",
    "member": "entries.journal_id IN (SELECT id FROM journals WHERE member = {})",
    "effective_from": "entries.effective_at >= {}",
    "effective_to": "entries.effective_at < {}",
    "recorded_from": "entries.recorded_at >= {}",
    "recorded_to": "entries.recorded_at < {}",
}

# The columns of an order, and their values in the page's last entry. Within an account recorded_at
# has the same order as the ids, and an index.
_BY_ID: Final = {"entries.id": "{0}"}
_WITHIN_ACCOUNT: Final = {
    "entries.recorded_at": "(SELECT recorded_at FROM entries WHERE id = {0})",
    "entries.id": "{0}",
}


async def page(
    database: Database,
    horizons: Horizons,
    query: EntryQuery,
    cursor: str | None,
    limit: int,
    looked_max: int | None = None,
) -> EntryPage:
    """Return one page by id, within the horizon; raise InvalidCursorError.

    With ``looked_max`` a page by kind or source alone ends after that many entries, even if few
    match; its cursor continues after them.
    """
    after = cursors.decode_number(cursor, query.asked) if cursor is not None else None
    horizon = await horizons.find(database)
    condition, values = where(query, horizon)
    of_one = query.of_account is not None and len(query.of_account.numbers) == 1
    order = _WITHIN_ACCOUNT if of_one else _BY_ID
    if after is not None:
        values.append(after)
        beyond = ">" if query.order == "asc" else "<"
        of_last = ", ".join(order.values()).format(f"${len(values)}")
        condition += f" AND ({', '.join(order)}) {beyond} ({of_last})"
    stop = await _stop(database, query, after, looked_max) if looked_max is not None else None
    if stop is not None:
        values.append(stop)
        condition += f" AND entries.id {'<=' if query.order == 'asc' else '>='} ${len(values)}"
    values.append(limit + 1)
    in_order = ", ".join(f"{column} {query.order}" for column in order)
    rows = await database.fetch(
        f"{SELECT} WHERE {condition} ORDER BY {in_order} LIMIT ${len(values)}", *values
    )
    more = len(rows) > limit
    rows = rows[:limit]
    last = rows[-1]["id"] if more else stop
    return EntryPage(rows, cursors.encode(str(last), query.asked) if last else None, horizon)


async def _stop(
    database: Database, query: EntryQuery, after: int | None, looked_max: int
) -> int | None:
    """Return the last entry that a page looks at; None if the list ends before.

    Entries have no index by kind or by their lot's source: it would make every spend slower.
    """
    given = {name for name in _CONDITIONS if getattr(query, name) is not None}
    if not given or given - {"kind", "lot_source"}:
        return None
    up = query.order == "asc"
    start = after if after is not None else 0 if up else cursors.PAST_EVERY_NUMBER
    stop: int | None = await database.fetchval(
        _SQL["nth_up" if up else "nth_down"](after=start, before_it=looked_max - 1)
    )
    return stop


def where(query: EntryQuery, horizon: Horizon) -> tuple[str, list[object]]:
    """Return the SQL condition of the filters within the horizon, and its values."""
    conditions, values = ["entries.id <= $1"], list[object]([horizon.entry_id])
    wanted: dict[str, object] = {
        name: value for name in _CONDITIONS if (value := getattr(query, name)) is not None
    }
    for name, value in wanted.items():
        condition = _CONDITIONS[name]
        if isinstance(value, Key):
            values += [value.text, value.hash]
            condition = condition.format(f"${len(values) - 1}", f"${len(values)}")
        elif not isinstance(value, OfAccount):
            values.append(value)
        elif len(value.numbers) == 1:
            # With "=" the order comes from its own index; with ANY the whole ledger is read in
            # order.
            condition = "entries.owner_id = {}"
            values.append(value.numbers[0])
        else:
            values.append(list(value.numbers))
        conditions.append(condition.format(f"${len(values)}"))
    return " AND ".join(conditions), values


async def of_journal(
    database: Database, journal_id: JournalNumber
) -> list[row_types.EntriesOfJournal]:
    """A journal's entries, in order."""
    return await database.fetch(_SQL["of_journal"](journal_id=journal_id))


async def of_account(database: Database, public_id: str | None) -> OfAccount | None:
    """Return the filter of a public id; None for None."""
    if public_id is None:
        return None
    return OfAccount(public_id, await account_numbers(database, public_id))


async def account_numbers(database: Database, public_id: str) -> tuple[AccountNumber, ...]:
    """The internal ids behind a public one: the account, and those that were joined to it."""
    rows = await database.fetch(_SQL["account_ids"](public_id=public_id))
    return tuple(row["id"] for row in rows)
