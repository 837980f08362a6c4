-- name: givings
-- The accounts' subscriptions that give something, and in a row of no account the newest catalogue.
SELECT NULL AS id, NULL::bigint AS account_id, NULL AS tier, NULL AS grace_tier,
       NULL::timestamptz AS grace_ends_at, NULL::timestamptz AS failing_since,
       max(catalogues.id) AS catalogue_id
  FROM catalogues
 UNION ALL
SELECT id, account_id, tier, grace_tier, grace_ends_at, failing_since, NULL FROM subscriptions
 WHERE account_id = ANY(:account_ids::bigint[]) AND num_nonnulls(tier, grace_tier) > 0

-- name: brought
-- What joins brought to these accounts, and what their subscriptions brought from others. What
-- a subscription brought from an account that was joined here since counts once, by the join.
SELECT account_id, NULL AS subscription_id, from_account_id, until_at, amount
  FROM brought_use WHERE account_id = ANY(:account_ids::bigint[])
 UNION ALL
SELECT subscriptions.account_id, subscription_id, from_account_id, until_at, amount
  FROM subscriptions
  JOIN moved_use ON subscription_id = subscriptions.id
  JOIN accounts AS source ON source.id = from_account_id
 WHERE subscriptions.account_id = ANY(:account_ids)
   AND coalesce(source.joined_to, source.id) <> subscriptions.account_id
