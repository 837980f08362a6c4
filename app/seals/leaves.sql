-- part: leaf
-- An entry with its journal: what a seal needs of it, and its leaf as canonical JSON. The character 1
-- stands for what is not known here: the hash of who acted, the name's, nth, and the hash of the
-- application's words; the character 2 for `at`, the instant of the entry's record, which mostly is
-- that of all four. JSON has neither. What enters as hashes follows, as JSON.
-- As few texts it costs a fraction of what its columns did, in PostgreSQL and here.
SELECT entries.account_id AS account, entries.id AS entry, entries.free_after, entries.held_after,
       entries.debt_after,
       leaf_instant(entries.recorded_at) AS at,
       concat('{"account":', entries.account_id, ',"act":"', chr(1), '","amount":', entries.amount,
              ',"credit":', to_json(entries.credit), ',"debit":', to_json(entries.debit),
              ',"debt_after":', entries.debt_after, ',"effective_at":"',
              CASE WHEN entries.effective_at = entries.recorded_at THEN chr(2) ELSE
              leaf_instant(entries.effective_at) END, '","entry":', entries.id,
              ',"event":', coalesce(to_json(journals.event_id)::text, 'null'),
              ',"free_after":', entries.free_after, ',"held_after":', entries.held_after,
              ',"hold":', coalesce(entries.hold_id::text, 'null'),
              ',"journal":', entries.journal_id, ',"journal_effective_at":"',
              CASE WHEN journals.effective_at = entries.recorded_at THEN chr(2) ELSE
              leaf_instant(journals.effective_at) END, '","journal_kind":', to_json(journals.kind),
              ',"journal_recorded_at":"',
              CASE WHEN journals.recorded_at = entries.recorded_at THEN chr(2) ELSE
              leaf_instant(journals.recorded_at) END, '","kind":', to_json(entries.kind),
              ',"lot":', entries.lot_id, ',"lot_priority":', lots.priority,
              ',"lot_source":', to_json(lots.source),
              ',"name":', chr(1), ',"nth":', chr(1), ',"recorded_at":"', chr(2), '","reverses":',
              coalesce(entries.reverses_entry_id::text, 'null'),
              ',"reverses_journal":', coalesce(journals.reverses_journal_id::text, 'null'),
              ',"run":', coalesce(journals.run_id::text, 'null'),
              ',"source":', to_json(journals.source), ',"text":', chr(1), '}') AS leaf,
       concat('{"actor":', to_json(journals.actor), ',"idempotency_key":',
              coalesce(to_json(journals.idempotency_key)::text, 'null'), ',"request_hash":"' ||
              encode(journals.request_hash, 'hex') || '"',
              CASE WHEN journals.request_hash IS NULL THEN ',"request_hash":null' END, '}') AS act,
       CASE WHEN num_nonnulls(label, member, metadata, reason) > 0 THEN
       concat('{"label":', coalesce(to_json(label::text)::text, 'null'),
              ',"member":', coalesce(to_json(member::text)::text, 'null'),
              ',"metadata":', coalesce(to_json(metadata::text)::text, 'null'),
              ',"reason":', coalesce(to_json(reason)::text, 'null'), '}') END AS hidden
  FROM entries
  JOIN journals ON journals.id = entries.journal_id
  JOIN lots ON lots.id = entries.lot_id
  LEFT JOIN notes ON notes.journal_id = entries.journal_id

-- name: next
-- The entries after one, up to another, in the order of their ids, each column as one value: a row
-- costs the driver more than its leaf costs here. JSON has no line end within it.
SELECT array_agg(account) AS accounts, array_agg(entry) AS entries, array_agg(free_after) AS free,
       array_agg(held_after) AS held, array_agg(debt_after) AS debt, string_agg(at, E'\n') AS at,
       string_agg(leaf, E'\n') AS leaves, string_agg(act, E'\n') AS acts,
       string_agg(coalesce(hidden, ''), E'\n') AS hidden
  FROM (
-- include: seals/leaves.sql leaf
 WHERE entries.id > :after AND entries.id <= :up_to ORDER BY entries.id LIMIT :limit) AS one

-- name: after
-- The entries after one, up to another, in the order of their ids.
-- include: seals/leaves.sql leaf
 WHERE entries.id > :after AND entries.id <= :up_to ORDER BY entries.id LIMIT :limit

-- name: of_entries
-- These entries, in the order of their ids.
-- include: seals/leaves.sql leaf
 WHERE entries.id = ANY(:entry_ids::bigint[]) ORDER BY entries.id
