"""The one statement that writes what was drafted on sheets, and the columns that it takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import orjson

from app.infrastructure.db import Record
from app.ledger.kinds import USES
from app.ledger.sheet import EntryDraft, JournalDraft, Lot, Sheet

_DRAFTS: Final = """
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
)"""

_NUMBERS: Final = """
SELECT (SELECT array_agg(id ORDER BY ord) FROM journal_in) AS journals,
       (SELECT array_agg(id ORDER BY ord) FROM lot_in) AS lots,
       (SELECT array_agg(id ORDER BY id) FROM new_entries) AS entries
"""

PARAMETERS: Final = 49


class Beside(Protocol):
    """What another module writes of accounts by the same statement.

    Its CTEs may look up a new lot's number by its ordinal in ``lot_in``; their parameters are
    numbered from ``PARAMETERS`` + 1 on. They write the sides of their ``sheets`` too, since one
    statement can change a row but once.
    """

    ctes: str
    sheets: Sequence[Sheet]

    def columns(self, drafts: Drafts) -> list[list[object]]:
        """The values of their parameters."""
        ...


def statement(beside: Beside | None) -> str:
    """The text: each of the two is parsed once by a connection."""
    return f"{_DRAFTS}{f', {beside.ctes}' if beside else ''}{_NUMBERS}"


class Drafts:
    """The drafts of several sheets; the ``sides`` of some of them are written too."""

    def __init__(self, sheets: Sequence[Sheet], sides: Sequence[Sheet]) -> None:
        self._sides = sides
        changed = [lot for sheet in sheets for lot in sheet.lots if lot.changed]
        self._new_lots = [lot for lot in changed if lot.number is None]
        self._old_lots = [lot for lot in changed if lot.number is not None]
        # A transfer's one journal stands on two sheets.
        once = {id(j): (sheet, j) for sheet in sheets for j in sheet.journals}
        self._journals = list(once.values())
        ordinals = {id(journal): n for n, (_, journal) in enumerate(self._journals, start=1)}
        self._entries = [
            (ordinals[id(journal)], entry) for sheet in sheets for journal, entry in sheet.drafted
        ]
        self._lot_ordinals = {id(lot): n for n, lot in enumerate(self._new_lots, start=1)}

    def columns(self) -> list[list[object]]:
        """The values of the statement's own parameters."""
        new_lots = [
            (
                lot.account_id,
                lot.source,
                lot.priority,
                lot.granted_at,
                lot.expires_at,
                lot.granted,
                lot.lapsed,
                lot.free,
                lot.held,
                lot.live,
            )
            for lot in self._new_lots
        ]
        old_lots = [
            (lot.number, lot.granted, lot.lapsed, lot.free, lot.held, lot.live, lot.expires_at)
            for lot in self._old_lots
        ]
        return [
            *transposed(new_lots, 10),
            *transposed([self._journal(sheet, journal) for sheet, journal in self._journals], 13),
            *transposed([self._entry(ordinal, entry) for ordinal, entry in self._entries], 14),
            *transposed(old_lots, 7),
            *transposed([sides_of(sheet) for sheet in self._sides], 5),
        ]

    def _journal(self, sheet: Sheet, journal: JournalDraft) -> tuple[object, ...]:
        return (
            journal.act,
            journal.source,
            journal.actor,
            journal.effective_at,
            sheet.now,
            journal.event_id,
            journal.run_id,
            journal.reverses_journal_id,
            journal.idempotency_key,
            journal.request_hash,
            journal.reason,
            _json(journal.metadata),
            _json(journal.answer),
        )

    def _entry(self, ordinal: int, entry: EntryDraft) -> tuple[object, ...]:
        return (
            ordinal,
            entry.account_id,
            entry.lot.number,
            self.ordinal(entry.lot),
            entry.kind,
            entry.debit,
            entry.credit,
            entry.amount,
            entry.free_after,
            entry.held_after,
            entry.debt_after,
            entry.hold_id,
            entry.reverses_entry_id,
            entry.effective_at,
        )

    def ordinal(self, lot: Lot | None) -> int | None:
        """Which of the new lots it is, from 1; None of one that has its number."""
        return self._lot_ordinals.get(id(lot))

    def number(self, record: Record) -> None:
        """Give journals, lots and entries the numbers that the statement gave them."""
        for lot, number in zip(self._new_lots, record["lots"] or (), strict=True):
            lot.number = number
        for lot in (*self._new_lots, *self._old_lots):
            lot.changed = False
        for (_, journal), number in zip(self._journals, record["journals"] or (), strict=True):
            journal.number = number
        for (ordinal, _), number in zip(self._entries, record["entries"] or (), strict=True):
            self._journals[ordinal - 1][1].entry_numbers.append(number)


def sides_of(sheet: Sheet) -> tuple[object, ...]:
    """(account, free, held, debt, when it was used) as the account's row is to show them."""
    used_at = sheet.now if any(journal.act in USES for journal in sheet.journals) else None
    return (sheet.account_id, sheet.free, sheet.held, sheet.debt, used_at)


def transposed(rows: Sequence[tuple[object, ...]], width: int) -> list[list[object]]:
    """Rows of so many values as that many columns, of no rows too."""
    return [[row[column] for row in rows] for column in range(width)]


def _json(value: dict[str, object] | None) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
