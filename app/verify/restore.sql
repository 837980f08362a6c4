-- name: skip_ids
-- Move every sequence past all that it can have handed out since the backup.
SELECT setval(sequences.oid::regclass,
              coalesce(pg_sequence_last_value(sequences.oid::regclass), 0) + :margin)
  FROM pg_class AS sequences
 WHERE relkind = 'S' AND relnamespace = current_schema()::regnamespace

-- name: begin_epoch
-- Count the restore.
UPDATE book SET epoch = epoch + 1 RETURNING epoch
