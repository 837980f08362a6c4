-- name: seal
-- The seal of a size, with its witnesses' lines.
SELECT seals.size, entry_id, root, balances_root, horizon_at, sealed_at, receipt,
       note || coalesce((SELECT string_agg(line || E'\n', '' ORDER BY witness)
                           FROM seal_cosignatures WHERE seal_cosignatures.size = seals.size), '')
           AS note
  FROM seals
 WHERE seals.size = coalesce(:size::bigint, (SELECT max(size) FROM seals))

-- name: seals
-- A page of seals after a size.
SELECT size, horizon_at, sealed_at, note FROM seals
 WHERE size > :after ORDER BY size LIMIT :limit

-- name: seals_back
-- A page of seals before a size, back in time.
SELECT size, horizon_at, sealed_at, note FROM seals
 WHERE size < :after ORDER BY size DESC LIMIT :limit

-- name: keys
-- Every key by which a seal was signed, the newest first.
SELECT verifier_key, first_size FROM seal_keys ORDER BY first_size DESC, verifier_key
