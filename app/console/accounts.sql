-- name: present
-- The id under which an account is known now.
SELECT public_id FROM account_names WHERE account_id = :id

-- name: named
-- What of Stripe's has this id: an event, or the account of a subscription or of a payment.
SELECT true AS is_event, id FROM events WHERE id = :id
 UNION ALL
SELECT false, account_names.public_id
  FROM subscriptions JOIN account_names USING (account_id) WHERE subscriptions.id = :id
 LIMIT 1

-- name: begin_so
-- The ids of accounts, former ones too, that come next in their order, which is the database's own.
SELECT external_id FROM known_ids WHERE external_id >= :text ORDER BY external_id LIMIT :limit
