-- part: numbers
-- The account and those that were joined to it.
SELECT id FROM accounts WHERE id = :number OR joined_to = :number

-- name: used
-- What was used since :start by day of the zone and by label, less what came back of it since; all
-- but the :most labels that were used most are one, without a name.
WITH used AS (
    SELECT (entries.recorded_at AT TIME ZONE :zone)::date AS day_on, journals.label,
           sum(amount - coalesce((
               SELECT sum(CASE WHEN undoing.debit = 'spent' THEN undoing.amount
                               ELSE -undoing.amount END)
                 FROM entries AS undoing
                WHERE undoing.reverses_entry_id = entries.id), 0))::bigint AS used
      FROM entries JOIN journals ON journals.id = journal_id
     WHERE account_id IN (
-- include: audit/statement.sql numbers
           )
       AND entries.kind = 'spend' AND entries.recorded_at >= :start
     GROUP BY 1, 2
), ranked AS (
    SELECT label, least(row_number() OVER (ORDER BY sum(used) DESC, label), :most + 1) AS place
      FROM used WHERE label IS NOT NULL GROUP BY label
)
SELECT coalesce(place, :most + 2)::bigint AS place, place IS NOT NULL AS named, day_on,
       CASE WHEN place <= :most THEN label END AS label, sum(used)::bigint AS used
  FROM used LEFT JOIN ranked USING (label)
 GROUP BY 1, 2, 3, 4 ORDER BY 1, 3

-- name: lots_left
-- The lots that have something left, in the order in which they are used up; each with the count and
-- the free credits of those that are not among the first.
SELECT source::text, free, held, granted, expires_at,
       greatest(0, count(*) OVER () - :limit::bigint)::bigint AS others,
       (sum(free) OVER () - sum(free) FILTER (WHERE place <= :limit) OVER ())::bigint AS others_free
  FROM (SELECT lots.*, row_number() OVER (ORDER BY priority, expires_at, granted_at, id) AS place
          FROM lots WHERE account_id = :number AND live AND free + held > 0
           AND expires_at > :now) AS ordered
 ORDER BY place LIMIT :limit

-- name: opening
-- The balance before :start.
SELECT coalesce(sum(free_after + held_after - debt_after), 0)::bigint
  FROM accounts
  JOIN LATERAL (SELECT free_after, held_after, debt_after FROM entries
                 WHERE entries.account_id = accounts.id AND recorded_at < :start
                 ORDER BY recorded_at DESC, id DESC LIMIT 1) AS last ON true
 WHERE accounts.id = :number OR accounts.joined_to = :number

-- name: by_day
-- What moved the balance within [:start, :end), by day of the zone.
SELECT (recorded_at AT TIME ZONE :zone)::date AS day_on, sum(change)::bigint AS change,
       coalesce(sum(change) FILTER (WHERE kind = 'grant'), 0)::bigint AS received,
       coalesce(sum(change) FILTER (WHERE kind = 'purchase'), 0)::bigint AS bought,
       coalesce(-sum(change) FILTER (WHERE kind = 'spend'), 0)::bigint AS used,
       coalesce(sum(change) FILTER (WHERE kind = 'return'), 0)::bigint AS given_back,
       coalesce(-sum(change) FILTER (WHERE kind = 'expiry'), 0)::bigint AS expired
  FROM entry_changes
 WHERE account_id IN (
-- include: audit/statement.sql numbers
       )
   AND recorded_at >= :start AND recorded_at < :end AND change <> 0
 GROUP BY 1 ORDER BY 1

-- name: acts
-- The next acts within [:start, :end) after a place, whole: one row for each kind of entry of an act.
SELECT max(recorded_at) AS recorded_at, journal_id, kind, min(source::text) AS source, label,
       sum(change)::bigint AS change
  FROM (SELECT moved.id, moved.recorded_at, moved.journal_id, moved.kind, moved.change,
               lots.source, journals.label
          FROM entry_changes AS moved
          JOIN journals ON journals.id = moved.journal_id JOIN lots ON lots.id = moved.lot_id
         WHERE moved.account_id IN (
-- include: audit/statement.sql numbers
               )
           AND moved.recorded_at >= :start AND moved.recorded_at < :end AND moved.change <> 0
           AND (moved.recorded_at, moved.journal_id) > (:after_at, :after_journal::bigint)
         ORDER BY moved.recorded_at, moved.journal_id FETCH FIRST :limit ROWS WITH TIES) AS next
 GROUP BY journal_id, kind, label
 ORDER BY recorded_at, journal_id, min(id)
