-- name: lock
-- Let nobody else take facts of this payment, charge or session until we commit.
SELECT pg_advisory_xact_lock(hashtextextended(:name, :seed))

-- name: add
-- Keep what an event says; its row in the inbox stands already.
INSERT INTO money_facts (event_id, kind, object_id, payment_intent, charge_id, occurred_at, body)
SELECT :event_id, kind, object_id, payment_intent, charge_id, :occurred_at, body::jsonb
  FROM unnest(:kinds::text[], :object_ids::text[], :payment_intents::text[], :charge_ids::text[],
              :bodies::text[])
       AS fact (kind, object_id, payment_intent, charge_id, body)
ON CONFLICT DO NOTHING

-- name: charges_of
-- The charges that facts tie to a payment.
SELECT DISTINCT charge_id FROM money_facts
 WHERE payment_intent = :payment_intent AND charge_id IS NOT NULL

-- name: intent_of
-- The payment that one of these charges is of.
SELECT payment_intent FROM money_facts
 WHERE charge_id = ANY(:charge_ids::text[]) AND payment_intent IS NOT NULL LIMIT 1

-- name: facts_of
-- Everything that was told of a payment, by whatever event, whenever.
SELECT body::text FROM money_facts
 WHERE payment_intent = :payment_intent OR charge_id = ANY(:charge_ids::text[])

-- name: newest_of_kind
-- The newest fact of one kind about a payment.
SELECT body::text FROM money_facts
 WHERE payment_intent = :payment_intent AND kind = :kind
 ORDER BY occurred_at DESC, event_id DESC LIMIT 1

-- name: event_of
-- The facts of an event.
SELECT occurred_at, body::text FROM money_facts WHERE event_id = :event_id

-- name: pins_of
-- Those of these events that an operator reversed, in order.
SELECT of_event_id, standing FROM reversals
 WHERE standing IS NOT NULL AND of_event_id = ANY(:event_ids::text[]) ORDER BY id

-- name: purchase
-- The pack that was bought with this payment, or in this session.
SELECT * FROM purchases WHERE payment_key = :payment_key OR session_id = :session_id

-- name: insert
-- Keep a purchase: once for its payment and once for its session, by their UNIQUE.
INSERT INTO purchases (payment_key, session_id, payment_intent, backing_id, journal_id, event_id,
                       customer_id, pack, credits, paid, currency, opened_at)
VALUES (:payment_key, :session_id, :payment_intent, :backing_id, :journal_id, :event_id,
        :customer_id, :pack, :credits, :paid, :currency, tallybook_now())

-- name: keep
-- Keep the present standing of each refund and dispute of a purchase.
INSERT INTO money_back (kind, id, payment_key, amount, standing)
SELECT kind, id, :payment_key, amount, standing
  FROM unnest(:kinds::text[], :ids::text[], :amounts::bigint[], :standings::text[])
       AS part (kind, id, amount, standing)
ON CONFLICT (kind, id) DO UPDATE
   SET amount = excluded.amount, standing = excluded.standing
 WHERE money_back.payment_key = excluded.payment_key
