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
SELECT day_on, tier, sum(granted + purchased)::bigint AS granted,
       sum(spent - returned)::bigint AS spent, sum(expired)::bigint AS expired
  FROM usage_days WHERE day_on >= :start AND day_on < :end
 GROUP BY day_on, tier ORDER BY day_on, tier
