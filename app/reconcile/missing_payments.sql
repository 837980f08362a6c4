-- name: kept
-- The facts that are kept of these sessions, refunds and disputes.
SELECT object_id, body::text FROM money_facts WHERE object_id = ANY(:object_ids::text[])

-- name: purchases
-- The packs that were opened for these sessions or payments.
SELECT session_id, payment_key, pack, credits FROM purchases
 WHERE session_id = ANY(:names::text[]) OR payment_key = ANY(:names::text[])

-- name: bought
-- Those of these payment intents and charges that paid for a pack.
SELECT payment_intent AS name FROM purchases WHERE payment_intent = ANY(:names::text[])
 UNION
SELECT charge_id FROM money_facts JOIN purchases USING (payment_intent)
 WHERE charge_id = ANY(:names::text[])
