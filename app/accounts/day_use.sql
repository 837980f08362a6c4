-- name: uses
-- What was used of the account's days before :before_on that ended after :since; and what was brought to it of days that end later, its own earlier openings too.
SELECT account_id AS from_account_id, until_at, granted - lapsed - moved - free AS amount
  FROM (SELECT DISTINCT ON (day_on) lots.*, expires_at AS until_at
          FROM daily_grants JOIN lots ON lots.id = lot_id
         WHERE daily_grants.account_id = :account_id AND expires_at > :since::timestamptz
           AND day_on < coalesce(:before_on::date, 'infinity')
         ORDER BY day_on, opening DESC) AS past
 UNION ALL
SELECT from_account_id, until_at, amount FROM brought_use
 WHERE account_id = :account_id AND until_at > :since

-- name: move
-- What a subscription brings from a day of an account; leaving that again, it is what stands then.
INSERT INTO moved_use (subscription_id, from_account_id, until_at, amount)
VALUES (:subscription_id, :from_account_id, :until_at, :amount)
ON CONFLICT (subscription_id, from_account_id, until_at) DO UPDATE SET amount = excluded.amount

-- name: add
-- Add to what counts against the account's days.
INSERT INTO brought_use (account_id, from_account_id, until_at, amount)
VALUES (:account_id, :from_account_id, :until_at, :amount)
ON CONFLICT (account_id, from_account_id, until_at)
DO UPDATE SET amount = brought_use.amount + excluded.amount

-- name: counting
-- What was brought to the account and counts in a day that starts then.
SELECT coalesce(sum(amount), 0)::bigint FROM brought_use
 WHERE account_id = :account_id AND until_at > :starts_at

-- name: shift_own
-- Let the use of earlier openings of the account's own day end with that day.
UPDATE brought_use SET until_at = :until_at
 WHERE account_id = :account_id AND from_account_id = :account_id AND until_at = :was_until

-- name: brought_with
-- What was brought to the account of the day whose own lot this was, if it counts in the running
-- day, which starts then.
SELECT amount FROM lots JOIN brought_use ON from_account_id = lots.account_id
                                        AND until_at = lots.expires_at
 WHERE lots.id = :lot_id AND brought_use.account_id = :account_id AND until_at > :starts_at

-- name: count_less
-- Count less of the use that was brought of the day whose own lot this was.
UPDATE brought_use SET amount = amount - :amount FROM lots
 WHERE lots.id = :lot_id AND from_account_id = lots.account_id AND until_at = lots.expires_at
   AND brought_use.account_id = :account_id
