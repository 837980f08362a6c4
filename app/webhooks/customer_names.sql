-- name: snapshots
-- A customer's newest snapshots up to an instant, and this event's own.
SELECT id, type = 'customer.created' AS created, created_at FROM events
 WHERE id = :event_id
    OR (customer_id = :customer_id AND created_at <= :at
        AND type IN ('customer.created', 'customer.updated'))
 ORDER BY created_at DESC LIMIT :count
