-- name: entries
-- The entries of journals with what of each has not come back yet, by reversals or returns.
SELECT entries.*, greatest(0, amount - coalesce((
           SELECT sum(CASE WHEN undoing.credit = entries.debit OR undoing.debit = entries.credit
                           THEN undoing.amount ELSE -undoing.amount END)
             FROM entries AS undoing WHERE undoing.reverses_entry_id = entries.id), 0))::bigint
           AS amount_left
  FROM entries WHERE journal_id = ANY(:journal_ids::bigint[]) ORDER BY id
