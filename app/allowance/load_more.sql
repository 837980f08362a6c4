-- name: days_since
-- The account's days since then in order, the running one last: the own lot of each day's last
-- opening, and of its first what was and could be carried into it.
SELECT DISTINCT ON (first.day_on) first.day_on, last.lot_id, first.carried_lot_id,
       first.carry_over_max, first.previous_allowed, lots.expires_at
  FROM daily_grants AS first
  JOIN daily_grants AS last ON last.account_id = first.account_id AND last.day_on = first.day_on
  JOIN lots ON lots.id = last.lot_id
 WHERE first.account_id = :account_id AND first.opening = 1 AND first.day_on >= :since_on::date
 ORDER BY first.day_on, last.opening DESC
