-- name: has_replayed
-- Whether this server is a standby that has replayed the primary's log up to :position, and with it the
-- book's floor.
SELECT pg_is_in_recovery() AND coalesce(pg_last_wal_replay_lsn() >= :position::text::pg_lsn, false)
       AND (SELECT floor FROM book) >= :floor::timestamptz AS replayed
