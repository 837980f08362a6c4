-- part: tiers
-- The catalogue in force, the best tier first: see ``tier_columns``.
tiers AS MATERIALIZED (
    SELECT * FROM unnest(:names::text[], :credits::bigint[], :grace_days::integer[])
        WITH ORDINALITY AS tier (name, credits, grace_days, rank)
)

-- part: day_tiers
-- The tiers of the days that each catalogue opened: see ``Catalogues.tiers_of_days``.
day_tiers AS MATERIALIZED (
    SELECT * FROM unnest(:of_catalogues::bigint[], :of_tiers::text[], :of_credits::bigint[],
                         :of_carries::bigint[])
        AS tier (catalogue_id, name, credits, carry_over_max)
)

-- part: ended_as
-- The tier with which the account's day ends, as its catalogue has it; FREE's credits if that
-- dropped it since.
SELECT coalesce(own.credits, free.credits) AS credits, coalesce(own.carry_over_max, 0) AS carry_over_max
  FROM day_tiers AS free
  LEFT JOIN day_tiers AS own ON own.catalogue_id = free.catalogue_id AND own.name = accounts.tier
 WHERE free.catalogue_id = accounts.day_catalogue_id AND free.name = 'FREE'

-- part: entitled
-- The tier and credits to which the account is entitled at ``opens_at``, as ``entitled_tier`` says.
SELECT name, credits FROM (
    SELECT tiers.name, tiers.credits, tiers.rank FROM subscriptions
      JOIN tiers ON tiers.name = coalesce(subscriptions.tier, subscriptions.grace_tier)
     WHERE subscriptions.account_id = accounts.id
       AND (subscriptions.tier IS NOT NULL
            OR coalesce(subscriptions.failing_since + tiers.grace_days * interval '1 day',
                        subscriptions.grace_ends_at) > opens_at)
    UNION ALL SELECT tiers.name, tiers.credits, NULL FROM tiers WHERE tiers.name = 'FREE'
) AS given ORDER BY rank NULLS LAST LIMIT 1
