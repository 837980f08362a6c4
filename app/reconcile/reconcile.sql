-- name: received
-- Whether an event is in the inbox.
SELECT true FROM events WHERE id = :event_id

-- name: verdict
-- The present verdict of an event, with its reason.
SELECT verdict, verdict_reason FROM events WHERE id = :event_id

-- name: subscriptions
-- Our rows of these subscriptions, with what their newest snapshots say beyond them.
SELECT subscriptions.*, coalesce(named.external_id, '') AS named,
       coalesce((newest.body->>'collection_paused')::boolean, false) AS collection_paused
  FROM subscriptions
  LEFT JOIN claims AS named ON named.customer_id = subscriptions.customer_id AND named.rank = 3
   AND named.object_id = subscriptions.id AND named.stands AND named.external_id <> ''
  LEFT JOIN LATERAL (
       SELECT body FROM facts
        WHERE subscription_id = subscriptions.id
          AND body->>'kind' IN ('created', 'updated', 'deleted')
        ORDER BY occurred_at DESC, event_id DESC, reading DESC LIMIT 1) AS newest ON true
 WHERE subscriptions.id = ANY(:subscription_ids::text[])

-- name: customers
-- Those of these customers that we know, and the account that the metadata of each names.
SELECT id, deleted_at IS NOT NULL AS deleted, coalesce(claims.external_id, '') AS named
  FROM customers
  LEFT JOIN claims ON claims.customer_id = customers.id AND claims.rank = 2
   AND claims.stands AND claims.external_id <> ''
 WHERE id = ANY(:customer_ids::text[])

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
