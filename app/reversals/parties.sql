-- name: parties
-- These accounts, the one that they are joined to, and those joined there whose lots repaid debt.
WITH present AS (
    SELECT DISTINCT coalesce(joined_to, id) AS id FROM accounts WHERE id = ANY(:account_ids::bigint[])
)
SELECT accounts.id FROM accounts, present
 WHERE accounts.id = present.id OR accounts.id = ANY(:account_ids::bigint[])
    OR joined_to = present.id AND EXISTS (
       SELECT FROM entries
        WHERE entries.account_id = accounts.id AND entries.kind = 'repayment')
