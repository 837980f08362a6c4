-- name: begin
-- Begin a reconciliation that somebody asked for; only its own process works on it.
INSERT INTO reconciliations (started_by, dry_run, since_at, started_at, leased_until)
VALUES (:started_by, :dry_run, :since_at, tallybook_now(), 'infinity') RETURNING id

-- name: lock_going
-- Lock the newest hourly one that is under way and not given up.
SELECT * FROM reconciliations
 WHERE finished_at IS NULL AND hour_at IS NOT NULL
   AND started_at > tallybook_now() - :goes_on_for::interval
 ORDER BY id DESC LIMIT 1 FOR UPDATE

-- name: begin_hourly
-- Begin the hour's, free to be leased; no row if the hour has one.
INSERT INTO reconciliations (hour_at, started_by, dry_run, since_at, started_at, leased_until)
SELECT date_trunc('hour', now), 'hourly', false, :since_at, now, now - interval '1 s'
  FROM (SELECT tallybook_now() AS now) AS clock
ON CONFLICT (hour_at) DO NOTHING RETURNING *

-- name: lease
-- Lease it to this worker, unless another one has it.
UPDATE reconciliations SET leased_until = tallybook_now() + :lease::interval
 WHERE id = :id AND leased_until < tallybook_now() RETURNING true

-- name: save
-- Keep how far it is and what it found, and the lease.
UPDATE reconciliations
   SET part = :part, reached = :reached, notes = :notes,
       finished_at = CASE WHEN :part = 'done' THEN tallybook_now() END,
       leased_until = greatest(leased_until, tallybook_now() + :lease::interval),
       events_taken = :events_taken, payments = :payments, compared = :compared,
       recognized = :recognized, mended = :mended, waiting = :waiting, unmended = :unmended,
       not_compared = :not_compared
 WHERE id = :id

-- name: release
-- End the lease, so that the next tick goes on with it.
UPDATE reconciliations SET leased_until = tallybook_now() - interval '1 s'
 WHERE id = :id AND finished_at IS NULL

-- name: sight
-- Keep which of ours Stripe listed.
INSERT INTO sightings (subscription_id, reconciliation_id)
SELECT id, :id FROM subscriptions WHERE id = ANY(:subscription_ids::text[]) ORDER BY id
ON CONFLICT (subscription_id) DO UPDATE
   SET reconciliation_id = greatest(sightings.reconciliation_id, excluded.reconciliation_id)

-- name: unlisted
-- The next of ours, not canceled, that Stripe did not list since this one began.
SELECT id FROM subscriptions LEFT JOIN sightings ON subscription_id = id
 WHERE state <> 'canceled' AND coalesce(reconciliation_id, 0) < :id
   AND (:after::text IS NULL OR id > :after)
 ORDER BY id LIMIT :limit

-- name: fetched
-- Keep that no webhook brings this event, but this reconciliation.
INSERT INTO fetched_events (event_id, reconciliation_id) VALUES (:event_id, :id)
ON CONFLICT (event_id) DO NOTHING

-- name: recognized
-- How many of these a signed webhook told of.
SELECT count(*) FROM subscriptions
 WHERE id = ANY(:subscription_ids::text[]) AND EXISTS (
    SELECT FROM facts LEFT JOIN fetched_events USING (event_id)
     WHERE facts.subscription_id = subscriptions.id AND reconciliation_id IS NULL)

-- name: taken_over
-- By tier: subscriptions that a reconciliation brought before any webhook told of them.
WITH brought AS (
    SELECT subscription_id, min(occurred_at) AS first_at
      FROM fetched_events JOIN facts USING (event_id) GROUP BY subscription_id
)
SELECT coalesce(subscriptions.tier, 'no') AS tier, count(*) AS subscriptions
  FROM brought JOIN subscriptions ON id = subscription_id
 WHERE account_id IS NOT NULL AND state <> 'canceled' AND NOT EXISTS (
    SELECT FROM facts LEFT JOIN fetched_events USING (event_id)
     WHERE facts.subscription_id = brought.subscription_id
       AND reconciliation_id IS NULL AND occurred_at <= first_at)
 GROUP BY 1 ORDER BY 2 DESC, 1

-- name: compared_once
-- Whether any comparison with Stripe has come to its end.
SELECT EXISTS (SELECT FROM reconciliations WHERE finished_at IS NOT NULL AND NOT dry_run)
