-- part: page
-- One page of ``counted``, summed by what is asked for; what is not asked for is null.
SELECT * FROM (
    SELECT CASE WHEN :by_account THEN present_id ELSE 0 END AS present_id,
           CASE WHEN :by_day THEN day_on END AS day_on, CASE WHEN :by_tier THEN tier END AS tier,
           CASE WHEN :by_label THEN label END AS label,
           CASE WHEN :by_member THEN member END AS member,
-- include: usage/fold.sql sums
      FROM counted
     WHERE (:start::date IS NULL OR day_on >= :start) AND (:end::date IS NULL OR day_on < :end)
       AND (:tier::text IS NULL OR tier = :tier) AND (:label::text IS NULL OR label = :label)
       AND (:member::text IS NULL OR member = :member)
     GROUP BY 1, 2, 3, 4, 5) AS summed
 WHERE NOT (:of_use AND (spent, returned, use_reversed) = (0, 0, 0))
   AND (:after_account::bigint IS NULL
        OR (present_id, coalesce(day_on, '-infinity'), coalesce(tier, ''), coalesce(label, ''),
            coalesce(member, ''))
         > (:after_account, coalesce(:after_day::date, '-infinity'), :after_tier::text,
            :after_label::text, :after_member::text))
 ORDER BY present_id, day_on, tier, label, member LIMIT :limit

-- name: of_all
-- One page of all accounts' usage: what is folded, and the entries after it.
-- include: usage/fold.sql days
, counted AS (
    SELECT 0::bigint AS present_id, * FROM usage_days UNION ALL SELECT 0, * FROM days
)
-- include: usage/report.sql page

-- name: of_all_tiers
-- The same of a report that tells apart no labels and members: what is folded in all, and the entries
-- after it.
-- include: usage/fold.sql days
, counted AS (
    SELECT 0::bigint AS present_id, day_on, tier, '' AS label, '' AS member, granted, purchased,
           refunded, spent, returned, expired, reversed, adjusted, transferred, use_reversed
      FROM usage_totals UNION ALL SELECT 0, * FROM days
)
-- include: usage/report.sql page

-- name: of_accounts
-- One page of the usage of these accounts, and of those that were joined to them, from entries.
WITH owners AS (
    SELECT id AS account_id, coalesce(joined_to, id) AS present_id FROM accounts
     WHERE id = ANY(:account_ids::bigint[]) OR joined_to = ANY(:account_ids::bigint[])
), moved AS (
    SELECT * FROM entry_changes WHERE account_id IN (SELECT account_id FROM owners)
       AND recorded_at >= :since::timestamptz          -- given: since
), counted AS (
    SELECT present_id, day_on, tier, label, member,
-- include: usage/fold.sql flows
      FROM (
-- include: usage/fold.sql placed
    ) AS placed JOIN owners USING (account_id)
     GROUP BY present_id, day_on, tier, label, member
)
-- include: usage/report.sql page

-- name: next_accounts
-- The next accounts in the order of their ids, but for those that were joined to others.
SELECT id FROM accounts WHERE id >= :first AND joined_to IS NULL ORDER BY id LIMIT :limit

-- name: names
-- The accounts' present public ids.
SELECT account_id, public_id FROM account_names WHERE account_id = ANY(:account_ids::bigint[])
