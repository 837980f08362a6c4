-- name: last
-- The largest size that a witness cosigned.
SELECT max(size) FROM seal_cosignatures WHERE witness = :witness

-- name: keep
-- Keep a witness's line on a seal.
INSERT INTO seal_cosignatures (size, witness, line, added_at)
VALUES (:size, :witness, :line, clock_timestamp()) ON CONFLICT DO NOTHING
