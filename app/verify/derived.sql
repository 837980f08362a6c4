-- name: subscriptions
-- A page of subscriptions with the deletion of their customers and all their facts.
SELECT subscriptions.*, deleted_at, deleted_event_id, (
           SELECT array_agg(body::text) FROM facts WHERE subscription_id = subscriptions.id) AS bodies
  FROM subscriptions JOIN customers ON customers.id = customer_id
 WHERE subscriptions.id > :after ORDER BY subscriptions.id LIMIT :limit

-- name: purchases
-- A page of purchases with what is kept of the money that went back.
SELECT purchases.*, (
           SELECT coalesce(jsonb_agg(jsonb_build_array(kind, money_back.id, amount, standing)), '[]')
             FROM money_back WHERE money_back.payment_key = purchases.payment_key)::text AS parts
  FROM purchases WHERE payment_key > :after ORDER BY payment_key LIMIT :limit

-- name: session_facts
-- What was told of a session without a payment.
SELECT body::text FROM money_facts WHERE kind = 'session' AND object_id = :session_id
