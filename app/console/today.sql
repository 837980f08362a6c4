-- name: verdicts
-- The newest :most events that came within the last day, by their verdicts.
SELECT verdict, count(*) AS events
  FROM (SELECT verdict, received_at FROM events ORDER BY number DESC LIMIT :most) AS newest
 WHERE received_at > (SELECT tallybook_now()) - interval '24 hours'
 GROUP BY verdict ORDER BY verdict

-- name: alerts
-- The newest alerts.
SELECT alerts.id, kind, alerts.tier, threshold, value, effective_at, raised_at, journal_id,
       account_names.public_id
  FROM alerts JOIN account_names ON account_names.account_id = alerts.account_id
 WHERE alerts.id < :before ORDER BY alerts.id DESC LIMIT :limit

-- name: folded
-- The days of a report, by day and tier, of what is folded; and of each the credits that were granted,
-- bought, spent and expired.
SELECT day_on, tier, granted + purchased AS granted, spent - returned AS spent, expired
  FROM usage_totals WHERE day_on >= :start AND day_on < :end
 ORDER BY day_on, tier
