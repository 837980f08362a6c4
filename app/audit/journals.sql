-- name: journal
-- One journal with its reason and metadata.
SELECT journals.*, notes.reason, notes.metadata::text AS metadata
  FROM journals LEFT JOIN notes ON notes.journal_id = journals.id
 WHERE journals.id = :id
