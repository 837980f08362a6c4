-- name: now_of_many
-- The sides of the accounts behind each of these ids, and of those that were joined to them, by their
-- last entries; an id that no account has is left out.
SELECT asked.public_id, coalesce(sum(free_after), 0)::bigint AS free,
       coalesce(sum(held_after), 0)::bigint AS held, coalesce(sum(debt_after), 0)::bigint AS debt,
       tallybook_now() AS now
  FROM unnest(:public_ids::text[]) AS asked (public_id)
 CROSS JOIN LATERAL (
           SELECT account_id AS id FROM known_ids WHERE external_id = asked.public_id
            UNION
           SELECT account_id FROM customers
            WHERE id = asked.public_id AND account_id IS NOT NULL) AS named
 CROSS JOIN LATERAL (
           SELECT named.id UNION ALL
           SELECT id FROM accounts WHERE joined_to = named.id) AS account
  LEFT JOIN LATERAL (
           SELECT free_after, held_after, debt_after FROM entries
            WHERE entries.account_id = account.id
            ORDER BY recorded_at DESC, id DESC LIMIT 1) AS last ON true
 GROUP BY asked.public_id

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
