-- part: granted
-- What a run gave by each of its openings, and what of each a reversal would find now.
granted AS (
    SELECT journals.id AS journal_id, entries.account_id, entries.amount, reversals.id AS reversal_id,
           lots.held + coalesce(moved.held, 0) AS held,
           CASE WHEN lots.expires_at > tallybook_now() THEN lots.free ELSE 0 END AS free,
           CASE WHEN lots.expires_at > tallybook_now() THEN lots.lapsed
                ELSE lots.lapsed + lots.free END
           + coalesce(moved.lapsed, 0) + coalesce(absorbed.amount, 0) AS lapsed,
           reversals.clawed AS was_clawed, reversals.held AS was_held,
           reversals.expired AS was_expired
      FROM journals
      JOIN entries ON entries.journal_id = journals.id AND entries.kind = 'grant'
      JOIN accounts ON accounts.id = entries.account_id
      JOIN lots ON lots.id = entries.lot_id
      LEFT JOIN reversals ON of_journal_id = journals.id
      -- What was held of a day that ended with a join, and where it is since.
      LEFT JOIN moved_lots ON moved_lots.lot_id = lots.id
      LEFT JOIN lots AS moved ON moved.id = to_lot_id
      LEFT JOIN LATERAL (
          SELECT sum(went.amount * ((went.credit = 'transferred')::int
                                    - (went.debit = 'transferred')::int)) AS amount
            FROM entries AS went JOIN journals AS joining ON joining.id = went.journal_id
           WHERE accounts.joined_to IS NOT NULL AND went.lot_id IN (lots.id, moved.id)
             AND went.kind = 'transfer' AND joining.kind = 'transfer'
             AND 'held' IN (went.debit, went.credit)) AS absorbed ON true
     WHERE journals.run_id = :run_id AND journals.kind = 'opening'
), clawed AS (
    SELECT *, coalesce(was_clawed, least(free, amount)) AS clawed FROM granted
), held_back AS (
    SELECT *, coalesce(was_held, least(held, amount - clawed)) AS held_back FROM clawed
), ended AS (
    SELECT *, coalesce(was_expired, least(lapsed, amount - clawed - held_back)) AS expired
      FROM held_back
)

-- name: total
-- What the reversal of a run would come to.
WITH
-- include: reversals/preview.sql granted
SELECT count(*) AS journal_count, coalesce(sum(amount), 0)::bigint AS requested,
       coalesce(sum(clawed), 0)::bigint AS clawed, coalesce(sum(held_back), 0)::bigint AS held,
       coalesce(sum(expired), 0)::bigint AS expired,
       count(*) FILTER (WHERE amount > clawed + held_back + expired) AS short
  FROM ended WHERE reversal_id IS NULL

-- name: by_account
-- One page of the same by account, with what was taken back already.
WITH
-- include: reversals/preview.sql granted
SELECT journal_id, account_names.public_id AS public_account_id, reversal_id, amount AS requested,
       clawed, held_back AS held, (amount - clawed - held_back - expired)::bigint AS shortfall,
       expired::bigint
  FROM ended JOIN account_names USING (account_id)
 WHERE journal_id > :after
   AND (NOT :short::boolean OR amount > clawed + held_back + expired)
 ORDER BY journal_id LIMIT :limit
