"""The rows that one statement writes for the drafts on sheets; see statement.sql."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import orjson

from app.ledger.kinds import USES
from app.ledger.sheet import EntryDraft, JournalDraft, Lot, Sheet

if TYPE_CHECKING:
    from app.ledger import row_types


class Drafts:
    """The drafts of several sheets; the ``sides`` of some of them are written too."""

    def __init__(self, sheets: Sequence[Sheet], sides: Sequence[Sheet]) -> None:
        self._sides = sides
        changed = [lot for sheet in sheets for lot in sheet.lots if lot.changed]
        self._new_lots = [lot for lot in changed if lot.number is None]
        self._old_lots = [lot for lot in changed if lot.number is not None]
        # A transfer's one journal is on two sheets.
        once = {id(j): (sheet, j) for sheet in sheets for j in sheet.journals}
        self._journals = list(once.values())
        ordinals = {id(journal): n for n, (_, journal) in enumerate(self._journals, start=1)}
        self._entries = [
            (ordinals[id(journal)], entry) for sheet in sheets for journal, entry in sheet.drafted
        ]
        self._lot_ordinals = {id(lot): n for n, lot in enumerate(self._new_lots, start=1)}

    def parameters(self) -> dict[str, object]:
        """Return the values of the statement's parameters, by name."""
        return {
            "lots": [_new_lot(lot) for lot in self._new_lots],
            "journals": [self._journal(sheet, journal) for sheet, journal in self._journals],
            "entries": [self._entry(ordinal, entry) for ordinal, entry in self._entries],
            "lot_changes": [_changed_lot(lot) for lot in self._old_lots],
            "sides": [sides_of(sheet) for sheet in self._sides],
        }

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
            journal.label,
            journal.member,
            journal.reason,
            _json(journal.metadata),
            None if journal.answer_follows else _json(journal.answer),
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
        """Return the position of a new lot, from 1; None for a lot that has its number."""
        return self._lot_ordinals.get(id(lot))

    def number(self, record: row_types.StatementWrite) -> None:
        """Set the numbers of journals, lots and entries that the statement returned."""
        for lot, lot_number in zip(self._new_lots, record["lots"] or (), strict=True):
            lot.number = lot_number
        for lot in (*self._new_lots, *self._old_lots):
            lot.changed = False
        for (_, journal), number in zip(self._journals, record["journals"] or (), strict=True):
            journal.number = number
        for (ordinal, _), entry in zip(self._entries, record["entries"] or (), strict=True):
            self._journals[ordinal - 1][1].entry_numbers.append(entry)


def sides_of(sheet: Sheet) -> tuple[object, ...]:
    """Return (account, free, held, debt, last used, last written) for account_sides."""
    used_at = sheet.now if any(journal.act in USES for journal in sheet.journals) else None
    return (sheet.account_id, sheet.free, sheet.held, sheet.debt, used_at, sheet.now)


def _new_lot(lot: Lot) -> tuple[object, ...]:
    return (
        lot.account_id,
        lot.source,
        lot.priority,
        lot.granted_at,
        lot.expires_at,
        lot.granted,
        lot.lapsed,
        lot.moved,
        lot.refunded,
        lot.free,
        lot.held,
        lot.live,
    )


def _changed_lot(lot: Lot) -> tuple[object, ...]:
    return (
        lot.number,
        lot.granted,
        lot.lapsed,
        lot.moved,
        lot.refunded,
        lot.free,
        lot.held,
        lot.live,
        lot.expires_at,
    )


def _json(value: Mapping[str, object] | None) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
