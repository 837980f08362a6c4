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
   AND accounts.id <= :last                                               -- given: last
   AND accounts.tier = :tier                                              -- given: tier
   AND living.state = :state                                              -- given: state
   AND accounts.id IN (SELECT account_id FROM subscriptions               -- given: state
                        WHERE subscriptions.state = :state                -- given: state
                          AND account_id > :after)                        -- given: state
   AND CASE WHEN suspended_at IS NULL THEN free ELSE 0 END < :available_lt   -- given: available_lt
   AND CASE WHEN suspended_at IS NULL THEN free ELSE 0 END >= :available_gte -- given: available_gte
   AND debt > :debt_gt                                                    -- given: debt_gt
   AND debt > 0                                                           -- given: owing
   AND closed_at IS NOT NULL                                              -- given: closed
   AND closed_at IS NULL                                                  -- given: not_closed
   AND suspended_at IS NOT NULL                                           -- given: suspended
   AND suspended_at IS NULL                                               -- given: not_suspended
   AND accounts.id = (SELECT account_id FROM customers                    -- given: customer_id
                       WHERE customers.id = :customer_id)                 -- given: customer_id
 ORDER BY accounts.id LIMIT :limit

-- name: nth
-- The account that comes after so many others.
SELECT id FROM accounts WHERE id > :after ORDER BY id OFFSET :before_it LIMIT 1
