-- name: versions
-- The versions before one, the newest first, and the days that runs opened by each.
SELECT catalogues.id, applied_at, applied_by, count(runs.id) AS run_count,
       min(runs.day_on) AS first_on, max(runs.day_on) AS last_on
  FROM (SELECT * FROM catalogues WHERE id < :before ORDER BY id DESC LIMIT :limit) AS catalogues
  LEFT JOIN runs ON runs.catalogue_id = catalogues.id
 GROUP BY catalogues.id, applied_at, applied_by ORDER BY catalogues.id DESC

-- name: version
-- One version as it was applied.
SELECT id, content, applied_at, applied_by FROM catalogues WHERE id = :id

-- name: before
-- The one that it replaced.
SELECT id, content FROM catalogues WHERE id < :id ORDER BY id DESC LIMIT 1
