-- name: stretches
-- The first instant that was recorded in each stretch of so many ids, in their order.
SELECT id / :ids::bigint AS stretch, min(recorded_at) AS first FROM entries
 WHERE id > :after AND id <= :up_to GROUP BY 1 ORDER BY 1

-- name: within
-- The first instant that was recorded from one id to another.
SELECT min(recorded_at) FROM entries WHERE id > :after AND id <= :up_to
