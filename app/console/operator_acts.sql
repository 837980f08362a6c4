-- name: newest
-- The newest acts of operators before one. The reason of an act that made a journal is the journal's.
SELECT operator_acts.*, coalesce(operator_acts.reason, notes.reason) AS told_reason,
       account_names.public_id
  FROM operator_acts
  LEFT JOIN notes ON notes.journal_id = operator_acts.journal_id
  LEFT JOIN account_names USING (account_id)
 WHERE operator_acts.id < :before
   AND act = :act  -- given: act
 ORDER BY operator_acts.id DESC LIMIT :limit

-- name: going
-- The reversals of runs that go on.
SELECT id, of_run_id, reason, actor, journal_count FROM reversals WHERE state = 'going' ORDER BY id
