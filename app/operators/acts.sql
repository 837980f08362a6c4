-- name: record
-- Record what an operator did.
INSERT INTO operator_acts (actor, act, reason, subject, account_id, journal_id, event_id, run_id, at,
                           idempotency_key, request_hash)
VALUES (:actor, :act, :reason, :subject, :account_id, :journal_id, :event_id, :run_id,
        tallybook_now(), :idempotency_key, :request_hash)
