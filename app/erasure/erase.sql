-- name: begin
-- Let this transaction change what is append-only: its triggers look for this. The rights are the
-- owner's alone.
SELECT set_config('tallybook.erasing', 'on', true)

-- name: owners
-- The account, and those that were joined to it.
SELECT id FROM accounts WHERE id = :account_id OR joined_to = :account_id ORDER BY id FOR UPDATE

-- name: names
-- Every id by which the application knows or knew these accounts, and Stripe's customers of theirs.
SELECT array(SELECT external_id FROM known_ids WHERE account_id = ANY(:owners::bigint[])
              ORDER BY external_id) AS external_ids,
       array(SELECT id FROM customers WHERE account_id = ANY(:owners)) AS customer_ids

-- name: events
-- The events that tell of these accounts, with every body that came of each.
SELECT events.id, events.verdict_reason, events.error, events.payload,
       array(SELECT event_bodies.id FROM event_bodies WHERE event_id = events.id ORDER BY id) AS body_ids,
       array(SELECT event_bodies.payload FROM event_bodies WHERE event_id = events.id ORDER BY id)
           AS bodies
  FROM events
 WHERE customer_id = ANY(:customer_ids::text[])
    OR subscription_id IN (SELECT id FROM subscriptions WHERE account_id = ANY(:owners::bigint[]))
    OR id IN (SELECT journals.event_id FROM journals JOIN entries ON entries.journal_id = journals.id
               WHERE account_id = ANY(:owners) AND journals.event_id IS NOT NULL)
    OR id IN (SELECT event_id FROM money_facts
               WHERE body->>'customer_id' = ANY(:customer_ids)
                  OR body->>'client_reference_id' = ANY(:external_ids::text[])
                  OR body->>'account_hint' = ANY(:external_ids))
    OR id IN (SELECT unnest(ARRAY[first_event_id, last_event_id]) FROM claims
               WHERE external_id = ANY(:external_ids))
 ORDER BY number

-- name: write_event
-- What is left of an event.
UPDATE events SET payload = :payload, verdict_reason = :verdict_reason, error = :error WHERE id = :id

-- name: write_body
-- What is left of another body of it.
UPDATE event_bodies SET payload = :payload WHERE id = :id

-- name: deliveries
-- What was said of its deliveries.
SELECT id, reason FROM deliveries WHERE event_id = ANY(:event_ids::text[])

-- name: write_delivery
-- The same without the names.
UPDATE deliveries SET reason = :reason WHERE id = :id

-- name: facts
-- What was read of these events.
SELECT event_id, reading, body::text AS body FROM facts WHERE event_id = ANY(:event_ids::text[])

-- name: write_fact
-- The same without the names.
UPDATE facts SET body = :body::jsonb WHERE event_id = :event_id AND reading = :reading

-- name: money_facts
-- What was read of them about money.
SELECT event_id, kind, object_id, body::text AS body FROM money_facts
 WHERE event_id = ANY(:event_ids::text[])

-- name: write_money_fact
-- The same without the names.
UPDATE money_facts SET body = :body::jsonb
 WHERE event_id = :event_id AND kind = :kind AND object_id = :object_id

-- name: rename_claims
-- The names that events gave, by the new ones.
UPDATE claims SET external_id = renamed.new
  FROM unnest(:old::text[], :new::text[]) AS renamed (old, new) WHERE external_id = renamed.old

-- name: rename_accounts
-- The accounts' own ids,
UPDATE accounts SET external_id = renamed.new
  FROM unnest(:old::text[], :new::text[]) AS renamed (old, new) WHERE external_id = renamed.old

-- name: rename_aliases
-- and those that they had.
UPDATE aliases SET external_id = renamed.new
  FROM unnest(:old::text[], :new::text[]) AS renamed (old, new) WHERE external_id = renamed.old

-- name: journals
-- The journals of these accounts; also those that moved nothing: an operator's act names them, and a
-- hold that was extended.
SELECT journal_id AS id FROM entries WHERE account_id = ANY(:owners::bigint[])
UNION
SELECT journal_id FROM operator_acts WHERE account_id = ANY(:owners) AND journal_id IS NOT NULL
UNION
SELECT journals.id FROM journals JOIN notes ON notes.journal_id = journals.id
  JOIN holds ON holds.id = (answer->>'hold_id')::bigint
 WHERE kind = 'extend' AND holds.account_id = ANY(:owners)

-- name: keys
-- The keys of these journals and of what operators did to these accounts.
SELECT idempotency_key AS key, request_hash,
       kind IN ('grant', 'adjustment', 'reversal', 'transfer') AS of_operator,
       id AS journal_id, NULL::bigint AS act_id
  FROM journals WHERE id = ANY(:journal_ids::bigint[]) AND idempotency_key IS NOT NULL
UNION ALL
SELECT idempotency_key, request_hash, true, NULL, id
  FROM operator_acts WHERE account_id = ANY(:owners::bigint[]) AND idempotency_key IS NOT NULL

-- name: write_erased_keys
-- Keep their hashes,
INSERT INTO erased_keys (key_hash, of_operator, request_hash, journal_id, act_id)
SELECT * FROM unnest(:hashes::bytea[], :of_operator::boolean[], :request_hashes::bytea[],
                     :journal_ids::bigint[], :act_ids::bigint[])

-- name: erase_journals_keys
-- and forget the keys.
UPDATE journals SET idempotency_key = NULL, request_hash = NULL
 WHERE id = ANY(:journal_ids::bigint[]) AND idempotency_key IS NOT NULL

-- name: erase_acts_keys
-- The same of the acts.
UPDATE operator_acts SET idempotency_key = NULL, request_hash = NULL
 WHERE account_id = ANY(:owners::bigint[]) AND idempotency_key IS NOT NULL

-- name: erase_notes
-- Their reasons and metadata. The stored answers stay, under the new id: a retry must get its first
-- answer.
UPDATE notes SET reason = NULL, metadata = NULL,
       answer = CASE WHEN answer->>'account_id' = ANY(:old::text[])
                     THEN jsonb_set(answer, '{account_id}', to_jsonb(:new::text)) ELSE answer END
 WHERE journal_id = ANY(:journal_ids::bigint[])
   AND (num_nonnulls(reason, metadata) > 0 OR answer->>'account_id' = ANY(:old))

-- name: erase_members
-- Who did it.
UPDATE journals SET member = NULL WHERE id = ANY(:journal_ids::bigint[]) AND member IS NOT NULL

-- name: erase_reversals
-- Why it was taken back.
UPDATE reversals SET reason = 'erased' WHERE account_id = ANY(:owners::bigint[])

-- name: erase_acts
-- What operators said of these accounts.
UPDATE operator_acts SET reason = CASE WHEN reason IS NOT NULL THEN 'erased' END, subject = NULL
 WHERE account_id = ANY(:owners::bigint[])

-- name: members_use
-- What was folded of these accounts' use by their members.
WITH moved AS (
    SELECT * FROM entry_changes
     WHERE account_id = ANY(:owners::bigint[]) AND id <= (SELECT entry_id FROM usage_fold FOR UPDATE)
), days AS (
    SELECT day_on, tier, label, member,
-- include: usage/fold.sql flows
      FROM (
-- include: usage/fold.sql placed
    ) AS placed WHERE member <> '' GROUP BY day_on, tier, label, member
)
SELECT * FROM days

-- name: move_use
-- It counts for no member any more.
INSERT INTO usage_days AS stands (day_on, tier, label, member, spent, returned, reversed, use_reversed)
VALUES (:day_on, :tier, :label, :member, :spent, :returned, :reversed, :use_reversed)
ON CONFLICT (day_on, tier, label, member) DO UPDATE SET
    spent = stands.spent + excluded.spent, returned = stands.returned + excluded.returned,
    reversed = stands.reversed + excluded.reversed,
    use_reversed = stands.use_reversed + excluded.use_reversed

-- name: drop_empty_use
-- A row that counts nothing any more would tell who it was.
DELETE FROM usage_days WHERE member = ANY(:members::text[])
   AND (spent, returned, reversed, use_reversed) = (0, 0, 0, 0)

-- name: old_events
-- Events that were received before an instant and still have personal members, a page of them.
SELECT id, number, payload FROM events
 WHERE received_at < :before AND number > :after ORDER BY number LIMIT :limit

-- name: scrub_event
-- What is left of an event, and of the other bodies that came of it: the first one's.
WITH bodies AS (UPDATE event_bodies SET payload = :payload WHERE event_id = :id)
UPDATE events SET payload = :payload WHERE id = :id
