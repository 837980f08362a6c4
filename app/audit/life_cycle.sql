-- name: subscriptions
-- One page of subscriptions by Stripe's id.
SELECT subscriptions.*, account_names.public_id AS public_account_id
  FROM subscriptions JOIN account_names USING (account_id)
 WHERE (:account_ids::bigint[] IS NULL OR subscriptions.account_id = ANY(:account_ids))
   AND (:state::text IS NULL OR subscriptions.state = :state)
   AND subscriptions.id > :after
 ORDER BY subscriptions.id LIMIT :limit

-- name: subscription
-- One subscription.
SELECT subscriptions.*, account_names.public_id AS public_account_id
  FROM subscriptions JOIN account_names USING (account_id) WHERE subscriptions.id = :id

-- name: transitions
-- One page of a subscription's steps, oldest first.
SELECT * FROM transitions
 WHERE subscription_id = :subscription_id AND id > :after AND id <= :horizon
 ORDER BY id LIMIT :limit

-- name: events_up
-- One page of the inbox in order of receipt, without the payloads, which may be half a megabyte.
SELECT id, number, type, api_version, livemode, created_at, received_at, verdict, verdict_reason,
       subscription_id, customer_id, attempt_count, next_attempt_at, error, delivery_count
  FROM events
 WHERE (:verdict::text IS NULL OR verdict = :verdict) AND (:type::text IS NULL OR type = :type)
   AND (:subscription_id::text IS NULL OR subscription_id = :subscription_id)
   AND (:customer_ids::text[] IS NULL OR customer_id = ANY(:customer_ids))
   AND number > :after AND number <= :horizon
 ORDER BY number LIMIT :limit

-- name: events_down
-- The newest first.
SELECT id, number, type, api_version, livemode, created_at, received_at, verdict, verdict_reason,
       subscription_id, customer_id, attempt_count, next_attempt_at, error, delivery_count
  FROM events
 WHERE (:verdict::text IS NULL OR verdict = :verdict) AND (:type::text IS NULL OR type = :type)
   AND (:subscription_id::text IS NULL OR subscription_id = :subscription_id)
   AND (:customer_ids::text[] IS NULL OR customer_id = ANY(:customer_ids))
   AND number < :after AND number <= :horizon
 ORDER BY number DESC LIMIT :limit

-- name: event
-- One event, with its payload.
SELECT id, type, api_version, livemode, created_at, received_at, verdict, verdict_reason,
       subscription_id, customer_id, attempt_count, next_attempt_at, error, delivery_count, payload
  FROM events WHERE id = :id

-- name: deliveries
-- The verdicts of an event's newest deliveries and tries, the newest first.
SELECT * FROM deliveries WHERE event_id = :event_id ORDER BY id DESC LIMIT :limit

-- name: customers_of
-- The customers that are tied to these accounts.
SELECT id FROM customers WHERE account_id = ANY(:account_ids::bigint[])
