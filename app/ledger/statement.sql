-- part: drafts
-- Write lots, journals, notes, entries and the sides of accounts. A journal or lot that is new has
-- no id yet: entries name it by its place in the parameter, from 1.
WITH lot_in AS MATERIALIZED (
    SELECT ordinality AS ord, nextval('lots_id_seq') AS id, account_id, source, priority,
           granted_at, expires_at, granted, lapsed, moved, refunded, free, held, live
      FROM unnest(:lots::lot_draft[]) WITH ORDINALITY
), journal_in AS MATERIALIZED (
    SELECT ordinality AS ord, nextval('journals_id_seq') AS id, kind, source, actor, effective_at,
           recorded_at, event_id, run_id, reverses_journal_id, idempotency_key, request_hash,
           label, member, reason, metadata, answer
      FROM unnest(:journals::journal_draft[]) WITH ORDINALITY
), new_lots AS (
    INSERT INTO lots (id, account_id, source, priority, granted_at, expires_at,
                      granted, lapsed, moved, refunded, free, held, live) OVERRIDING SYSTEM VALUE
    SELECT id, account_id, source, priority, granted_at, expires_at,
           granted, lapsed, moved, refunded, free, held, live FROM lot_in
), new_journals AS (
    INSERT INTO journals (id, kind, source, actor, effective_at, recorded_at, event_id, run_id,
                          reverses_journal_id, idempotency_key, request_hash, label, member)
    OVERRIDING SYSTEM VALUE
    SELECT id, kind, source, actor, effective_at, recorded_at, event_id, run_id,
           reverses_journal_id, idempotency_key, request_hash, label, member FROM journal_in
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
      FROM unnest(:entries::entry_draft[]) WITH ORDINALITY AS entry
      JOIN journal_in ON journal_in.ord = entry.journal_ord
      LEFT JOIN lot_in ON lot_in.ord = entry.lot_ord
     ORDER BY entry.ordinality
    RETURNING id
), lots_changed AS (
    UPDATE lots SET granted = change.granted, lapsed = change.lapsed, moved = change.moved,
                    refunded = change.refunded, free = change.free, held = change.held, live = change.live,
                    expires_at = change.expires_at
      FROM unnest(:lot_changes::lot_change[]) AS change
     WHERE lots.id = change.id
), accounts_changed AS (
    UPDATE accounts SET free = change.free, held = change.held, debt = change.debt,
                        last_used_at = coalesce(change.used_at, accounts.last_used_at),
                        written_at = greatest(accounts.written_at, change.written_at)
      FROM unnest(:sides::account_sides[]) AS change
     WHERE accounts.id = change.id
)

-- part: numbers
-- The ids that were given, in the order of the parameters.
SELECT (SELECT array_agg(id ORDER BY ord) FROM journal_in) AS journals,
       (SELECT array_agg(id ORDER BY ord) FROM lot_in) AS lots,
       (SELECT array_agg(id ORDER BY id) FROM new_entries) AS entries

-- name: write
-- Write what was drafted on sheets.
-- include: ledger/statement.sql drafts
-- include: ledger/statement.sql numbers
