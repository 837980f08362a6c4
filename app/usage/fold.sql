-- part: placed
-- What the entries of ``moved`` do to balances: each on its account's day, under the tier with which
-- that day was opened. Use, and what came back of it, is told by what it was for.
SELECT counted.*, coalesce(day.day_on, (at AT TIME ZONE 'UTC')::date) AS day_on,
       coalesce(day.tier, 'FREE') AS tier
  FROM (SELECT moved.account_id, moved.kind, moved.change,
               CASE WHEN lots.source = 'daily' THEN lots.granted_at
                    ELSE moved.effective_at END AS at,
               origin.journal_id IS NOT NULL AS of_use,
               coalesce(journals.label, '') AS label, coalesce(journals.member, '') AS member
          FROM moved JOIN lots ON lots.id = moved.lot_id
          LEFT JOIN entries AS undone ON undone.id = moved.reverses_entry_id
          LEFT JOIN entries AS first ON first.id = undone.reverses_entry_id
         CROSS JOIN LATERAL (SELECT CASE 'spend' WHEN moved.kind THEN moved.journal_id
                                                 WHEN undone.kind THEN undone.journal_id
                                                 WHEN first.kind THEN first.journal_id
                                    END AS journal_id) AS origin
          LEFT JOIN journals ON journals.id = origin.journal_id
         WHERE moved.kind IN ('grant', 'purchase', 'refund', 'spend', 'return', 'expiry',
                              'reversal', 'adjustment', 'transfer')) AS counted
  LEFT JOIN LATERAL (
      SELECT CASE WHEN counted.at < ends_at THEN daily_grants.day_on END AS day_on, tier
        FROM daily_grants
       WHERE daily_grants.account_id = counted.account_id AND opening = 1
         AND starts_at <= counted.at
       ORDER BY daily_grants.day_on DESC LIMIT 1) AS day ON true

-- part: flows
-- The columns of a report. All but use_reversed make up the balance's change; that is a part of
-- reversed.
       coalesce(sum(change) FILTER (WHERE kind = 'grant'), 0)::bigint AS granted,
       coalesce(sum(change) FILTER (WHERE kind = 'purchase'), 0)::bigint AS purchased,
       coalesce(-sum(change) FILTER (WHERE kind = 'refund'), 0)::bigint AS refunded,
       coalesce(-sum(change) FILTER (WHERE kind = 'spend'), 0)::bigint AS spent,
       coalesce(sum(change) FILTER (WHERE kind = 'return'), 0)::bigint AS returned,
       coalesce(-sum(change) FILTER (WHERE kind = 'expiry'), 0)::bigint AS expired,
       coalesce(sum(change) FILTER (WHERE kind = 'reversal'), 0)::bigint AS reversed,
       coalesce(sum(change) FILTER (WHERE kind = 'adjustment'), 0)::bigint AS adjusted,
       coalesce(sum(change) FILTER (WHERE kind = 'transfer'), 0)::bigint AS transferred,
       coalesce(sum(change) FILTER (WHERE kind = 'reversal' AND of_use), 0)::bigint AS use_reversed

-- part: sums
-- The same columns, summed from rows that have them.
       sum(granted)::bigint AS granted, sum(purchased)::bigint AS purchased,
       sum(refunded)::bigint AS refunded, sum(spent)::bigint AS spent,
       sum(returned)::bigint AS returned, sum(expired)::bigint AS expired,
       sum(reversed)::bigint AS reversed, sum(adjusted)::bigint AS adjusted,
       sum(transferred)::bigint AS transferred, sum(use_reversed)::bigint AS use_reversed

-- part: added
-- What is counted is added to what stands.
    granted = stands.granted + excluded.granted,
    purchased = stands.purchased + excluded.purchased,
    refunded = stands.refunded + excluded.refunded,
    spent = stands.spent + excluded.spent,
    returned = stands.returned + excluded.returned,
    expired = stands.expired + excluded.expired,
    reversed = stands.reversed + excluded.reversed,
    adjusted = stands.adjusted + excluded.adjusted,
    transferred = stands.transferred + excluded.transferred,
    use_reversed = stands.use_reversed + excluded.use_reversed

-- part: days
-- The rows of usage_days as the entries between two have them.
WITH moved AS (SELECT * FROM entry_changes WHERE id > :after AND id <= :to),
days AS (
    SELECT day_on, tier, label, member,
-- include: usage/fold.sql flows
      FROM (
-- include: usage/fold.sql placed
    ) AS placed GROUP BY day_on, tier, label, member
)

-- name: chunk_end
-- The last entry of the next chunk; null if there is none.
SELECT max(id) FROM (SELECT id FROM entries WHERE id > :after AND id <= :horizon
                      ORDER BY id LIMIT :limit) AS chunk

-- name: fold
-- Count the entries of a chunk, by label and member, and in all.
-- include: usage/fold.sql days
, in_all AS (
    INSERT INTO usage_totals AS stands (
        day_on, tier, granted, purchased, refunded, spent, returned, expired,
        reversed, adjusted, transferred, use_reversed)
    SELECT day_on, tier,
-- include: usage/fold.sql sums
      FROM days GROUP BY day_on, tier
    ON CONFLICT (day_on, tier) DO UPDATE SET
-- include: usage/fold.sql added
)
INSERT INTO usage_days AS stands (
    day_on, tier, label, member, granted, purchased, refunded, spent, returned, expired,
    reversed, adjusted, transferred, use_reversed)
SELECT * FROM days
ON CONFLICT (day_on, tier, label, member) DO UPDATE SET
-- include: usage/fold.sql added

-- name: forget
-- Set every count to nothing.
WITH in_all AS (
    UPDATE usage_totals SET granted = 0, purchased = 0, refunded = 0, spent = 0, returned = 0,
           expired = 0, reversed = 0, adjusted = 0, transferred = 0, use_reversed = 0
)
UPDATE usage_days SET granted = 0, purchased = 0, refunded = 0, spent = 0, returned = 0,
       expired = 0, reversed = 0, adjusted = 0, transferred = 0, use_reversed = 0

-- name: differences
-- Where a count is not what the entries up to the last one that was folded say.
-- include: usage/fold.sql days
, kept AS (
    SELECT 'usage' AS counts, * FROM usage_days
     UNION ALL
    SELECT 'all usage', day_on, tier, '', '', granted, purchased, refunded, spent, returned,
           expired, reversed, adjusted, transferred, use_reversed FROM usage_totals
), said AS (
    SELECT 'usage' AS counts, * FROM days
     UNION ALL
    SELECT 'all usage', day_on, tier, '', '',
-- include: usage/fold.sql sums
      FROM days GROUP BY day_on, tier
)
SELECT format('%s of %s on %s%s: %s %s stands; its entries say %s', counts, day_on, tier,
              CASE WHEN label || member <> '' THEN format(' for %s by %s', label, member) END,
              counted, stands, says)
  FROM kept FULL JOIN said USING (counts, day_on, tier, label, member)
 CROSS JOIN LATERAL (VALUES
       ('granted', kept.granted, said.granted),
       ('purchased', kept.purchased, said.purchased),
       ('refunded', kept.refunded, said.refunded),
       ('spent', kept.spent, said.spent),
       ('returned', kept.returned, said.returned),
       ('expired', kept.expired, said.expired),
       ('reversed', kept.reversed, said.reversed),
       ('adjusted', kept.adjusted, said.adjusted),
       ('transferred', kept.transferred, said.transferred),
       ('use_reversed', kept.use_reversed, said.use_reversed)) AS one (counted, stands, says)
 WHERE coalesce(stands, 0) <> coalesce(says, 0)
