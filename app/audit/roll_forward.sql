-- part: columns
-- Each kind that changes a balance has one column; the closing is summed apart from them all, so that
-- it proves them.
       coalesce(sum(change) FILTER (WHERE recorded_at < :start), 0) AS opening,
       coalesce(sum(change) FILTER (WHERE within AND kind = 'grant'), 0) AS granted,
       coalesce(sum(change) FILTER (WHERE within AND kind = 'purchase'), 0) AS purchased,
       coalesce(-sum(change) FILTER (WHERE within AND kind = 'spend'), 0) AS spent,
       coalesce(sum(change) FILTER (WHERE within AND kind = 'return'), 0) AS returned,
       coalesce(-sum(change) FILTER (WHERE within AND kind = 'refund'), 0) AS refunded,
       coalesce(-sum(change) FILTER (WHERE within AND kind = 'expiry'), 0) AS expired,
       coalesce(sum(change) FILTER (WHERE within AND kind = 'adjustment'), 0) AS adjusted,
       coalesce(sum(change) FILTER (WHERE within AND kind = 'transfer'), 0) AS transferred,
       coalesce(sum(change) FILTER (WHERE within AND kind = 'reversal'), 0) AS reversed,
       coalesce(sum(change), 0) AS closing

-- name: sums
-- Changes of balances by kind within [:start, :end).
SELECT
-- include: audit/roll_forward.sql columns
  FROM (SELECT kind, recorded_at, recorded_at >= :start AS within, change
          FROM entry_changes
         WHERE recorded_at < :end
           AND (:account_ids::bigint[] IS NULL OR account_id = ANY(:account_ids))) AS changes

-- name: sums_by_lot_source
-- The same of what is free and held, by the source of its lots, and of what is owed. A repayment moves
-- credits of a source against the debt.
SELECT lot_source,
       coalesce(sum(change) FILTER (WHERE within AND kind = 'repayment'), 0) AS repaid,
-- include: audit/roll_forward.sql columns
  FROM (SELECT kind, recorded_at, recorded_at >= :start AS within, moved.*
          FROM entries JOIN lots ON lots.id = lot_id
         CROSS JOIN LATERAL (VALUES
               (lots.source::text, amount * ((credit IN ('free', 'held'))::int
                                             - (debit IN ('free', 'held'))::int)),
               ('debt', amount * ((credit = 'debt')::int - (debit = 'debt')::int)))
               AS moved (lot_source, change)
         WHERE recorded_at < :end AND change <> 0
           AND (:account_ids::bigint[] IS NULL OR entries.account_id = ANY(:account_ids))) AS changes
 GROUP BY lot_source

-- name: sums_by_tier
-- The same by the tier with which the day of each lot was opened; of accounts that were joined since,
-- the day that the lot was of. Lots of no day are of no tier.
WITH RECURSIVE tiers AS (
    SELECT lot.id AS lot_id, tier
      FROM daily_grants
     CROSS JOIN LATERAL (VALUES (lot_id, true), (carried_lot_id, opening = 1)) AS lot (id, own)
     WHERE lot.id IS NOT NULL AND lot.own
       AND account_id = ANY(:account_ids::bigint[])  -- given: account_ids
     UNION ALL
    SELECT to_lot_id, tier FROM tiers JOIN moved_lots USING (lot_id)
)
SELECT tier,
       coalesce(sum(change) FILTER (WHERE within AND kind = 'repayment'), 0) AS repaid,
-- include: audit/roll_forward.sql columns
  FROM (SELECT kind, recorded_at, recorded_at >= :start AS within, moved.*
          FROM entries LEFT JOIN tiers USING (lot_id)
         CROSS JOIN LATERAL (VALUES
               (coalesce(tiers.tier, 'none'), amount * ((credit IN ('free', 'held'))::int
                                                        - (debit IN ('free', 'held'))::int)),
               ('debt', amount * ((credit = 'debt')::int - (debit = 'debt')::int)))
               AS moved (tier, change)
         WHERE recorded_at < :end AND change <> 0
           AND entries.account_id = ANY(:account_ids::bigint[])  -- given: account_ids
       ) AS changes
 GROUP BY tier
