-- part: told
SELECT reversals.*, account_names.public_id AS public_account_id
  FROM reversals LEFT JOIN account_names USING (account_id)

-- name: up
-- One page of reversals, oldest first: an account's with its parts of runs, else without parts.
-- include: audit/reversals.sql told
 WHERE reversals.id > :after AND reversals.id <= :horizon
   AND account_id = ANY(:account_ids::bigint[])  -- given: account_ids
   AND house IS DISTINCT FROM 'spent'            -- a lot's part of a reversed return
   AND part_of IS NULL                           -- absent: account_ids
   AND of_run_id = :run_id                       -- given: run_id
 ORDER BY reversals.id LIMIT :limit

-- name: down
-- The newest first.
-- include: audit/reversals.sql told
 WHERE reversals.id < :after AND reversals.id <= :horizon
   AND account_id = ANY(:account_ids::bigint[])  -- given: account_ids
   AND house IS DISTINCT FROM 'spent'            -- a lot's part of a reversed return
   AND part_of IS NULL                           -- absent: account_ids
   AND of_run_id = :run_id                       -- given: run_id
 ORDER BY reversals.id DESC LIMIT :limit

-- name: one
-- A reversal.
-- include: audit/reversals.sql told
 WHERE reversals.id = :id
