-- part: stands
-- A checkpoint holds for what came after it, by the same catalogue and of our own form.
WITH stands AS (
    SELECT * FROM subscriptions WHERE id = :subscription_id
), checkpoint AS (
    SELECT settled_to FROM stands
     WHERE settled_catalogue_id = :catalogue_id AND settled_to < :after
       AND (settled->>'form')::integer = :form
)

-- part: found
SELECT stands.*, (SELECT settled_to FROM checkpoint) AS folded_to, (
           SELECT array_agg(body::text) FROM facts WHERE subscription_id = :subscription_id
              AND occurred_at > coalesce((SELECT settled_to FROM checkpoint), '-infinity')
       ) AS bodies
  FROM (VALUES (true)) AS one LEFT JOIN stands ON true

-- name: read
-- A subscription's row and its facts since its checkpoint, if that holds, else all of them.
-- include: subscriptions/store.sql stands
-- include: subscriptions/store.sql found

-- name: keep_and_read
-- The same, and keep a new fact, unless it would take the subscription from its customer.
-- include: subscriptions/store.sql stands
, added AS (
    INSERT INTO facts (event_id, subscription_id, occurred_at, body, reading)
    SELECT :event_id, :subscription_id, :after, :body::jsonb, :reading
     WHERE NOT EXISTS (SELECT FROM stands WHERE customer_id <> :customer_id)
    ON CONFLICT (event_id, reading) DO NOTHING
)
-- include: subscriptions/store.sql found

-- name: keep
-- Keep a fact of a subscription that has no row yet.
INSERT INTO facts (event_id, subscription_id, occurred_at, body, reading)
VALUES (:event_id, :subscription_id, :occurred_at, :body::jsonb, :reading)
ON CONFLICT (event_id, reading) DO NOTHING

-- part: upserted
INSERT INTO subscriptions
       (id, account_id, customer_id, state, status, price_id, price_ids, period_end_at,
        billing_cycle, cancel_at_period_end, cancel_at, tier, grace_tier, failing_since,
        grace_ends_at, last_event_id, last_event_at, catalogue_id, settled_to, settled,
        settled_catalogue_id, created_at, updated_at)
SELECT id, account_id, customer_id, state, status, price_id, price_ids, period_end_at,
       billing_cycle, cancel_at_period_end, cancel_at, tier, grace_tier, failing_since,
       grace_ends_at, last_event_id, last_event_at, catalogue_id, settled_to, settled,
       settled_catalogue_id, created_at, (SELECT tallybook_now())
  FROM jsonb_populate_recordset(NULL::subscriptions, :rows::jsonb)
ON CONFLICT (id) DO UPDATE
   SET account_id = excluded.account_id, state = excluded.state, status = excluded.status,
       price_id = excluded.price_id, price_ids = excluded.price_ids,
       period_end_at = excluded.period_end_at, billing_cycle = excluded.billing_cycle,
       cancel_at_period_end = excluded.cancel_at_period_end, cancel_at = excluded.cancel_at,
       tier = excluded.tier, grace_tier = excluded.grace_tier,
       failing_since = excluded.failing_since, grace_ends_at = excluded.grace_ends_at,
       last_event_id = excluded.last_event_id, last_event_at = excluded.last_event_at,
       catalogue_id = excluded.catalogue_id, settled_to = excluded.settled_to,
       settled = excluded.settled, settled_catalogue_id = excluded.settled_catalogue_id,
       created_at = excluded.created_at, updated_at = excluded.updated_at
 WHERE subscriptions.customer_id = excluded.customer_id

-- name: upsert
-- Write subscriptions as they were derived; one of another customer is left as it is.
-- include: subscriptions/store.sql upserted

-- name: keep_and_upsert
-- Keep new facts and write their subscriptions.
WITH added AS (
    INSERT INTO facts (event_id, subscription_id, occurred_at, body)
    SELECT event_id, subscription_id, occurred_at, body::jsonb
      FROM unnest(:event_ids::text[], :subscription_ids::text[], :occurred_at::timestamptz[],
                  :bodies::text[]) AS fact (event_id, subscription_id, occurred_at, body)
)
-- include: subscriptions/store.sql upserted

-- name: add_transition
-- Keep a step of the state machine.
INSERT INTO transitions (subscription_id, from_state, to_state, trigger, event_id, effective_at,
                         recorded_at)
VALUES (:subscription_id, :from_state, :to_state, :trigger, :event_id, :effective_at,
        tallybook_now())

-- name: customer_of
-- The customer of a known subscription.
SELECT customer_id FROM subscriptions WHERE id = :subscription_id

-- name: facts_of
-- Everything that was told of a subscription.
SELECT array_agg(body::text) FROM facts WHERE subscription_id = :subscription_id

-- name: newest_payloads
-- The bodies of these events, each by its newest reading.
SELECT id, coalesce((SELECT payload FROM event_bodies WHERE event_id = events.id
                      ORDER BY id DESC LIMIT 1), payload) AS payload
  FROM events WHERE id = ANY(:event_ids::text[])
