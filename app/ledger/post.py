"""The only writer of the ledger: lock accounts, load their sheets, write what was drafted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from app.db import Database, Record
from app.ledger.kinds import USES, LotSource
from app.ledger.sheet import EntryDraft, JournalDraft, Lot, Sheet


@dataclass(slots=True)
class Locked:
    """An account's row as its lock shows it, and its sheet."""

    row: Record
    sheet: Sheet


async def lock(database: Database, numbers: Iterable[int]) -> dict[int, Locked]:
    """Lock these accounts' rows in order, then read the clock and their live lots.

    The lots are read by a second statement, whose snapshot is taken after the locks: what the
    last holder of a lock committed is seen.
    """
    wanted = sorted(set(numbers))
    rows = await database.fetch(
        "SELECT * FROM accounts WHERE id = ANY($1::bigint[]) ORDER BY id FOR UPDATE", wanted
    )
    return await sheets_of(database, rows)


async def sheets_of(database: Database, rows: Sequence[Record]) -> dict[int, Locked]:
    """The sheets of account rows, at one instant of the clock."""
    numbers = [row["id"] for row in rows]
    found = await database.fetch(
        """SELECT clock.now, lots.* FROM (SELECT tallybook_now() AS now) AS clock
           LEFT JOIN lots ON lots.account_id = ANY($1::bigint[]) AND lots.live""",
        numbers,
    )
    now = found[0]["now"]
    locked = {
        row["id"]: Locked(row, Sheet(row["id"], row["free"], row["held"], row["debt"], [], now))
        for row in rows
    }
    for record in found:
        if record["id"] is not None:
            one, lot = locked[record["account_id"]], lot_of(record)
            # It stays live where it is drawn to nothing.
            lot.of_running_day = lot.number == one.row["day_lot_id"]
            one.sheet.lots.append(lot)
    return locked


async def load_lots(database: Database, sheet: Sheet, numbers: Iterable[int | None]) -> None:
    """Put lots on the sheet that are no longer live, for what reaches back to them."""
    wanted = {number for number in numbers if number} - {lot.number for lot in sheet.lots}
    rows = await database.fetch("SELECT * FROM lots WHERE id = ANY($1::bigint[])", sorted(wanted))
    sheet.lots.extend(lot_of(row) for row in rows)


def lot_of(record: Record) -> Lot:
    """The lot as its row has it."""
    return Lot(
        account_id=record["account_id"],
        source=LotSource(record["source"]),
        priority=record["priority"],
        granted_at=record["granted_at"],
        expires_at=record["expires_at"],
        granted=record["granted"],
        lapsed=record["lapsed"],
        free=record["free"],
        held=record["held"],
        number=record["id"],
    )


_WRITE: Final = """
WITH lot_in AS MATERIALIZED (
    SELECT ord, nextval('lots_id_seq') AS id, account_id, source, priority, granted_at, expires_at,
           granted, lapsed, free, held, live
      FROM unnest($1::bigint[], $2::text[], $3::smallint[], $4::timestamptz[], $5::timestamptz[],
                  $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[], $10::boolean[])
      WITH ORDINALITY AS lot (account_id, source, priority, granted_at, expires_at,
                              granted, lapsed, free, held, live, ord)
), journal_in AS MATERIALIZED (
    SELECT ord, nextval('journals_id_seq') AS id, kind, source, actor, effective_at, recorded_at,
           event_id, run_id, reverses_journal_id, idempotency_key, request_hash,
           reason, metadata, answer
      FROM unnest($11::text[], $12::text[], $13::text[], $14::timestamptz[], $15::timestamptz[],
                  $16::text[], $17::bigint[], $18::bigint[], $19::text[], $20::bytea[],
                  $21::text[], $22::text[], $23::text[])
      WITH ORDINALITY AS journal (kind, source, actor, effective_at, recorded_at, event_id, run_id,
                                  reverses_journal_id, idempotency_key, request_hash,
                                  reason, metadata, answer, ord)
), new_lots AS (
    INSERT INTO lots (id, account_id, source, priority, granted_at, expires_at,
                      granted, lapsed, free, held, live) OVERRIDING SYSTEM VALUE
    SELECT id, account_id, source, priority, granted_at, expires_at,
           granted, lapsed, free, held, live FROM lot_in
), new_journals AS (
    INSERT INTO journals (id, kind, source, actor, effective_at, recorded_at, event_id, run_id,
                          reverses_journal_id, idempotency_key, request_hash)
    OVERRIDING SYSTEM VALUE
    SELECT id, kind, source, actor, effective_at, recorded_at, event_id, run_id,
           reverses_journal_id, idempotency_key, request_hash FROM journal_in
), new_notes AS (
    INSERT INTO notes (journal_id, reason, metadata, answer)
    SELECT id, reason, metadata::jsonb, answer::jsonb FROM journal_in
     WHERE num_nonnulls(reason, metadata, answer) > 0
), new_entries AS (
    INSERT INTO entries (journal_id, account_id, lot_id, kind, debit, credit, amount,
                         free_after, held_after, debt_after, hold_id, reverses_entry_id,
                         effective_at, recorded_at)
    SELECT journal_in.id, entry.account_id, coalesce(entry.lot_id, lot_in.id),
           entry.kind, entry.debit, entry.credit, entry.amount,
           entry.free_after, entry.held_after, entry.debt_after, entry.hold_id,
           entry.reverses_entry_id, entry.effective_at, journal_in.recorded_at
      FROM unnest($24::bigint[], $25::bigint[], $26::bigint[], $27::bigint[], $28::text[],
                  $29::text[], $30::text[], $31::bigint[], $32::bigint[], $33::bigint[],
                  $34::bigint[], $35::bigint[], $36::bigint[], $37::timestamptz[])
      WITH ORDINALITY AS entry (journal_ord, account_id, lot_id, lot_ord, kind, debit, credit,
                                amount, free_after, held_after, debt_after, hold_id,
                                reverses_entry_id, effective_at, ord)
      JOIN journal_in ON journal_in.ord = entry.journal_ord
      LEFT JOIN lot_in ON lot_in.ord = entry.lot_ord
     ORDER BY entry.ord
    RETURNING id
), lots_changed AS (
    UPDATE lots SET granted = change.granted, lapsed = change.lapsed, free = change.free,
                    held = change.held, live = change.live, expires_at = change.expires_at
      FROM unnest($38::bigint[], $39::bigint[], $40::bigint[], $41::bigint[], $42::bigint[],
                  $43::boolean[], $44::timestamptz[])
        AS change (id, granted, lapsed, free, held, live, expires_at)
     WHERE lots.id = change.id
), accounts_changed AS (
    UPDATE accounts SET free = change.free, held = change.held, debt = change.debt,
                        last_used_at = coalesce(change.used_at, accounts.last_used_at)
      FROM unnest($45::bigint[], $46::bigint[], $47::bigint[], $48::bigint[], $49::timestamptz[])
        AS change (id, free, held, debt, used_at)
     WHERE accounts.id = change.id
)
SELECT (SELECT array_agg(id ORDER BY ord) FROM journal_in) AS journals,
       (SELECT array_agg(id ORDER BY ord) FROM lot_in) AS lots,
       (SELECT array_agg(id ORDER BY id) FROM new_entries) AS entries
"""


async def write(database: Database, sheets: Iterable[Sheet]) -> None:
    """Write all that was drafted on these sheets, in one statement of the caller's transaction.

    Fills in the numbers of journals, lots and entries. Raises asyncpg.UniqueViolationError when
    an idempotency key was used meanwhile.
    """
    drafted = [
        sheet for sheet in sheets if sheet.journals or any(lot.changed for lot in sheet.lots)
    ]
    if not drafted:
        return
    writing = _Writing(drafted)
    record = await database.fetchrow(_WRITE, *writing.columns())
    assert record is not None
    writing.number(record)
    for sheet in drafted:
        sheet.journals, sheet.drafted = [], []


class _Writing:
    """The drafts of several sheets as columns for one statement."""

    def __init__(self, sheets: Sequence[Sheet]) -> None:
        self.sheets = sheets
        changed = [lot for sheet in sheets for lot in sheet.lots if lot.changed]
        self.new_lots = [lot for lot in changed if lot.number is None]
        self.old_lots = [lot for lot in changed if lot.number is not None]
        # A transfer's one journal stands on two sheets.
        once = {id(j): (sheet, j) for sheet in sheets for j in sheet.journals}
        self.journals = list(once.values())
        ordinals = {id(journal): n for n, (_, journal) in enumerate(self.journals, start=1)}
        self.entries = [
            (ordinals[id(journal)], entry) for sheet in sheets for journal, entry in sheet.drafted
        ]
        self.lot_ordinals = {id(lot): n for n, lot in enumerate(self.new_lots, start=1)}

    def columns(self) -> list[list[object]]:
        new_lots = [
            (lot.account_id, lot.source, lot.priority, lot.granted_at, lot.expires_at,
             lot.granted, lot.lapsed, lot.free, lot.held, lot.live)
            for lot in self.new_lots
        ]  # fmt: skip
        old_lots = [
            (lot.number, lot.granted, lot.lapsed, lot.free, lot.held, lot.live, lot.expires_at)
            for lot in self.old_lots
        ]
        sides = [
            (sheet.account_id, sheet.free, sheet.held, sheet.debt,
             sheet.now if any(journal.act in USES for journal in sheet.journals) else None)
            for sheet in self.sheets
        ]  # fmt: skip
        return [
            *_transpose(new_lots, 10),
            *_transpose([self._journal(sheet, journal) for sheet, journal in self.journals], 13),
            *_transpose([self._entry(ordinal, entry) for ordinal, entry in self.entries], 14),
            *_transpose(old_lots, 7),
            *_transpose(sides, 5),
        ]

    def _journal(self, sheet: Sheet, journal: JournalDraft) -> tuple[object, ...]:
        return (
            journal.act, journal.source, journal.actor, journal.effective_at, sheet.now,
            journal.event_id, journal.run_id, journal.reverses_journal_id,
            journal.idempotency_key, journal.request_hash,
            journal.reason, _json(journal.metadata), _json(journal.answer),
        )  # fmt: skip

    def _entry(self, ordinal: int, entry: EntryDraft) -> tuple[object, ...]:
        return (
            ordinal, entry.account_id, entry.lot.number, self.lot_ordinals.get(id(entry.lot)),
            entry.kind, entry.debit, entry.credit, entry.amount,
            entry.free_after, entry.held_after, entry.debt_after,
            entry.hold_id, entry.reverses_entry_id, entry.effective_at,
        )  # fmt: skip

    def number(self, record: Record) -> None:
        for lot, number in zip(self.new_lots, record["lots"] or (), strict=True):
            lot.number = number
        for lot in (*self.new_lots, *self.old_lots):
            lot.changed = False
        for (_, journal), number in zip(self.journals, record["journals"] or (), strict=True):
            journal.number = number
        for (ordinal, _), number in zip(self.entries, record["entries"] or (), strict=True):
            self.journals[ordinal - 1][1].entry_numbers.append(number)


def _transpose(rows: Sequence[tuple[object, ...]], width: int) -> list[list[object]]:
    return [[row[column] for row in rows] for column in range(width)]


def _json(value: dict[str, object] | None) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
