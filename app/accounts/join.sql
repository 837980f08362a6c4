-- name: may_join
-- Whether an event may join two accounts: the first owes nothing, and what a pack may bring for a
-- moment besides stays within the greatest balance too.
SELECT source.debt = 0 AND source.free + source.held + target.free + target.held + coalesce(
           (SELECT sum(credits) FROM backings WHERE account_id = source.id), 0) <= :most::bigint
  FROM accounts AS source, accounts AS target WHERE source.id = :source AND target.id = :target

-- name: take_over_use
-- Count the last use of the joined account as the other's.
UPDATE accounts SET last_used_at = greatest(accounts.last_used_at, source.last_used_at)
  FROM accounts AS source WHERE accounts.id = :target AND source.id = :source

-- name: end_joined
-- Close the joined account, for its entries; those that were joined to it are the other's too.
UPDATE accounts SET closed_at = coalesce(closed_at, tallybook_now()), joined_to = :target,
                    due_at = :never, last_used_at = NULL
 WHERE id = :source OR joined_to = :source
