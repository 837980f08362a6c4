-- name: begin
-- Keep a new session, by its cookie's hash.
INSERT INTO console_sessions (token_hash, key_id, created_at, last_seen_at, ends_at)
VALUES (:token_hash, :key_id, clock_timestamp(), clock_timestamp(),
        clock_timestamp() + :life::interval)

-- name: find
-- The session of this cookie, if it has not ended and was seen lately; and whether to note that it is
-- seen now.
SELECT key_id, created_at, ends_at, notice::text AS notice,
       last_seen_at < clock_timestamp() - interval '1 minute' AS unseen
  FROM console_sessions
 WHERE token_hash = :token_hash AND ends_at > clock_timestamp()
   AND last_seen_at > clock_timestamp() - :idle::interval

-- name: note
-- Note that the session is seen now, and that its notice was said.
UPDATE console_sessions SET last_seen_at = clock_timestamp(), notice = NULL
 WHERE token_hash = :token_hash

-- name: say
-- Let the session's next page say something.
UPDATE console_sessions SET notice = :notice::text::jsonb WHERE token_hash = :token_hash

-- name: end
-- End one session.
DELETE FROM console_sessions WHERE token_hash = :token_hash

-- name: end_all
-- End all sessions of a key; which they were.
DELETE FROM console_sessions WHERE key_id = :key_id RETURNING token_hash

-- name: count
-- Count the key's sessions that go on.
SELECT count(*) FROM console_sessions
 WHERE key_id = :key_id AND ends_at > clock_timestamp()
   AND last_seen_at > clock_timestamp() - :idle::interval

-- name: sweep
-- Remove the sessions that have ended.
DELETE FROM console_sessions
 WHERE ends_at <= clock_timestamp() OR last_seen_at <= clock_timestamp() - :idle::interval
