-- name: record_journals
-- Record that an operator made these journals of accounts, whose notes have the reasons.
INSERT INTO operator_acts (actor, act, account_id, journal_id, at)
SELECT :actor, :act, account_id, journal_id, tallybook_now()
  FROM unnest(:account_ids::bigint[], :journal_ids::bigint[]) AS made (account_id, journal_id)

-- name: record
-- Record what an operator did.
INSERT INTO operator_acts (actor, act, reason, subject, account_id, journal_id, event_id, run_id, at,
                           idempotency_key, request_hash)
VALUES (:actor, :act, :reason, :subject, :account_id, :journal_id, :event_id, :run_id,
        tallybook_now(), :idempotency_key, :request_hash)
