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

-- part: erased_by_key
-- Which of these keys of applications were erased: a look at a small index, and none at an empty one.
-- What they were answered is asked apart (0.3 ms of planning, which no other spend should pay).
ARRAY(SELECT key_hash FROM erased_keys WHERE key_hash = ANY(:hashes::bytea[]) AND NOT of_operator)

-- name: applications_answers
-- Find what was answered under these keys of applications.
SELECT (
-- include: ledger/idempotency.sql answers_by_key
) AS answers,
-- include: ledger/idempotency.sql erased_by_key
AS erased

-- name: erased_answers
-- Find what was answered under erased keys of applications. In an answer that was not stored stands
-- the account's present id: the one in its request was erased.
SELECT jsonb_agg(answered) FROM (
    SELECT asked.key, erased_keys.journal_id, encode(request_hash, 'hex') AS request_hash,
           true AS erased,
           coalesce(answer, jsonb_build_object('account_id', public_id, 'amount', amount,
                                               'balance', balance, 'available', free_after)) AS answer,
           entry_ids
      FROM unnest(:keys::text[], :hashes::bytea[]) AS asked (key, hash)
      JOIN erased_keys ON key_hash = hash AND NOT of_operator
      LEFT JOIN notes ON notes.journal_id = erased_keys.journal_id
     CROSS JOIN LATERAL (
           SELECT sum(amount) AS amount, coalesce(array_agg(id ORDER BY id), '{}') AS entry_ids,
                  (array_agg(balance_after ORDER BY id DESC))[1] AS balance,
                  (array_agg(free_after ORDER BY id DESC))[1] AS free_after, min(account_id) AS owner
             FROM entry_changes WHERE entry_changes.journal_id = erased_keys.journal_id) AS written
      LEFT JOIN account_names ON account_names.account_id = written.owner) AS answered

-- part: operators_erased
SELECT asked.key, erased_keys.*
  FROM unnest(:keys::text[], :hashes::bytea[]) AS asked (key, hash)
  JOIN erased_keys ON key_hash = hash AND of_operator

-- name: erased
-- Those of these keys of operators that were erased.
-- include: ledger/idempotency.sql operators_erased

-- name: operators_answers
-- Find what was answered under these keys of operators: by a journal, by a run's reversal, whose
-- answer stands in its own row, or by an act on an account, whose answer is the account.
WITH erased AS (
-- include: ledger/idempotency.sql operators_erased
)
SELECT jsonb_agg(answered) FROM (
    SELECT key, found.id AS journal_id, encode(request_hash, 'hex') AS request_hash,
           found.erased, answer,
           array(SELECT entries.id FROM entries
                  WHERE entries.journal_id = found.id ORDER BY entries.id) AS entry_ids
      FROM (SELECT idempotency_key AS key, id, request_hash, false AS erased FROM journals
             WHERE idempotency_key = ANY(:keys)
               AND kind IN ('grant', 'adjustment', 'reversal', 'transfer')
            UNION ALL
            SELECT key, journal_id, request_hash, true FROM erased
             WHERE journal_id IS NOT NULL) AS found
      LEFT JOIN notes ON notes.journal_id = found.id
    UNION ALL
    SELECT idempotency_key, 0, encode(request_hash, 'hex'), false, '{}', '{}' FROM reversals
     WHERE idempotency_key = ANY(:keys)
    UNION ALL
    SELECT key, 0, encode(found.request_hash, 'hex'), found.erased,
           jsonb_build_object('account', account_id), '{}'
      FROM (SELECT idempotency_key AS key, id, request_hash, false AS erased FROM operator_acts
             WHERE idempotency_key = ANY(:keys)
            UNION ALL
            SELECT key, act_id, request_hash, true FROM erased WHERE act_id IS NOT NULL) AS found
      JOIN operator_acts ON operator_acts.id = found.id) AS answered
