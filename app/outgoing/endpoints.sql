-- name: lock
-- Lock what a new endpoint is counted against: two at once are not both the last.
SELECT pg_advisory_xact_lock('webhook_endpoints'::regclass::int, 0)

-- name: find
-- The endpoints that are not deleted, with what waits for them; one where an id is given.
SELECT endpoint.*,
       CASE WHEN previous_until > clock_timestamp() THEN previous_until END AS also_signs_until,
       (SELECT count(*) FROM webhook_messages
         WHERE endpoint_number = number AND state = 'pending') AS pending_count
  FROM webhook_endpoints AS endpoint
 WHERE deleted_at IS NULL AND (:id::text IS NULL OR id = :id) AND id > :after
 ORDER BY id LIMIT :limit

-- name: insert
-- Add an endpoint.
INSERT INTO webhook_endpoints (id, url, events, ordered, salt, created_at)
VALUES (:id, :url, :events, :ordered, :salt, tallybook_now())

-- name: update
-- Change an endpoint, and enable it.
UPDATE webhook_endpoints
   SET url = :url, events = :events, ordered = :ordered, disabled_at = NULL,
       disabled_reason = NULL, failing_since = NULL, failure_count = 0, held_until = NULL
 WHERE id = :id AND deleted_at IS NULL
RETURNING number

-- name: roll
-- Give the endpoint another secret; the present one signs too for a while.
UPDATE webhook_endpoints
   SET previous_salt = salt, previous_until = clock_timestamp() + make_interval(secs => :overlap_s),
       salt = :salt
 WHERE id = :id AND deleted_at IS NULL
RETURNING number

-- name: delete
-- Delete the endpoint; what waited for it is canceled.
WITH deleted AS (
    UPDATE webhook_endpoints SET deleted_at = clock_timestamp()
     WHERE id = :id AND deleted_at IS NULL
    RETURNING number
),
canceled AS (
    UPDATE webhook_messages SET state = 'canceled'
      FROM deleted WHERE endpoint_number = number AND state = 'pending'
)
SELECT number FROM deleted
