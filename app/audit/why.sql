-- name: spent
-- What an account spent within [:start, :end) and what of it came back since, by label.
SELECT journals.label, sum(amount)::bigint AS spent, sum(
-- include: reversals/draft.sql came_back
       )::bigint AS came_back
  FROM entries JOIN journals ON journals.id = journal_id
 WHERE account_id = ANY(:account_ids::bigint[]) AND entries.kind = 'spend'
   AND entries.recorded_at >= :start AND entries.recorded_at < :end
 GROUP BY journals.label ORDER BY 2 DESC, 1

-- name: moves
-- Everything else that moved the balance within [:start, :end), journal by journal in order.
SELECT journals.id AS journal_id, journals.kind, journals.recorded_at, journals.actor,
       journals.event_id, journals.reverses_journal_id, notes.reason, moved.change
  FROM (SELECT journal_id, sum(change)::bigint AS change, min(id) AS first_id FROM entry_changes
         WHERE account_id = ANY(:account_ids::bigint[]) AND kind <> 'spend'
           AND recorded_at >= :start AND recorded_at < :end
         GROUP BY journal_id) AS moved
  JOIN journals ON journals.id = moved.journal_id
  LEFT JOIN notes ON notes.journal_id = journals.id
 WHERE moved.change <> 0
 ORDER BY moved.first_id LIMIT :limit

-- name: corrections
-- What reversals and adjustments did within [:start, :end), journal by journal in order. What was held
-- as a grant was taken back is taken at its release: the reversal of that grant says who and why.
SELECT corrected.kind, corrected.change, journals.recorded_at,
       coalesce(asked.actor, journals.actor) AS actor, coalesce(asked.reason, notes.reason) AS reason
  FROM (SELECT journal_id, kind, sum(change)::bigint AS change, min(id) AS first_id,
               max(lot_id) AS lot_id, max(reverses_entry_id) AS undone_id
          FROM entry_changes
         WHERE account_id = ANY(:account_ids::bigint[]) AND kind IN ('reversal', 'adjustment')
           AND recorded_at >= :start AND recorded_at < :end
         GROUP BY journal_id, kind) AS corrected
  JOIN journals ON journals.id = corrected.journal_id
  LEFT JOIN notes ON notes.journal_id = journals.id
  LEFT JOIN LATERAL (SELECT actor, reason FROM reversals
                      WHERE journals.kind <> 'reversal' AND reversals.lot_id = corrected.lot_id
                        AND reversals.entry_id = corrected.undone_id LIMIT 1) AS asked ON true
 WHERE corrected.change <> 0
 ORDER BY corrected.first_id LIMIT :limit

-- name: later
-- Whether the account has entries of a later time than :end, where it began at :start or before.
SELECT EXISTS (SELECT FROM entries WHERE account_id = ANY(:account_ids::bigint[])
                  AND recorded_at >= greatest(:start::timestamptz, :end::timestamptz))
