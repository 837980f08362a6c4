-- part: next_accounts
-- The accounts whose day the set-based way opens next: nothing is due of them before their day's
-- end, and nothing that other days brought counts in the one that begins, nor came with a
-- subscription into the one that ends. What holds something is not dormant, as ``app.runs.dormancy``
-- says.
SELECT id FROM accounts
 WHERE due_at <= :starts_at AND due_at = day_ends_at AND closed_at IS NULL
   AND time_zone = :time_zone AND day_lot_id IS NOT NULL AND suspended_at IS NULL
   AND (coalesce(brought_until <= day_starts_at, true)
        OR brought_until <= :starts_at AND NOT EXISTS (
            SELECT FROM subscriptions JOIN moved_use ON subscription_id = subscriptions.id
             WHERE account_id = accounts.id AND until_at > day_starts_at))
   AND (:used_since::timestamptz IS NULL OR held > 0
        OR coalesce(last_used_at, opened_at) > :used_since)
   AND id <> ALL(:but::bigint[])
 ORDER BY due_at, id LIMIT :limit

-- name: next
-- Look at the next ones.
-- include: runs/bulk.sql next_accounts

-- name: lock_next
-- Lock the next ones. Opening them is a statement of its own: its snapshot is taken after the locks.
-- include: runs/bulk.sql next_accounts
FOR UPDATE SKIP LOCKED

-- name: open
-- Open the day of locked accounts. The entries' order is that of ``app.allowance.day``: other lots
-- that end with the day lapse; of the day's lots the rest lapses, but for what is carried over; then
-- the grant, which repays what is owed.
WITH
-- include: allowance/entitlement.sql tiers
,
-- include: allowance/entitlement.sql day_tiers
, clock AS MATERIALIZED (
    SELECT greatest(tallybook_now(), (SELECT floor FROM book),
                    (SELECT max(written_at) FROM accounts WHERE id = ANY(:accounts::bigint[]))) AS now
), chunk AS MATERIALIZED (
    SELECT accounts.id, accounts.free - others.free AS free, accounts.held, accounts.debt,
           time_zone, day_on, day_ends_at, day_lot_id, day_carried_lot_id,
           others.free > 0 AS others_end, ended_as.carry_over_max,
           greatest(0, CASE WHEN day_withdrawn THEN 0 ELSE ended_as.credits END
                       - day_used_brought) AS allowed,
           entitled.name AS tier, entitled.credits,
           least(accounts.debt, entitled.credits) AS repaid,
           nextval('lots_id_seq') AS lot_id, nextval('journals_id_seq') AS journal_id,
           CASE WHEN ended_as.carry_over_max > 0 THEN nextval('lots_id_seq') END AS carried_lot_id
      FROM accounts CROSS JOIN (SELECT :starts_at::timestamptz AS opens_at) AS opening
     CROSS JOIN LATERAL (
-- include: allowance/entitlement.sql ended_as
           ) AS ended_as
     CROSS JOIN LATERAL (
            SELECT coalesce(sum(free), 0)::bigint AS free FROM lots
             WHERE account_id = accounts.id AND live AND expires_at <= day_ends_at
               AND NOT (source IN ('daily', 'carried') AND expires_at = day_ends_at)) AS others
     CROSS JOIN LATERAL (
-- include: allowance/entitlement.sql entitled
           ) AS entitled
     WHERE accounts.id = ANY(:accounts) AND (SELECT now >= :starts_at AND now < :ends_at FROM clock)
     ORDER BY accounts.id
), others AS MATERIALIZED (
    SELECT chunk.id, chunk.held, chunk.debt, lots.id AS lot_id, lots.free AS amount, expires_at,
           chunk.free + sum(lots.free) OVER (PARTITION BY chunk.id ORDER BY lots.id DESC)
               - lots.free AS free_after,
           nextval('journals_id_seq') AS journal_id
      FROM chunk JOIN lots ON account_id = chunk.id AND live AND lots.free > 0
                          AND expires_at <= day_ends_at
                          AND NOT (source IN ('daily', 'carried') AND expires_at = day_ends_at)
     WHERE others_end
), day_lots AS MATERIALIZED (
    -- The lots that end with the day in the order in which they are carried on, and what of those
    -- before each is free. Each brings its account along, and the first stands for it below: to join
    -- chunk again would be a nested loop over all of it.
    SELECT chunk.*, lots.id AS old_lot_id, lots.free AS left_over, lots.held > 0 AS stays_live,
           row_number() OVER in_order AS place, sum(lots.free) OVER in_order - lots.free AS before
      FROM chunk JOIN lots ON account_id = chunk.id AND live AND expires_at = day_ends_at
                          AND source IN ('daily', 'carried')
    WINDOW in_order AS (PARTITION BY chunk.id ORDER BY lots.id <> day_lot_id,
                        lots.id IS DISTINCT FROM day_carried_lot_id, lots.id)
), divided AS MATERIALIZED (
    SELECT *, left_over - kept AS rest,
           sum(left_over - kept) OVER (PARTITION BY id ORDER BY place) AS lapsed,
           (sum(left_over - kept) OVER (PARTITION BY id))::bigint AS all_rest,
           (sum(kept) OVER (PARTITION BY id))::bigint AS all_kept
      FROM (SELECT *, least(left_over, greatest(0, carry_over_max - before))::bigint AS kept
              FROM day_lots) AS kept
), new_lots AS (
    INSERT INTO lots (id, account_id, source, priority, granted_at, expires_at, granted, moved,
                      free, live) OVERRIDING SYSTEM VALUE
    SELECT lot_id, id, 'daily', :daily_priority::smallint, :starts_at, :ends_at, credits, 0,
           credits - repaid, true FROM chunk
     UNION ALL
    SELECT carried_lot_id, id, 'carried', :carried_priority::smallint, :starts_at, :ends_at,
           all_kept, all_kept, all_kept, true
      FROM divided WHERE place = 1 AND carried_lot_id IS NOT NULL
), new_journals AS (
    INSERT INTO journals (id, kind, source, actor, run_id, effective_at, recorded_at)
    OVERRIDING SYSTEM VALUE
    SELECT journal_id, 'opening', :source::text, :actor::text, :run_id::bigint, :starts_at, now
      FROM chunk, clock
     UNION ALL
    SELECT journal_id, 'expiry', :source, :actor, NULL, expires_at, now FROM others, clock
), new_entries AS (
    INSERT INTO entries (journal_id, account_id, lot_id, kind, debit, credit, amount,
                         free_after, held_after, debt_after, effective_at, recorded_at)
    SELECT moved.journal_id, id, moved.lot_id, kind, debit, credit, amount, free_after, held,
           debt_after, effective_at, clock.now
      FROM clock, (
           SELECT others.journal_id, id, 0 AS place, 0 AS step, others.lot_id, 'expiry' AS kind,
                  'free' AS debit, 'expired' AS credit, amount, free_after, debt AS debt_after,
                  expires_at AS effective_at, held
             FROM others
            UNION ALL
           SELECT journal_id, id, place, moved.*, held FROM divided, LATERAL (VALUES
                  (1, old_lot_id, 'expiry', 'free', 'expired', rest, free - lapsed, debt,
                   day_ends_at),
                  (2, old_lot_id, 'transfer', 'free', 'transferred', kept, free - lapsed - kept,
                   debt, :starts_at),
                  (3, carried_lot_id, 'transfer', 'transferred', 'free', kept, free - lapsed,
                   debt, :starts_at)
                  ) AS moved (step, lot_id, kind, debit, credit, amount, free_after, debt_after,
                              effective_at)
            WHERE amount > 0
            UNION ALL
           SELECT journal_id, id, NULL, moved.*, held FROM divided, LATERAL (VALUES
                  (1, divided.lot_id, 'grant', 'issued', 'free', credits,
                   free - all_rest + credits, debt, :starts_at),
                  (2, divided.lot_id, 'repayment', 'free', 'debt', repaid,
                   free - all_rest + credits - repaid, debt - repaid, :starts_at)
                  ) AS moved (step, lot_id, kind, debit, credit, amount, free_after, debt_after,
                              effective_at)
            WHERE place = 1 AND amount > 0
           ) AS moved
     ORDER BY id, place NULLS LAST, step, lot_id
), lots_of_day AS (
    UPDATE lots SET lapsed = lots.lapsed + rest, moved = lots.moved + kept, free = 0,
                    live = stays_live
      FROM divided WHERE lots.id = divided.old_lot_id
), other_lots AS (
    UPDATE lots SET lapsed = lots.lapsed + lots.free, free = 0, live = lots.held > 0
      FROM others WHERE lots.id = others.lot_id
), opened AS (
    INSERT INTO daily_grants (account_id, day_on, opening, starts_at, ends_at, time_zone, tier,
                              credits, previous_on, lot_id, carried_lot_id, carry_over_max,
                              previous_allowed, run_id, recorded_at)
    SELECT id, :on::date, 1, :starts_at, :ends_at, time_zone, tier, credits, day_on, lot_id,
           carried_lot_id, carry_over_max, allowed, :run_id, clock.now
      FROM chunk, clock
), days AS (
    UPDATE accounts SET
        free = day.free - all_rest + credits - repaid, debt = day.debt - repaid, tier = day.tier,
        day_on = :on, day_opening = 1, day_starts_at = :starts_at, day_ends_at = :ends_at,
        day_lot_id = day.lot_id, day_carried_lot_id = day.carried_lot_id,
        day_catalogue_id = :catalogue_id, day_used_brought = 0,
        day_withdrawn = false, written_at = (SELECT now FROM clock),
        due_at = least(:ends_at::timestamptz,
            (SELECT min(grace.ends_at)
               FROM subscriptions LEFT JOIN tiers ON tiers.name = grace_tier CROSS JOIN LATERAL (
                    SELECT coalesce(failing_since + tiers.grace_days * interval '1 day',
                                    grace_ends_at) AS ends_at) AS grace
              WHERE account_id = accounts.id AND subscriptions.tier IS NULL
                AND grace_tier IS NOT NULL AND grace.ends_at > :starts_at),
            (SELECT min(expires_at) FROM lots
              WHERE account_id = accounts.id AND live AND free > 0
                AND expires_at > day.day_ends_at),
            (SELECT min(expires_at) FROM holds
              WHERE account_id = accounts.id AND state = 'held'))
      FROM divided AS day WHERE accounts.id = day.id AND place = 1
)
SELECT day_on AS previous_on, count(*) AS account_count, sum(credits)::bigint AS credits,
       sum(all_rest)::bigint AS expired
  FROM divided WHERE place = 1 GROUP BY day_on
