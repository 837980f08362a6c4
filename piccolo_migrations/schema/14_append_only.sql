-- Refuse to change or remove a row.
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
    -- The owner erases a person's data: no other role has the right to update these tables.
    IF TG_OP = 'UPDATE' AND current_setting('tallybook.erasing', true) = 'on' THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'insufficient_privilege', HINT = 'Write a reversal instead.';
END $$;

-- These tables take new rows and nothing else.
DO $$
DECLARE
    append_only text;
BEGIN
    FOREACH append_only IN ARRAY ARRAY[
        'journals', 'entries', 'moved_lots', 'daily_grants',
        'facts', 'transitions', 'money_facts', 'purchases',
        'deliveries', 'event_bodies', 'fetched_events', 'catalogues', 'operator_acts', 'erased_keys', 'verifications', 'alerts',
        'seals', 'seal_cosignatures', 'seal_keys'
    ] LOOP
        EXECUTE format('CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON %I '
                       'FOR EACH ROW EXECUTE FUNCTION refuse_change()', append_only);
        EXECUTE format('CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON %I '
                       'FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()', append_only);
    END LOOP;
END $$;

-- An event's verdict changes; what Stripe sent does not.
CREATE FUNCTION keep_payload() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
    IF current_setting('tallybook.erasing', true) IS DISTINCT FROM 'on'
       AND ROW(NEW.id, NEW.type, NEW.created_at, NEW.received_at, NEW.payload)
        IS DISTINCT FROM ROW(OLD.id, OLD.type, OLD.created_at, OLD.received_at, OLD.payload) THEN
        RAISE EXCEPTION 'events keep what Stripe sent: UPDATE refused'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER keep_payload BEFORE UPDATE ON events FOR EACH ROW EXECUTE FUNCTION keep_payload();
CREATE TRIGGER refuse_delete BEFORE DELETE ON events FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
