-- name: listed
-- All keys with their last use, the newest first.
SELECT api_keys.id, name, scopes, networks, created_at, expires_at, revoked_at, last_used_at
  FROM api_keys LEFT JOIN key_uses ON key_uses.key_id = api_keys.id
 ORDER BY created_at DESC, api_keys.id LIMIT :limit
