-- name: sums
-- Changes of balances by kind within [:start, :end). Each kind that changes a balance has one
-- column; the closing is summed apart from them all, so that it proves them.
SELECT coalesce(sum(change) FILTER (WHERE recorded_at < :start), 0) AS opening,
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
  FROM (SELECT kind, recorded_at, recorded_at >= :start AS within, change
          FROM entry_changes
         WHERE recorded_at < :end
           AND (:account_ids::bigint[] IS NULL OR account_id = ANY(:account_ids))) AS changes
