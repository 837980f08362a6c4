-- name: server
-- Tell which cluster this server is one of, whether it follows another, and whether it keeps that one
-- from removing rows that are read here.
SELECT (SELECT system_identifier FROM pg_control_system()) AS system_id,
       pg_is_in_recovery() AS in_recovery,
       current_setting('hot_standby_feedback')::boolean AS feedback

-- name: waits
-- Tell for which standbys a commit of this session waits.
SELECT current_setting('synchronous_standby_names') AS names,
       current_setting('synchronous_commit') AS commit
