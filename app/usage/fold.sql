-- name: chunk_end
-- The last entry of the next chunk; null if there is none.
SELECT max(id) FROM (SELECT id FROM entries WHERE id > :after AND id <= :horizon
                      ORDER BY id LIMIT :limit) AS chunk
