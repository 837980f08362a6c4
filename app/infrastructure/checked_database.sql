-- name: server
-- Tell what kind of server this session is on.
SELECT version() AS version,
       current_setting('server_version_num')::integer AS version_number,
       pg_is_in_recovery() AS in_recovery,
       current_setting('server_encoding') AS encoding,
       -- Every session of PostgreSQL holds the lock of its own virtual transaction, and the horizon
       -- is found by those locks.
       EXISTS (SELECT FROM pg_locks WHERE locktype = 'virtualxid' AND pid = pg_backend_pid()
                  AND virtualtransaction IS NOT NULL) AS shows_virtual_transactions;

-- name: settings
-- Read the settings of this session, and those that it began with.
SELECT name, setting, reset_val, pg_backend_pid() AS backend_pid FROM pg_settings WHERE name = ANY(:names::text[]);
