-- name: insert
-- Store an event that is still to be ruled, under the lock of its id; no row if it is known.
WITH held AS MATERIALIZED (
    SELECT pg_advisory_xact_lock(hashtextextended(:event_id, :seed))
)
INSERT INTO events (id, type, api_version, livemode, created_at, received_at, payload, verdict,
                    verdict_reason)
SELECT :event_id, :type, :api_version, :livemode, :created_at, tallybook_now(), :payload, 'ignored',
       ''
  FROM held
ON CONFLICT (id) DO NOTHING RETURNING true

-- name: insert_ruled
-- Store events that are ruled, and these deliveries of them. Known events are left out, and those
-- that somebody else is at work on: nobody is waited for. The ids that were stored.
WITH clock AS MATERIALIZED (SELECT tallybook_now() AS now), stored AS (
    INSERT INTO events (id, type, api_version, livemode, created_at, received_at, payload, verdict,
                        verdict_reason, subscription_id, customer_id, attempt_count)
    SELECT new.id, type, api_version, livemode, created_at, now, payload, verdict, reason,
           subscription_id, customer_id, 1
      FROM unnest(:ids::text[], :types::text[], :api_versions::text[], :livemodes::boolean[],
                  :created_at::timestamptz[], :payloads::bytea[], :verdicts::text[],
                  :reasons::text[], :subscription_ids::text[], :customer_ids::text[])
           AS new (id, type, api_version, livemode, created_at, payload, verdict, reason,
                   subscription_id, customer_id), clock
     WHERE pg_try_advisory_xact_lock(hashtextextended(new.id, :seed))
    ON CONFLICT (id) DO NOTHING
    RETURNING id, received_at, verdict, verdict_reason
)
INSERT INTO deliveries (event_id, received_at, verdict, reason)
SELECT id, received_at, verdict, verdict_reason FROM stored
RETURNING event_id

-- name: count_copy
-- Count a delivery of a known event.
WITH counted AS (
    UPDATE events SET delivery_count = delivery_count + 1 WHERE id = :event_id
)
INSERT INTO deliveries (event_id, received_at, verdict, reason)
VALUES (:event_id, tallybook_now(), 'duplicate', :reason)

-- name: keep_other_bytes
-- Keep other bytes of a parked event and count the delivery; the number of their reading.
WITH parked AS (
    UPDATE events SET delivery_count = delivery_count + 1
     WHERE id = :event_id AND verdict = 'parked' AND payload <> :payload
       AND NOT EXISTS (SELECT FROM event_bodies AS known
                        WHERE known.event_id = :event_id AND known.payload = :payload)
    RETURNING id
), kept AS (
    INSERT INTO event_bodies (event_id, received_at, payload)
    SELECT id, tallybook_now(), :payload FROM parked RETURNING 1
)
SELECT 1 + (SELECT count(*) FROM event_bodies WHERE event_id = :event_id) + count(*)
  FROM kept HAVING count(*) > 0

-- name: bodies
-- Every body of an event, the first one first.
SELECT payload FROM events WHERE id = :event_id
 UNION ALL
(SELECT payload FROM event_bodies WHERE event_id = :event_id ORDER BY id)

-- name: rule
-- Write the event's verdict, and that of this delivery or try.
WITH ruled AS (
    UPDATE events
       SET verdict = :verdict, verdict_reason = :reason, next_attempt_at = NULL, error = NULL,
           attempt_count = attempt_count + 1,
           subscription_id = coalesce(:subscription_id, subscription_id),
           customer_id = coalesce(:customer_id, customer_id)
     WHERE id = :event_id
)
INSERT INTO deliveries (event_id, received_at, verdict, reason)
VALUES (:event_id, tallybook_now(), :verdict, :reason)

-- name: queue
-- Keep the event for a try after this transaction.
WITH queued AS (
    UPDATE events
       SET verdict = 'queued', verdict_reason = :reason,
           next_attempt_at = tallybook_now() + :delay::interval
     WHERE id = :event_id
)
INSERT INTO deliveries (event_id, received_at, verdict, reason)
VALUES (:event_id, tallybook_now(), 'queued', :reason)

-- name: claim_try
-- Let nobody else try the queued event for as long.
UPDATE events SET next_attempt_at = tallybook_now() + :lease::interval WHERE id = :event_id

-- name: attempts
-- Lock an event; how often it was tried.
SELECT attempt_count FROM events WHERE id = :event_id FOR UPDATE

-- name: fail
-- Keep a failed try with its error and the verdict that it leads to.
WITH failed AS (
    UPDATE events
       SET verdict = :verdict, verdict_reason = :reason, error = :error,
           attempt_count = attempt_count + 1,
           next_attempt_at = tallybook_now() + :delay::interval
     WHERE id = :event_id
)
INSERT INTO deliveries (event_id, received_at, verdict, reason)
VALUES (:event_id, tallybook_now(), :verdict, :reason)

-- name: due
-- Lock one queued event whose next try has come. Questions to Stripe have a thin event's type.
SELECT id FROM events
 WHERE verdict = 'queued' AND next_attempt_at <= tallybook_now()
   AND (:questions_too OR type NOT LIKE 'v1.%')
 ORDER BY next_attempt_at LIMIT 1 FOR UPDATE SKIP LOCKED

-- name: next_attempt_at
-- The instant at which the next queued event is to be tried.
SELECT min(next_attempt_at) FROM events WHERE verdict = 'queued'
