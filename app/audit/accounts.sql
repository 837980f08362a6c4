-- name: page
-- One page of accounts as last posted, but for those that were joined to others, in the order in
-- which they were opened. The state is that of the subscription that gives the tier, else of the most
-- alive.
SELECT accounts.*, public_id, tied.id AS customer_id, living.state,
       CASE WHEN suspended_at IS NULL THEN free ELSE 0 END AS available
  FROM accounts JOIN account_names ON account_names.account_id = accounts.id
  LEFT JOIN LATERAL (SELECT customers.id FROM customers
                      WHERE customers.account_id = accounts.id AND deleted_at IS NULL
                      ORDER BY rank, tied_at, customers.id LIMIT 1) AS tied ON true
  LEFT JOIN LATERAL (SELECT subscriptions.state FROM subscriptions
                      WHERE subscriptions.account_id = accounts.id
                      ORDER BY coalesce(subscriptions.tier, grace_tier) = accounts.tier DESC NULLS LAST,
                               array_position(ARRAY['active', 'past_due', 'created', 'canceled'],
                                              subscriptions.state)
                      LIMIT 1) AS living ON true
 WHERE joined_to IS NULL AND accounts.id > :after
   AND (:tier::text IS NULL OR accounts.tier = :tier)
   AND (:state::text IS NULL OR living.state = :state)
   AND (:available_lt::bigint IS NULL
        OR CASE WHEN suspended_at IS NULL THEN free ELSE 0 END < :available_lt)
   AND (:available_gte::bigint IS NULL
        OR CASE WHEN suspended_at IS NULL THEN free ELSE 0 END >= :available_gte)
   AND (:debt_gt::bigint IS NULL OR debt > :debt_gt)
   AND (:closed::boolean IS NULL OR (closed_at IS NOT NULL) = :closed)
   AND (:suspended::boolean IS NULL OR (suspended_at IS NOT NULL) = :suspended)
   AND (:customer_id::text IS NULL
        OR accounts.id = (SELECT account_id FROM customers WHERE customers.id = :customer_id))
 ORDER BY accounts.id LIMIT :limit
