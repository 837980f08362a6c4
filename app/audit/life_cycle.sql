-- name: subscriptions
-- One page of subscriptions by Stripe's id.
SELECT subscriptions.*, account_names.public_id AS public_account_id
  FROM subscriptions JOIN account_names USING (account_id)
 WHERE subscriptions.id > :after
   AND subscriptions.account_id = ANY(:account_ids::bigint[])  -- given: account_ids
   AND subscriptions.state = :state                            -- given: state
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

-- part: events
-- The inbox without the payloads, which may be half a megabyte.
SELECT id, number, type, api_version, livemode, created_at, received_at, verdict, verdict_reason,
       subscription_id, customer_id, attempt_count, next_attempt_at, error, delivery_count
  FROM events
 WHERE number <= :horizon
   AND verdict = :verdict                        -- given: verdict
   AND type = :type                              -- given: type
   AND subscription_id = :subscription_id        -- given: subscription_id
   AND customer_id = ANY(:customer_ids::text[])  -- given: customer_ids

-- name: events_up
-- One page of the inbox in order of receipt.
-- include: audit/life_cycle.sql events
   AND number > :after
 ORDER BY number LIMIT :limit

-- name: events_down
-- The newest first.
-- include: audit/life_cycle.sql events
   AND number < :after
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
