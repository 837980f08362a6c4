-- name: lock
-- Lock these events and their customers, where nobody is at work on them; true for each locked.
-- A group that stood at one customer's lock would hold up all the others; and where nothing is
-- waited for, no order of locks can be wrong.
SELECT CASE WHEN NOT pg_try_advisory_xact_lock(hashtextextended(event_id, :event_seed)) THEN false
            WHEN customer_id IS NULL THEN true
            ELSE pg_try_advisory_xact_lock(hashtextextended(customer_id, :customer_seed)) END AS locked
  FROM unnest(:event_ids::text[], :customer_ids::text[]) WITH ORDINALITY
       AS asked (event_id, customer_id, number)
 ORDER BY number

-- name: read
-- What is known of each event, its customer and its subscription, with the facts since the
-- checkpoint. LIMIT keeps each look-up by its index, also in a plan made while tables were small.
SELECT subscriptions.*, known.id IS NOT NULL AS known, claimed.id IS NOT NULL AS claimed,
       customer.account_id AS tied_to, customer.rank AS tie_rank, customer.deleted_at,
       account.external_id AS tied_id, facts.bodies,
       (SELECT max(id) FROM catalogues) AS present_catalogue_id, tallybook_now() AS now
  FROM unnest(:event_ids::text[], :customer_ids::text[], :subscription_ids::text[])
       WITH ORDINALITY AS asked (event_id, customer_id, subscription_id, number)
  LEFT JOIN LATERAL (
       SELECT events.id FROM events WHERE events.id = asked.event_id LIMIT 1) AS known ON true
  LEFT JOIN LATERAL (
       SELECT * FROM customers WHERE customers.id = asked.customer_id LIMIT 1) AS customer ON true
  LEFT JOIN LATERAL (
       SELECT accounts.external_id FROM accounts
        WHERE accounts.id = customer.account_id LIMIT 1) AS account ON true
  LEFT JOIN LATERAL (
       SELECT claims.customer_id AS id FROM claims
        WHERE claims.customer_id = asked.customer_id LIMIT 1) AS claimed ON true
  LEFT JOIN LATERAL (
       SELECT * FROM subscriptions WHERE subscriptions.id = asked.subscription_id
          AND subscriptions.customer_id = asked.customer_id LIMIT 1) AS subscriptions ON true
  LEFT JOIN LATERAL (
       SELECT array_agg(body::text) AS bodies FROM facts
        WHERE facts.subscription_id = subscriptions.id
          AND facts.occurred_at > coalesce(subscriptions.settled_to, '-infinity')) AS facts ON true
 ORDER BY number
