-- name: store_uses
-- Store when keys were last used; a process that saw an earlier use changes nothing.
INSERT INTO key_uses (key_id, last_used_at)
SELECT * FROM unnest(:ids::text[], :used_at::timestamptz[])
    ON CONFLICT (key_id) DO UPDATE
   SET last_used_at = greatest(key_uses.last_used_at, excluded.last_used_at)

-- name: add
-- Make a key that may not correct.
SELECT add_api_key(:id, :name, :scopes, :secret_hash, :expires_at)

-- name: take_back
-- Revoke a key; whether it was good.
SELECT revoke_api_key(:id)

-- name: listed
-- All keys with their last use, the newest first.
SELECT api_keys.id, name, scopes, networks, created_at, expires_at, revoked_at, last_used_at
  FROM api_keys LEFT JOIN key_uses ON key_uses.key_id = api_keys.id
 ORDER BY created_at DESC, api_keys.id LIMIT :limit
