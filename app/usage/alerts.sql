-- name: movements
-- The entries that moved the balance (free + held - debt), of each account that the entries above
-- :after, up to :to, take past a level down, or, if an alert stands, up. Each journal is read whole,
-- since a chunk may end within it: an opening empties one lot and fills another.
WITH moved AS (
    SELECT account_id, journal_id,
           (array_agg(balance - change ORDER BY id))[1] AS before,
           (array_agg(balance ORDER BY id DESC))[1] AS after
      FROM (SELECT id, account_id, journal_id, free_after + held_after - debt_after AS balance,
                   CASE WHEN credit IN ('free', 'held', 'debt') THEN amount ELSE 0 END
                   - CASE WHEN debit IN ('free', 'held', 'debt') THEN amount ELSE 0 END AS change
              FROM entries WHERE id > :after AND id <= :to) AS chunk
     WHERE change <> 0
     GROUP BY account_id, journal_id
),
crossing AS (
    SELECT account_id, bool_or(after < before) AS down
      FROM moved
     WHERE EXISTS (SELECT FROM unnest(:levels::bigint[]) AS level
                    WHERE level > least(before, after) AND level <= greatest(before, after))
     GROUP BY account_id
),
watched AS (
    SELECT account_id, tier, day_on, stands.low, stands.depleted
      FROM crossing JOIN accounts ON accounts.id = account_id AND closed_at IS NULL
      CROSS JOIN LATERAL (
          SELECT coalesce(bool_or(kind = 'low'), false) AS low,
                 coalesce(bool_or(kind = 'depleted'), false) AS depleted
            FROM alerts WHERE alerts.account_id = crossing.account_id
             AND kind IN ('low', 'depleted')
             AND id > coalesce((SELECT id FROM alerts AS recovered
                                 WHERE recovered.account_id = crossing.account_id
                                   AND recovered.kind = 'recovered'
                                 ORDER BY id DESC LIMIT 1), 0)) AS stands
     WHERE down OR stands.low OR stands.depleted
)
SELECT watched.account_id, watched.low, watched.depleted, entries.journal_id, entries.recorded_at,
       free_after + held_after - debt_after AS balance,
       CASE WHEN credit IN ('free', 'held', 'debt') THEN amount ELSE 0 END
       - CASE WHEN debit IN ('free', 'held', 'debt') THEN amount ELSE 0 END AS change,
       (SELECT undone.journal_id FROM entries AS undone
         WHERE undone.id = entries.reverses_entry_id AND entries.debit = 'spent') AS undoes,
       day.day_on, CASE WHEN day.day_on = watched.day_on THEN watched.tier ELSE day.tier END AS tier
  FROM watched
  JOIN moved USING (account_id)
  JOIN entries ON entries.journal_id = moved.journal_id AND entries.account_id = watched.account_id
  LEFT JOIN LATERAL (SELECT daily_grants.day_on, daily_grants.tier FROM daily_grants
                      WHERE daily_grants.account_id = watched.account_id
                        AND starts_at <= entries.recorded_at
                      ORDER BY daily_grants.day_on DESC, opening DESC LIMIT 1) AS day ON true
 ORDER BY watched.account_id, entries.id

-- name: raise_crossings
-- Raise the alerts that were decided on.
INSERT INTO alerts (kind, account_id, tier, day_on, journal_id, threshold, value, effective_at,
                    raised_at)
SELECT kind, account_id, tier, day_on, journal_id, threshold, value, effective_at, tallybook_now()
  FROM unnest(:kinds::text[], :account_ids::bigint[], :tiers::text[], :days::date[],
              :journal_ids::bigint[], :thresholds::bigint[], :balances::bigint[],
              :instants::timestamptz[])
       WITH ORDINALITY AS raised (kind, account_id, tier, day_on, journal_id, threshold, value,
                                  effective_at, place)
 ORDER BY place
RETURNING kind, account_id, tier, threshold, value

-- name: raise_unusual_use
-- Raise an alert for each account-day in which the entries above :after, up to :to, spent, and whose
-- spends so far, less what came back of them, reach the threshold of the day's tier.
WITH spending AS (
    SELECT DISTINCT entries.account_id, day.day_on, day.starts_at, day.until_at, watch.tier,
           watch.threshold
      FROM entries JOIN accounts ON accounts.id = entries.account_id
      JOIN LATERAL (SELECT daily_grants.day_on, daily_grants.tier, starts_at,
                           (SELECT min(later.starts_at) FROM daily_grants AS later
                             WHERE later.account_id = daily_grants.account_id
                               AND later.day_on > daily_grants.day_on) AS until_at
                      FROM daily_grants
                     WHERE daily_grants.account_id = entries.account_id
                       AND starts_at <= entries.recorded_at
                     ORDER BY daily_grants.day_on DESC, opening LIMIT 1) AS day ON true
      JOIN unnest(:tiers::text[], :thresholds::bigint[]) AS watch (tier, threshold)
        ON watch.tier = CASE WHEN day.day_on = accounts.day_on THEN accounts.tier ELSE day.tier END
     WHERE entries.id > :after AND entries.id <= :to AND kind = 'spend'
       AND NOT EXISTS (SELECT FROM alerts WHERE alerts.account_id = entries.account_id
                          AND alerts.day_on = day.day_on AND alerts.kind = 'unusual_use')
)
INSERT INTO alerts (kind, account_id, tier, day_on, threshold, value, effective_at, raised_at)
SELECT 'unusual_use', account_id, tier, day_on, threshold, used.amount, used.last_at,
       tallybook_now()
  FROM spending
  JOIN LATERAL (
      SELECT (sum(spent.amount) - coalesce(sum(back.amount), 0))::bigint AS amount,
             max(spent.recorded_at) AS last_at
        FROM entries AS spent
        LEFT JOIN LATERAL (
            SELECT sum(returned.amount - coalesce(
                       (SELECT sum(again.amount) FROM entries AS again
                         WHERE again.reverses_entry_id = returned.id AND again.credit = 'spent'
                           AND again.id <= :to), 0)) AS amount
              FROM entries AS returned
             WHERE returned.reverses_entry_id = spent.id AND returned.debit = 'spent'
               AND returned.id <= :to) AS back ON true
       WHERE spent.account_id = spending.account_id AND spent.kind = 'spend' AND spent.id <= :to
         AND spent.recorded_at >= spending.starts_at
         AND (spending.until_at IS NULL OR spent.recorded_at < spending.until_at)) AS used
    ON used.amount >= threshold
ON CONFLICT (account_id, day_on) WHERE kind = 'unusual_use' DO NOTHING
RETURNING kind, account_id, tier, threshold, value

-- name: raise_hold_leaked
-- Raise an alert for each hold that the entries above :after, up to :to, ended at its deadline
-- although nobody had captured or released any of it.
INSERT INTO alerts (kind, account_id, tier, day_on, hold_id, threshold, value, effective_at,
                    raised_at)
SELECT DISTINCT ON (holds.id) 'hold_leaked', entries.account_id, accounts.tier, accounts.day_on,
       holds.id, 0, holds.amount, holds.expires_at, tallybook_now()
  FROM entries
  JOIN holds ON holds.id = entries.hold_id AND state = 'expired'
  JOIN accounts ON accounts.id = entries.account_id
 WHERE entries.id > :after AND entries.id <= :to AND kind = 'release'
 ORDER BY holds.id
ON CONFLICT (hold_id) WHERE kind = 'hold_leaked' DO NOTHING
RETURNING kind, account_id, tier, threshold, value

-- name: page
-- One page of alerts, oldest first.
SELECT alerts.*, account_names.public_id AS public_account_id
  FROM alerts JOIN account_names USING (account_id)
 WHERE alerts.id > :after AND alerts.id <= :horizon
   AND kind = :kind                              -- given: kind
   AND account_id = ANY(:account_ids::bigint[])  -- given: account_ids
 ORDER BY alerts.id LIMIT :limit
