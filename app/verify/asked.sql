-- name: bury
-- Let those be finished whose server has not beaten for long.
UPDATE asked_verifications SET finished_at = beat_at, error = 'Its server died.'
 WHERE finished_at IS NULL AND beat_at < clock_timestamp() - make_interval(secs => :silent_s)

-- name: begin
-- Begin one, if none goes on.
INSERT INTO asked_verifications (asked_by, started_at, beat_at, check_count)
VALUES (:asked_by, clock_timestamp(), clock_timestamp(), :check_count)
    ON CONFLICT ((true)) WHERE finished_at IS NULL DO NOTHING RETURNING id

-- name: note
-- Keep the checks that are done.
UPDATE asked_verifications SET checks = :checks::text::jsonb, beat_at = clock_timestamp()
 WHERE id = :id

-- name: beat
-- Say that its server lives.
UPDATE asked_verifications SET beat_at = clock_timestamp() WHERE id = :id

-- name: finish
-- Let it be finished.
UPDATE asked_verifications SET finished_at = clock_timestamp(), error = :error WHERE id = :id

-- name: newest
-- The newest, with what each check found.
SELECT id, asked_by, started_at, finished_at, check_count, checks::text AS checks, error,
       jsonb_array_length(checks) AS done_count,
       (SELECT coalesce(sum(jsonb_array_length(one -> 'differences')), 0)
          FROM jsonb_array_elements(checks) AS one)::bigint AS difference_count
  FROM asked_verifications WHERE id < :before ORDER BY id DESC LIMIT :limit

-- name: verdict
-- The last whole verification, whoever asked for it, here or at the machine.
SELECT * FROM verifications ORDER BY id DESC LIMIT 1
