-- name: kinds
-- The kinds of living subscriptions: alike in prices, state and tiers.
SELECT DISTINCT row(price_ids, state, status, tier, grace_tier)::text AS key,
       price_ids, state, status, tier, grace_tier
  FROM subscriptions WHERE state <> 'canceled'

-- name: running
-- The catalogues that opened the running days.
SELECT DISTINCT coalesce(day_catalogue_id, :present_id::bigint) AS catalogue_id
  FROM accounts WHERE closed_at IS NULL ORDER BY 1

-- name: moves
-- Accounts grouped by what they get by the catalogue before and by the one after: all of them, or
-- those whose running day was opened by :opened_by.
WITH before AS (
    SELECT * FROM unnest(:before_names::text[], :before_credits::bigint[],
                         :before_grace_days::integer[])
        WITH ORDINALITY AS tier (name, credits, grace_days, rank)
), after AS (
    SELECT * FROM unnest(:after_names::text[], :after_credits::bigint[],
                         :after_grace_days::integer[])
        WITH ORDINALITY AS tier (name, credits, grace_days, rank)
), kinds AS (
    SELECT * FROM unnest(:keys::text[], :kinds_before::text[], :kinds_after::text[])
        AS kind (key, before, after)
), given AS (
    -- One of which no price is known yet stands on no account: it will on its customer's.
    SELECT coalesce(subscriptions.account_id, customers.account_id) AS account_id,
           min(before.rank) FILTER (WHERE tier IS NOT NULL OR tallybook_now() <
               coalesce(failing_since + before.grace_days * interval '1 day', grace_ends_at))
               AS before,
           min(after.rank) FILTER (WHERE grace_tier IS NULL OR tallybook_now() <
               coalesce(failing_since + after.grace_days * interval '1 day', grace_ends_at))
               AS after
      FROM subscriptions
      JOIN customers ON customers.id = customer_id
      JOIN kinds ON key = row(price_ids, state, status, tier, grace_tier)::text
      LEFT JOIN before ON before.name = kinds.before LEFT JOIN after ON after.name = kinds.after
     WHERE state <> 'canceled' GROUP BY 1
)
SELECT before.name AS before, after.name AS after, count(*) AS accounts,
       before.credits AS credits_before, after.credits AS credits_after,
       min(external_id) AS example, max(external_id) AS another
  FROM accounts LEFT JOIN given ON given.account_id = accounts.id
  JOIN before ON before.rank = coalesce(given.before,
                                        (SELECT rank FROM before WHERE name = 'FREE'))
  JOIN after ON after.rank = coalesce(given.after, (SELECT rank FROM after WHERE name = 'FREE'))
 WHERE closed_at IS NULL
   AND coalesce(coalesce(day_catalogue_id, :present_id::bigint) = :opened_by::bigint, true)
 GROUP BY before.name, after.name, before.credits, after.credits, before.rank, after.rank
 ORDER BY before.rank, after.rank

-- name: prices
-- The prices of the living subscriptions, and how many have each.
SELECT price, count(*) AS subscription_count
  FROM subscriptions, unnest(price_ids) AS price WHERE state <> 'canceled'
 GROUP BY price ORDER BY price
