-- part: came_back
-- How much of an entry of ``entries`` came back, by reversals and by returns. Of a return that was
-- reversed only what had expired counts: nothing was taken for that.
       coalesce((
           SELECT sum(CASE WHEN undoing.credit = entries.debit OR undoing.debit = entries.credit
                           THEN 1 ELSE -1 END
                      * CASE WHEN undoing.kind = 'return' AND EXISTS (
                                  SELECT FROM journals
                                   WHERE reverses_journal_id = undoing.journal_id)
                             THEN (SELECT coalesce(sum(expired), 0) FROM reversals
                                    WHERE entry_id = undoing.id AND house = 'spent')
                             ELSE undoing.amount END)
             FROM entries AS undoing WHERE undoing.reverses_entry_id = entries.id), 0)

-- name: entries
-- The entries of journals with what of each has not come back yet, by reversals or returns.
SELECT entries.*, lots.source AS lot_source, lots.expires_at AS lot_ends_at, greatest(0, amount -
-- include: reversals/draft.sql came_back
       )::bigint AS amount_left
  FROM entries JOIN lots ON lots.id = lot_id
 WHERE journal_id = ANY(:journal_ids::bigint[]) ORDER BY entries.id
