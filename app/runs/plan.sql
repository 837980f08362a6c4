-- name: plan
-- The accounts that are due by wave and tier, and what their days would issue, expire and carry.
WITH
-- include: allowance/entitlement.sql tiers
,
-- include: allowance/entitlement.sql day_tiers
, zones AS MATERIALIZED (
    SELECT * FROM unnest(:zones::text[], :dates::date[], :starts::timestamptz[],
                         :used_since::timestamptz[])
        AS zone (name, day_on, starts_at, used_since)
), accounts_due AS MATERIALIZED (
    SELECT accounts.*, zones.day_on AS next_on, zones.starts_at AS opens_at,
           closed_at IS NULL AND held = 0 AND due_at = day_ends_at
               AND coalesce(coalesce(last_used_at, opened_at) <= used_since, false) AS dormant
      FROM accounts JOIN zones ON zones.name = accounts.time_zone
     WHERE due_at <= (SELECT tallybook_now()) AND day_ends_at <= (SELECT tallybook_now())
       AND accounts.day_on < zones.day_on AND suspended_at IS NULL
)
SELECT next_on, opens_at AS next_at, array_agg(DISTINCT time_zone) AS zones, entitled.name AS tier,
       closed_at IS NOT NULL AS closed, dormant, count(*) AS account_count,
       sum(entitled.credits)::bigint AS issued, sum(day_lots.free - kept)::bigint AS expired,
       sum(kept)::bigint AS carried, sum(next_on - accounts.day_on - 1)::bigint AS not_opened
  FROM accounts_due AS accounts
 CROSS JOIN LATERAL (
-- include: allowance/entitlement.sql ended_as
       ) AS ended_as
 CROSS JOIN LATERAL (
        SELECT coalesce(sum(free), 0) AS free FROM lots
         WHERE account_id = accounts.id AND live AND source IN ('daily', 'carried')
           AND expires_at = day_ends_at) AS day_lots
 CROSS JOIN LATERAL (SELECT least(day_lots.free, ended_as.carry_over_max) AS kept) AS carried
 CROSS JOIN LATERAL (
-- include: allowance/entitlement.sql entitled
       ) AS entitled
 GROUP BY next_on, opens_at, entitled.name, entitled.credits, closed, dormant
 ORDER BY opens_at, next_on, entitled.credits DESC, tier
