-- name: page
-- One page of alerts, oldest first.
SELECT alerts.*, account_names.public_id AS public_account_id
  FROM alerts JOIN account_names USING (account_id)
 WHERE (:kind::text IS NULL OR kind = :kind)
   AND (:account_ids::bigint[] IS NULL OR account_id = ANY(:account_ids))
   AND alerts.id > :after AND alerts.id <= :horizon
 ORDER BY alerts.id LIMIT :limit
