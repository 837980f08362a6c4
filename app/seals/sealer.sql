-- name: try_lock
-- Take the sealer's lock for this transaction; false where another one seals. It reads by one
-- process: more would take from spends the cores that they wait for.
SELECT pg_try_advisory_xact_lock('seals'::regclass::oid::int, 0),
       set_config('max_parallel_workers_per_gather', '0', true)

-- name: newest
-- The newest seal.
SELECT size, entry_id, root, balances_root, horizon_at, sealed_at, note FROM seals
 ORDER BY size DESC LIMIT 1

-- name: about
-- What a head says beside log and balances.
SELECT tallybook_now() AS now, (SELECT epoch FROM book) AS epoch, catalogues.id AS catalogue_id,
       sha256(convert_to(catalogues.content, 'UTF8')) AS catalogue_hash
  FROM (SELECT) AS one LEFT JOIN catalogues ON catalogues.id = (SELECT max(id) FROM catalogues)

-- name: tiles
-- These tiles of the log.
SELECT level, tile, hashes FROM seal_tiles
 WHERE (level, tile) IN (SELECT * FROM unnest(:levels::smallint[], :tiles::bigint[]))

-- name: balance_tiles
-- These tiles of the balances' tree.
SELECT level, tile, nodes FROM seal_balance_tiles
 WHERE (level, tile) IN (SELECT * FROM unnest(:levels::smallint[], :tiles::bigint[]))

-- name: balances
-- These accounts as they were last sealed.
SELECT account_id AS account, entry_id AS entry, entry_count AS entries, free, held, debt
  FROM seal_balances WHERE account_id = ANY(:account_ids::bigint[])

-- name: names
-- The names of these accounts, and those under which they were sealed last.
SELECT account_names.account_id, public_id, sealed.name, sealed.hash
  FROM account_names
  LEFT JOIN LATERAL (
      SELECT name, hash FROM seal_names WHERE seal_names.account_id = account_names.account_id
       ORDER BY since_entry_id DESC LIMIT 1) AS sealed ON true
 WHERE account_names.account_id = ANY(:account_ids::bigint[])

-- name: write_tiles
-- Write tiles of the log, new ones and those that grew.
INSERT INTO seal_tiles (level, tile, hashes)
SELECT * FROM unnest(:levels::smallint[], :tiles::bigint[], :hashes::bytea[])
    ON CONFLICT (level, tile) DO UPDATE SET hashes = excluded.hashes

-- name: write_leaves
-- Write what stands beside the tiles of level 0.
INSERT INTO seal_leaves (tile, first_entry_id, entry_ids, salts)
SELECT * FROM unnest(:tiles::bigint[], :first_entry_ids::bigint[], :entry_ids::bytea[],
                     :salts::bytea[])
    ON CONFLICT (tile) DO UPDATE SET entry_ids = excluded.entry_ids, salts = excluded.salts

-- name: write_names
-- Keep the names under which accounts are sealed from now on.
INSERT INTO seal_names (account_id, since_entry_id, name, salt, hash)
SELECT * FROM unnest(:account_ids::bigint[], :entry_ids::bigint[], :names::text[],
                     :salts::bytea[], :hashes::text[])

-- name: write_balances
-- Write the accounts that changed.
INSERT INTO seal_balances (account_id, entry_id, entry_count, free, held, debt)
SELECT * FROM unnest(:accounts::bigint[], :entries::bigint[], :counts::bigint[], :free::bigint[],
                     :held::bigint[], :debt::bigint[])
    ON CONFLICT (account_id) DO UPDATE SET entry_id = excluded.entry_id,
       entry_count = excluded.entry_count, free = excluded.free, held = excluded.held,
       debt = excluded.debt

-- name: write_balance_tiles
-- Write tiles of the balances' tree.
INSERT INTO seal_balance_tiles (level, tile, nodes)
SELECT * FROM unnest(:levels::smallint[], :tiles::bigint[], :nodes::bytea[])
    ON CONFLICT (level, tile) DO UPDATE SET nodes = excluded.nodes

-- name: write_keys
-- Note the keys of a seal, the first time that they sign.
INSERT INTO seal_keys (verifier_key, first_size)
SELECT key, :size FROM unnest(:keys::text[]) AS key ON CONFLICT DO NOTHING

-- name: write_seal
-- Write a seal.
INSERT INTO seals (size, entry_id, root, balances_root, horizon_at, sealed_at, catalogue_id, note,
                   receipt)
VALUES (:size, :entry_id, :root, :balances_root, :horizon_at, :sealed_at, :catalogue_id, :note,
        :receipt)
