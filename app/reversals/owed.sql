-- name: repayments
-- The repayments of these accounts' debt, the latest first, each with what of it was not undone yet.
SELECT entries.*, (amount - coalesce((
           SELECT sum(undoing.amount) FROM entries AS undoing
            WHERE undoing.reverses_entry_id = entries.id), 0))::bigint AS amount_left
  FROM entries
 WHERE account_id = ANY(:account_ids::bigint[]) AND kind = 'repayment' AND credit = 'debt'
 ORDER BY id DESC
