-- name: lock_operators_keys
-- Let one act at a time have these keys of an operator; three tables hold such keys. In order, so that
-- two acts with several do not wait for each other.
SELECT pg_advisory_xact_lock(number)
  FROM (SELECT DISTINCT hashtextextended('tallybook operator key ' || key, 0) AS number
          FROM unnest(:keys::text[]) AS key ORDER BY number) AS ordered

-- part: answers_by_key
-- What was answered under these keys of applications, as one JSON array; null if nothing was. A
-- spend's answer that is not stored follows from its entries, and from the id in its request. The
-- kinds are those of the predicate of the unique index, so that it serves.
SELECT jsonb_agg(answered) FROM (
    SELECT idempotency_key AS key, journals.id AS journal_id,
           encode(request_hash, 'hex') AS request_hash,
           coalesce(answer, jsonb_build_object('amount', amount, 'balance', balance,
                                               'available', free_after)) AS answer,
           entry_ids
      FROM journals LEFT JOIN notes ON notes.journal_id = journals.id
     CROSS JOIN LATERAL (
           SELECT sum(amount) AS amount, coalesce(array_agg(id ORDER BY id), '{}') AS entry_ids,
                  (array_agg(balance_after ORDER BY id DESC))[1] AS balance,
                  (array_agg(free_after ORDER BY id DESC))[1] AS free_after
             FROM entry_changes WHERE entry_changes.journal_id = journals.id) AS written
     WHERE idempotency_key = ANY(:keys::text[])
       AND kind NOT IN ('grant', 'adjustment', 'reversal', 'transfer')) AS answered

-- name: applications_answers
-- Find what was answered under these keys of applications.
-- include: ledger/idempotency.sql answers_by_key

-- name: operators_answers
-- Find what was answered under these keys of operators: by a journal, by a run's reversal, whose
-- answer stands in its own row, or by an act on an account, whose answer is the account.
SELECT jsonb_agg(answered) FROM (
    SELECT idempotency_key AS key, journals.id AS journal_id,
           encode(request_hash, 'hex') AS request_hash, answer,
           array(SELECT entries.id FROM entries
                  WHERE entries.journal_id = journals.id ORDER BY entries.id) AS entry_ids
      FROM journals LEFT JOIN notes ON notes.journal_id = journals.id
     WHERE idempotency_key = ANY(:keys::text[]) AND kind IN ('grant', 'adjustment', 'reversal', 'transfer')
    UNION ALL
    SELECT idempotency_key, 0, encode(request_hash, 'hex'), '{}', '{}' FROM reversals
     WHERE idempotency_key = ANY(:keys)
    UNION ALL
    SELECT idempotency_key, 0, encode(request_hash, 'hex'), '{}', '{}' FROM operator_acts
     WHERE idempotency_key = ANY(:keys)) AS answered
