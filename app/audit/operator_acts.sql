-- name: acts
-- One page of acts, oldest first. The reason of an act that made a journal is the journal's.
SELECT operator_acts.*, coalesce(operator_acts.reason, notes.reason) AS told_reason,
       account_names.public_id AS public_account_id
  FROM operator_acts
  LEFT JOIN notes ON notes.journal_id = operator_acts.journal_id
  LEFT JOIN account_names USING (account_id)
 WHERE operator_acts.id > :after AND operator_acts.id <= :horizon
   AND act = :act  -- given: act
 ORDER BY operator_acts.id LIMIT :limit
