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
