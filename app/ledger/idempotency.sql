-- name: lock_operators_key
-- Let one act at a time have this key of an operator; three tables hold such keys.
SELECT pg_advisory_xact_lock(hashtextextended('tallybook operator key ' || :key, 0))

-- name: operators_answer
-- Find what was answered under this key of an operator: by a journal, by a run's reversal, whose
-- answer stands in its own row, or by an act on an account, whose answer is the account.
SELECT jsonb_agg(answered) FROM (
    SELECT idempotency_key AS key, journals.id AS journal_id,
           encode(request_hash, 'hex') AS request_hash, answer,
           array(SELECT entries.id FROM entries
                  WHERE entries.journal_id = journals.id ORDER BY entries.id) AS entry_ids
      FROM journals LEFT JOIN notes ON notes.journal_id = journals.id
     WHERE idempotency_key = :key AND kind IN ('grant', 'adjustment', 'reversal', 'transfer')
    UNION ALL
    SELECT idempotency_key, 0, encode(request_hash, 'hex'), '{}', '{}' FROM reversals
     WHERE idempotency_key = :key
    UNION ALL
    SELECT idempotency_key, 0, encode(request_hash, 'hex'), '{}', '{}' FROM operator_acts
     WHERE idempotency_key = :key) AS answered
