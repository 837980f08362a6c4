-- part: leaf
-- An entry with its journal: what a seal needs of it, and its leaf as canonical JSON. `%s` stands for
-- what is not known here: the hash of who acted, four instants, the hash of the name, nth, and the hash
-- of the application's words. What enters as hashes follows. An instant is null if it is that of the
-- entry's record, as it mostly is. Of a column of closed words none needs escaping.
-- As one text it costs half of what its columns did, in PostgreSQL and here.
SELECT entries.account_id AS account, entries.id AS entry, entries.free_after, entries.held_after,
       entries.debt_after, to_json(entries.recorded_at AT TIME ZONE 'UTC')::text AS recorded_at,
       CASE WHEN entries.effective_at <> entries.recorded_at
            THEN to_json(entries.effective_at AT TIME ZONE 'UTC')::text END AS effective_at,
       CASE WHEN journals.effective_at <> entries.recorded_at
            THEN to_json(journals.effective_at AT TIME ZONE 'UTC')::text END AS journal_effective_at,
       CASE WHEN journals.recorded_at <> entries.recorded_at
            THEN to_json(journals.recorded_at AT TIME ZONE 'UTC')::text END AS journal_recorded_at,
       concat('{"account":', entries.account_id, ',"act":"%s","amount":', entries.amount,
              ',"credit":"', entries.credit, '","debit":"', entries.debit,
              '","debt_after":', entries.debt_after, ',"effective_at":"%s","entry":', entries.id,
              ',"event":', coalesce(replace(to_json(journals.event_id)::text, '%', '%%'), 'null'),
              ',"free_after":', entries.free_after, ',"held_after":', entries.held_after,
              ',"hold":', coalesce(entries.hold_id::text, 'null'),
              ',"journal":', entries.journal_id, ',"journal_effective_at":"%s","journal_kind":"',
              journals.kind, '","journal_recorded_at":"%s","kind":"', entries.kind,
              '","lot":', entries.lot_id, ',"lot_priority":', lots.priority,
              ',"lot_source":"', lots.source, '","name":%s,"nth":%s,"recorded_at":"%s","reverses":',
              coalesce(entries.reverses_entry_id::text, 'null'),
              ',"reverses_journal":', coalesce(journals.reverses_journal_id::text, 'null'),
              ',"run":', coalesce(journals.run_id::text, 'null'),
              ',"source":"', journals.source, '","text":%s}') AS leaf,
       journals.actor, journals.idempotency_key, journals.request_hash,
       CASE WHEN num_nonnulls(label, member, metadata, reason) > 0 THEN
       concat('{"label":', coalesce(to_json(label::text)::text, 'null'),
              ',"member":', coalesce(to_json(member::text)::text, 'null'),
              ',"metadata":', coalesce(to_json(metadata::text)::text, 'null'),
              ',"reason":', coalesce(to_json(reason)::text, 'null'), '}') END AS hidden_text
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
