-- part: leaf
-- An entry with its journal, as a leaf says it, by the names of its members in their order; then
-- what enters as hashes, as canonical JSON: who acted, and the application's words, if there are any.
-- PostgreSQL writes a string in JSON as RFC 8785 has it. An instant is null if it is that of the
-- entry's record, as it mostly is: a fifth of the sealer's time went into reading the others.
SELECT entries.account_id AS account, NULL AS act, entries.amount, entries.credit, entries.debit,
       entries.debt_after, nullif(entries.effective_at, entries.recorded_at) AS effective_at,
       entries.id AS entry, journals.event_id AS event,
       entries.free_after, entries.held_after, entries.hold_id AS hold, entries.journal_id AS journal,
       nullif(journals.effective_at, entries.recorded_at) AS journal_effective_at,
       journals.kind AS journal_kind,
       nullif(journals.recorded_at, entries.recorded_at) AS journal_recorded_at, entries.kind, entries.lot_id AS lot,
       lots.priority AS lot_priority, lots.source AS lot_source, NULL AS name, NULL AS nth,
       entries.recorded_at, entries.reverses_entry_id AS reverses,
       journals.reverses_journal_id AS reverses_journal, journals.run_id AS run, journals.source,
       NULL AS text,
       convert_to(concat('{"actor":', to_json(actor),
                         ',"idempotency_key":', coalesce(to_json(idempotency_key)::text, 'null'),
                         ',"request_hash":',
                         coalesce('"' || encode(request_hash, 'hex') || '"', 'null'), '}'),
                  'UTF8') AS hidden_act,
       CASE WHEN num_nonnulls(label, member, metadata, reason) > 0 THEN
       convert_to(concat('{"label":', coalesce(to_json(label::text)::text, 'null'),
                         ',"member":', coalesce(to_json(member::text)::text, 'null'),
                         ',"metadata":', coalesce(to_json(metadata::text)::text, 'null'),
                         ',"reason":', coalesce(to_json(reason)::text, 'null'), '}'),
                  'UTF8') END AS hidden_text
  FROM entries
  JOIN journals ON journals.id = entries.journal_id
  JOIN lots ON lots.id = entries.lot_id
  LEFT JOIN notes ON notes.journal_id = entries.journal_id

-- name: after
-- The entries after one, up to another, in the order of their ids.
-- include: seals/leaves.sql leaf
 WHERE entries.id > :after AND entries.id <= :up_to ORDER BY entries.id LIMIT :limit

-- name: of_entries
-- These entries, in the order of their ids.
-- include: seals/leaves.sql leaf
 WHERE entries.id = ANY(:entry_ids::bigint[]) ORDER BY entries.id
