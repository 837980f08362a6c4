-- What rows of the append-only ledger name, checked a statement at a time. A foreign key looks for
-- each row alone and locks what it finds: a quarter of what a spend, and an opened day, cost.
-- Nothing needs that lock, since a row that may be named is never removed and keeps its number.
DO $$
DECLARE
    one record;
BEGIN
    -- By index, also in a plan that was made while a table was empty: one read through for each row
    -- of a run's reversal took four times as long.
    -- A table, and as an array of (constraint, column, table that it names, further condition).
    FOR one IN
        SELECT naming, string_agg(format(
                   'WHEN added.%2$s IS NOT NULL AND (SELECT named.id FROM %3$s AS named '
                   'WHERE named.id = added.%2$s%4$s) IS NULL THEN %1$L',
                   told, named_by, named, further), E'\n' ORDER BY place) AS checks
          FROM (VALUES
            ('journals', 1, 'journals_event_id_fkey', 'event_id', 'events', ''),
            ('journals', 2, 'journals_run_id_fkey', 'run_id', 'runs', ''),
            ('journals', 3, 'journals_reverses_journal_id_fkey', 'reverses_journal_id', 'journals', ''),
            ('entries', 1, 'entries_journal_id_fkey', 'journal_id', 'journals', ''),
            -- An entry's lot is its account's, and so the account is one: one look instead of two.
            ('entries', 2, 'lot_of_its_account', 'lot_id', 'lots',
             ' AND named.account_id = added.account_id'),
            ('entries', 3, 'entries_hold_id_fkey', 'hold_id', 'holds', ''),
            ('entries', 4, 'entries_reverses_entry_id_fkey', 'reverses_entry_id', 'entries', ''),
            ('daily_grants', 1, 'lot_of_its_account', 'lot_id', 'lots',
             ' AND named.account_id = added.account_id'),
            ('daily_grants', 2, 'carried_lot_of_its_account', 'carried_lot_id', 'lots',
             ' AND named.account_id = added.account_id'),
            ('daily_grants', 3, 'daily_grants_run_id_fkey', 'run_id', 'runs', ''),
            ('notes', 1, 'notes_journal_id_fkey', 'journal_id', 'journals', ''),
            ('reversals', 1, 'reversals_of_journal_id_fkey', 'of_journal_id', 'journals', ''),
            ('reversals', 2, 'reversals_part_of_fkey', 'part_of', 'reversals', ''),
            ('reversals', 3, 'reversals_journal_id_fkey', 'journal_id', 'journals', ''),
            ('reversals', 4, 'reversals_entry_id_fkey', 'entry_id', 'entries', '')
          ) AS reference (naming, place, told, named_by, named, further)
         GROUP BY naming ORDER BY naming
    LOOP
        EXECUTE format($make$
CREATE FUNCTION refuse_stray_%1$s() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $body$
DECLARE
    broken text;
BEGIN
    SELECT checked.broken INTO broken
      FROM (SELECT CASE
%2$s
END AS broken FROM added) AS checked
     WHERE checked.broken IS NOT NULL LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'a row of %1$s names what is not there: %%', broken
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = broken, TABLE = '%1$s';
    END IF;
    RETURN NULL;
END $body$
$make$, one.naming, one.checks);
        EXECUTE format('CREATE TRIGGER refuse_stray AFTER INSERT ON %1$s '
                       'REFERENCING NEW TABLE AS added FOR EACH STATEMENT '
                       'EXECUTE FUNCTION refuse_stray_%1$s()', one.naming);
    END LOOP;
END $$;

-- Refuse to remove what rows may name, or to number it anew; not even the owner may.
CREATE FUNCTION keep_named() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
    RAISE EXCEPTION '% may be named by the ledger: % refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER keep_named BEFORE DELETE OR UPDATE OF id, account_id ON lots
    FOR EACH ROW EXECUTE FUNCTION keep_named();
CREATE TRIGGER keep_named BEFORE DELETE OR UPDATE OF id ON holds
    FOR EACH ROW EXECUTE FUNCTION keep_named();
CREATE TRIGGER keep_named BEFORE DELETE OR UPDATE OF id ON runs
    FOR EACH ROW EXECUTE FUNCTION keep_named();
CREATE TRIGGER keep_named BEFORE DELETE OR UPDATE OF id ON reversals
    FOR EACH ROW EXECUTE FUNCTION keep_named();
-- What these name is checked when they are added, and stays.
CREATE TRIGGER keep_naming BEFORE UPDATE OF of_journal_id, part_of, journal_id, entry_id ON reversals
    FOR EACH ROW EXECUTE FUNCTION keep_named();
CREATE TRIGGER keep_naming BEFORE UPDATE OF journal_id ON notes
    FOR EACH ROW EXECUTE FUNCTION keep_named();
CREATE TRIGGER keep_named BEFORE UPDATE OF id ON events
    FOR EACH ROW EXECUTE FUNCTION keep_named();
CREATE TRIGGER keep_named BEFORE UPDATE OF id ON journals
    FOR EACH ROW EXECUTE FUNCTION keep_named();
CREATE TRIGGER keep_named BEFORE UPDATE OF id, account_id, journal_id, lot_id ON entries
    FOR EACH ROW EXECUTE FUNCTION keep_named();
DO $$
DECLARE
    named text;
BEGIN
    FOREACH named IN ARRAY ARRAY['lots', 'holds', 'runs', 'reversals'] LOOP
        EXECUTE format('CREATE TRIGGER keep_all BEFORE TRUNCATE ON %I '
                       'FOR EACH STATEMENT EXECUTE FUNCTION keep_named()', named);
    END LOOP;
END $$;
