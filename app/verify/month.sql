-- name: runs
-- The daily runs of a month's dates, by what is left of them.
SELECT count(*) AS runs, count(*) FILTER (WHERE state = 'going') AS going,
       coalesce(sum(failed), 0)::bigint AS failed, coalesce(sum(not_opened), 0)::bigint AS not_opened
  FROM runs WHERE day_on >= :start::date AND day_on < :end::date

-- name: events
-- Events that came within the month and wait for somebody.
SELECT count(*) FILTER (WHERE verdict = 'parked') AS parked,
       count(*) FILTER (WHERE verdict = 'queued') AS queued
  FROM events WHERE received_at >= :start AND received_at < :end AND verdict IN ('parked', 'queued')

-- name: book
-- What the pack is of.
SELECT epoch, tallybook_now() AS now,
       (SELECT max(id) FROM catalogues WHERE applied_at < :end) AS catalogue_id FROM book
