-- Carry out the spends of accounts of which nothing is due, by one call: see app/spending/plain.py.
-- It takes whole accounts: those that nobody else has locked, whose credits cover all their spends,
-- and of whose keys none was used; none at all if one of the keys was erased. Of the others it writes
-- nothing. A row for each entry written.
--
-- Two statements, since what the lock guards is read by a snapshot taken after it. No join has both
-- sides of unknown size, so that the plans, made once, cost no more than the rows: a spend's lots
-- are looked up for its account, and what is drawn is where an interval of spends meets one of lots.
CREATE FUNCTION spend_plainly(wanted account_spends[], keys text[], key_hashes bytea[])
RETURNS TABLE (place bigint, journal_id bigint, entry_id bigint, free bigint, held bigint)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET search_path FROM CURRENT AS $$
#variable_conflict use_column
DECLARE
    locked spending_account[];
BEGIN
    locked := array(
        SELECT (id, free, held, day_lot_id, day_carried_lot_id, least(due_at, day_ends_at),
                written_at, total, spends)::spending_account
          FROM unnest(wanted) JOIN accounts ON external_id = account_id
         WHERE suspended_at IS NULL AND joined_to IS NULL
         ORDER BY id FOR NO KEY UPDATE OF accounts SKIP LOCKED);
    IF locked = '{}' THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH seen AS MATERIALIZED (
        SELECT greatest(tallybook_now(), (SELECT floor FROM book),
                        (SELECT max(written_at) FROM unnest(locked))) AS now,
               array(SELECT idempotency_key FROM journals WHERE idempotency_key = ANY(keys)
                        AND kind NOT IN ('grant', 'adjustment', 'reversal', 'transfer')) AS used,
               EXISTS (SELECT FROM erased_keys
                        WHERE key_hash = ANY(key_hashes) AND NOT of_operator) AS erased
    ), ready AS MATERIALIZED (
        SELECT account.*, now, lots FROM seen, unnest(locked) AS account CROSS JOIN LATERAL (
               SELECT array_agg((id, upto, free)::burning_lot) AS lots,
                      max(upto) AS free_of_lots, count(*) AS lot_count
                 FROM (SELECT id, free, (sum(free) OVER in_order)::bigint AS upto
                         FROM (SELECT * FROM lots WHERE account_id = account.id AND live AND free > 0
                                                    AND expires_at > now
                                ORDER BY priority, expires_at, granted_at, id LIMIT 100) AS first
                       WINDOW in_order AS (ORDER BY priority, expires_at, granted_at, id)
                      ) AS lot) AS burning
         WHERE NOT erased AND due_at > now AND total <= account.free
           -- Of more lots the first hundred must do.
           AND (free_of_lots = account.free OR lot_count = 100 AND total <= free_of_lots)
           AND (used = '{}' OR NOT EXISTS (
                SELECT FROM unnest(spends) WHERE idempotency_key = ANY(used)))
    ), spent AS MATERIALIZED (
        SELECT account.id AS account_id, account.free, account.held, now, lots, day_lot_id,
               day_carried_lot_id, spend.*, nextval('journals_id_seq') AS journal_id
          FROM ready AS account CROSS JOIN LATERAL unnest(spends) AS spend
    ), drawn AS MATERIALIZED (
        SELECT *, nextval('entries_id_seq') AS entry_id FROM (
            SELECT spent.*, lot.id AS lot_id,
                   coalesce(lot.id IN (day_lot_id, day_carried_lot_id), false) AS of_day,
                   least(spent.upto, lot.upto)
                       - greatest(spent.upto - amount, lot.upto - lot.free) AS part,
                   spent.free - least(spent.upto, lot.upto) AS free_after
              FROM spent CROSS JOIN LATERAL unnest(lots) AS lot
             WHERE lot.upto > spent.upto - amount AND lot.upto - lot.free < spent.upto
             ORDER BY place, lot.upto) AS part
    ), new_journals AS (
        INSERT INTO journals (id, kind, source, actor, effective_at, recorded_at,
                                     idempotency_key, request_hash, label, member) OVERRIDING SYSTEM VALUE
        SELECT journal_id, 'spend', 'api', actor, now, now, idempotency_key, request_hash, label,
               member FROM spent
    ), new_notes AS (
        INSERT INTO notes (journal_id, reason, metadata)
        SELECT journal_id, reason, metadata::jsonb FROM spent
         WHERE num_nonnulls(reason, metadata) > 0
    ), new_entries AS (
        INSERT INTO entries (id, journal_id, account_id, lot_id, kind, debit, credit, amount,
                             free_after, held_after, debt_after, effective_at, recorded_at)
        OVERRIDING SYSTEM VALUE
        SELECT entry_id, journal_id, account_id, lot_id, 'spend', 'free', 'spent', part,
               free_after, held, 0, now, now FROM drawn
    ), lots_changed AS (
        -- The day's two stay live when they are drawn to nothing.
        UPDATE lots SET free = lots.free - change.amount,
                        live = lots.free > change.amount OR lots.held > 0 OR of_day
          FROM (SELECT lot_id, sum(part)::bigint AS amount, bool_or(of_day) AS of_day
                  FROM drawn GROUP BY lot_id) AS change
         WHERE lots.id = change.lot_id
    ), accounts_changed AS (
        UPDATE accounts SET free = accounts.free - total, last_used_at = now, written_at = now
          FROM ready WHERE accounts.id = ready.id
    )
    SELECT place, journal_id, entry_id, free_after, held FROM drawn;
END $$;
