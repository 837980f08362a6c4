-- name: now
-- The sides of these accounts by their last entries. Within an account the order of recorded_at is
-- that of the ids, and of the commits.
SELECT coalesce(sum(free_after), 0)::bigint AS free, coalesce(sum(held_after), 0)::bigint AS held,
       coalesce(sum(debt_after), 0)::bigint AS debt, tallybook_now() AS now
  FROM unnest(:account_ids::bigint[]) AS account (id)
  JOIN LATERAL (SELECT free_after, held_after, debt_after FROM entries
                 WHERE entries.account_id = account.id
                 ORDER BY recorded_at DESC, id DESC LIMIT 1) AS last ON true

-- name: as_of
-- The sides of these accounts by the last entry recorded by then, that instant included.
SELECT coalesce(sum(free_after), 0)::bigint AS free, coalesce(sum(held_after), 0)::bigint AS held,
       coalesce(sum(debt_after), 0)::bigint AS debt, :as_of::timestamptz AS now
  FROM unnest(:account_ids::bigint[]) AS account (id)
  JOIN LATERAL (SELECT free_after, held_after, debt_after FROM entries
                 WHERE entries.account_id = account.id AND recorded_at <= :as_of
                 ORDER BY recorded_at DESC, id DESC LIMIT 1) AS last ON true
