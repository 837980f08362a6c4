-- name: may_join
-- Whether an event may join two accounts: the first owes nothing, and what a pack may bring for a
-- moment besides stays within the greatest balance too.
SELECT source.debt = 0 AND source.free + source.held + target.free + target.held + coalesce(
           (SELECT sum(credits) FROM backings WHERE account_id = source.id), 0) <= :most::bigint
  FROM accounts AS source, accounts AS target WHERE source.id = :source AND target.id = :target
