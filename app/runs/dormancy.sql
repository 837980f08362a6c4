-- part: dormant
-- A dormant account's day has ended and is not looked at: the index accounts_dormant has the same.
due_at > day_ends_at AND closed_at IS NULL AND suspended_at IS NULL

-- name: skip
-- Put aside the next accounts of a zone that are dormant on the day. What lapses or falls due of
-- one beside its day still has the tick look at it.
WITH idle AS MATERIALIZED (
    SELECT id, day_ends_at FROM accounts
     WHERE due_at <= :starts_at AND due_at = day_ends_at AND time_zone = :time_zone
       AND closed_at IS NULL AND held = 0 AND coalesce(last_used_at, opened_at) <= :since
     ORDER BY due_at, id LIMIT :most FOR UPDATE SKIP LOCKED
)
UPDATE accounts SET due_at = coalesce(
       (SELECT min(expires_at) FROM lots WHERE account_id = accounts.id AND live AND free > 0
           AND expires_at > idle.day_ends_at), :never)
  FROM idle WHERE accounts.id = idle.id

-- name: wake
-- Let dormant accounts be due again, so many at a time.
UPDATE accounts SET due_at = day_ends_at WHERE id IN (
    SELECT id FROM accounts WHERE
-- include: runs/dormancy.sql dormant
     ORDER BY id LIMIT :most FOR UPDATE SKIP LOCKED)

-- name: zones
-- The zones with dormant accounts, by one look into the index for each.
WITH RECURSIVE zone AS (
    SELECT (SELECT min(time_zone) FROM accounts WHERE
-- include: runs/dormancy.sql dormant
           ) AS name
    UNION ALL
    SELECT (SELECT min(time_zone) FROM accounts WHERE time_zone > zone.name AND
-- include: runs/dormancy.sql dormant
           )
      FROM zone WHERE zone.name IS NOT NULL
)
SELECT name FROM zone WHERE name IS NOT NULL

-- name: count
-- The number of dormant accounts in these zones.
SELECT count(*) FROM accounts WHERE time_zone = ANY(:zones::text[]) AND
-- include: runs/dormancy.sql dormant
