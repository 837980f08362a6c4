-- name: lock
-- Lock a stored event; its verdict.
SELECT verdict, verdict_reason FROM events WHERE id = :event_id FOR UPDATE

-- name: newest
-- When the newest event was received.
SELECT max(received_at) FROM events

-- name: next_parked
-- The next parked event in order of receipt.
SELECT received_at, id FROM events
 WHERE verdict = 'parked' AND received_at <= :until
   AND (:after::timestamptz IS NULL OR (received_at, id) > (:after, :after_id::text))
 ORDER BY received_at, id LIMIT 1
