-- name: received
-- Whether an event is in the inbox.
SELECT true FROM events WHERE id = :event_id

-- name: verdict
-- The present verdict of an event, with its reason.
SELECT verdict, verdict_reason FROM events WHERE id = :event_id

-- name: subscriptions
-- Our rows of these subscriptions.
SELECT * FROM subscriptions WHERE id = ANY(:subscription_ids::text[])

-- name: newest_snapshot
-- The body of the event with the newest snapshot of a subscription.
SELECT payload FROM events WHERE id = (
    SELECT event_id FROM facts
     WHERE subscription_id = :subscription_id AND body->>'kind' IN ('created', 'updated', 'deleted')
     ORDER BY occurred_at DESC, event_id DESC LIMIT 1)

-- name: queued
-- A queued event that names this id; few wait at any time.
SELECT id FROM events
 WHERE verdict = 'queued' AND position(convert_to(:quoted_id, 'UTF8') IN payload) > 0 LIMIT 1
