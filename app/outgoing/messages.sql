-- part: filtered
SELECT message.*, endpoint.id AS endpoint_id, account_names.public_id AS public_account_id
  FROM webhook_messages AS message
  JOIN webhook_endpoints AS endpoint ON endpoint.number = endpoint_number
  LEFT JOIN account_names USING (account_id)
 WHERE true
   AND endpoint.id = :endpoint_id                        -- given: endpoint_id
   AND message.type = :type                              -- given: type
   AND message.state = :state                            -- given: state
   AND message.account_id = ANY(:account_ids::bigint[])  -- given: account_ids

-- name: newest
-- The newest messages before one, newest first.
-- include: outgoing/messages.sql filtered
   AND message.id < :before
 ORDER BY message.id DESC LIMIT :limit

-- name: page
-- One page of messages, oldest first; one where an id is given.
-- include: outgoing/messages.sql filtered
   AND message.id > :after AND message.id <= :horizon
   AND message.id = :id                                  -- given: id
 ORDER BY message.id LIMIT :limit

-- name: redeliver
-- Send messages again as if they were new: one by its id, or what an endpoint was told in a time;
-- an earlier life of the same endpoint is not meant.
UPDATE webhook_messages
   SET state = 'pending', attempt_count = 0, first_attempt_at = NULL, delivered_at = NULL,
       next_attempt_at = clock_timestamp()
  FROM webhook_endpoints AS endpoint
 WHERE endpoint.number = endpoint_number AND deleted_at IS NULL
   AND (webhook_messages.id = :id::bigint
        OR endpoint.id = :endpoint_id::text AND webhook_messages.created_at >= :start
           AND webhook_messages.created_at < :until)
RETURNING webhook_messages.id
