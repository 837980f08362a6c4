-- name: due_endpoints
-- The endpoints that have something to be tried now.
SELECT number FROM webhook_endpoints
 WHERE deleted_at IS NULL AND disabled_at IS NULL
   AND (held_until IS NULL OR held_until <= clock_timestamp())
   AND EXISTS (SELECT FROM webhook_messages
                WHERE endpoint_number = number AND state = 'pending'
                  AND next_attempt_at <= clock_timestamp())
 ORDER BY number

-- name: lock_endpoint
-- Lock an endpoint that may be tried: of two workers one claims after the other, in order.
SELECT url, ordered, failure_count, clock_timestamp() AS now,
       CASE WHEN previous_until > clock_timestamp() THEN ARRAY[salt, previous_salt]
            ELSE ARRAY[salt] END AS salts
  FROM webhook_endpoints
 WHERE number = :number AND deleted_at IS NULL AND disabled_at IS NULL
   AND (held_until IS NULL OR held_until <= clock_timestamp())
   FOR NO KEY UPDATE

-- name: claim
-- Take messages that are due, and let nobody else try them for as long as an attempt may take. If
-- an account's messages go in order, none is taken while an earlier one waits for its next attempt;
-- that is asked for each row by itself: a join would read all that waits, a backlog of days.
WITH due AS (
    SELECT id FROM webhook_messages AS message
     WHERE endpoint_number = :number AND state = 'pending'
       AND next_attempt_at <= clock_timestamp()
       AND (NOT :ordered OR account_id IS NULL OR (
               SELECT earlier.id FROM webhook_messages AS earlier
                WHERE earlier.endpoint_number = message.endpoint_number
                  AND earlier.account_id = message.account_id AND earlier.id < message.id
                  AND earlier.state = 'pending' AND earlier.next_attempt_at > clock_timestamp()
                LIMIT 1) IS NULL)
     ORDER BY id LIMIT :limit FOR UPDATE
),
claimed AS (
    UPDATE webhook_messages
       SET attempt_count = attempt_count + 1,
           first_attempt_at = coalesce(first_attempt_at, clock_timestamp()),
           last_attempt_at = clock_timestamp(),
           next_attempt_at = clock_timestamp() + make_interval(secs => :lease_s)
      FROM due WHERE webhook_messages.id = due.id
    RETURNING webhook_messages.*
)
SELECT claimed.*, account_names.public_id AS public_account_id
  FROM claimed LEFT JOIN account_names USING (account_id) ORDER BY claimed.id

-- name: record
-- Keep what became of attempts: delivered, to be tried after a delay, or dead without one.
UPDATE webhook_messages
   SET state = CASE WHEN delivered THEN 'delivered' WHEN delay_s IS NULL THEN 'dead'
                    ELSE 'pending' END,
       delivered_at = CASE WHEN delivered THEN clock_timestamp() END,
       next_attempt_at = CASE WHEN delay_s IS NULL THEN next_attempt_at
                              ELSE clock_timestamp() + make_interval(secs => delay_s) END,
       last_status = status, last_error = error
  FROM unnest(:ids::bigint[], :delivered::boolean[], :delays_s::integer[], :statuses::smallint[],
              :errors::text[]) AS outcome (message_id, delivered, delay_s, status, error)
 WHERE id = message_id AND state = 'pending'

-- name: release
-- Give back messages that were claimed and not tried.
UPDATE webhook_messages
   SET attempt_count = attempt_count - 1, next_attempt_at = clock_timestamp(),
       first_attempt_at = CASE WHEN attempt_count > 1 THEN first_attempt_at END
 WHERE id = ANY(:ids::bigint[]) AND state = 'pending'

-- name: answers
-- The endpoint answers: what failed while it did not is tried at once.
WITH answering AS (
    UPDATE webhook_endpoints SET failing_since = NULL, failure_count = 0, held_until = NULL
     WHERE number = :number AND failure_count > 0
)
UPDATE webhook_messages SET next_attempt_at = clock_timestamp()
 WHERE :was_held AND endpoint_number = :number AND state = 'pending' AND attempt_count > 0
   AND next_attempt_at > clock_timestamp() AND last_attempt_at < :before

-- name: fails
-- Count a failure of the endpoint; since when it fails, and how often it did.
UPDATE webhook_endpoints
   SET failing_since = coalesce(failing_since, clock_timestamp()),
       failure_count = failure_count + 1
 WHERE number = :number
RETURNING extract(epoch FROM clock_timestamp() - failing_since)::float8 AS failing_s, failure_count

-- name: hold
-- Try nothing at the endpoint for a while.
UPDATE webhook_endpoints SET held_until = clock_timestamp() + make_interval(secs => :hold_s)
 WHERE number = :number

-- name: disable
-- Disable the endpoint, and tell the others.
WITH disabled AS (
    UPDATE webhook_endpoints SET disabled_at = clock_timestamp(), disabled_reason = :reason
     WHERE number = :number AND disabled_at IS NULL
    RETURNING id
)
SELECT id, tell_endpoints('endpoint.disabled', NULL, tallybook_now(),
                          jsonb_build_object('endpoint_id', id, 'reason', :reason::text))
  FROM disabled
