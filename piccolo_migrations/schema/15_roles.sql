-- Two group roles, which own nothing. `tallybook migrate` puts the login of DATABASE_URL into
-- tallybook_app and that of DATABASE_READ_URL into tallybook_read. Roles belong to the cluster:
-- another book in it may have made them already, or may make them at this moment.
DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['tallybook_app', 'tallybook_read'] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
        END;
    END LOOP;
END $$;

REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO tallybook_app, tallybook_read;

-- The server adds rows to these,
GRANT SELECT, INSERT ON
    journals, entries, notes, moved_lots, daily_grants,
    facts, transitions, money_facts, purchases,
    deliveries, fetched_events, catalogues, operator_acts, verifications, alerts
    TO tallybook_app;
-- adds and changes rows of these,
GRANT SELECT, INSERT, UPDATE ON
    accounts, brought_use, customers, claims, lots, holds, reversals, runs, run_not_opened,
    events, subscriptions, backings, money_back, reconciliations, sightings,
    usage_days, api_keys, dev_clock
    TO tallybook_app;
-- and removes none.
GRANT SELECT, UPDATE ON usage_fold TO tallybook_app;
GRANT SELECT ON migration, book, account_names, entry_changes, audited_entries TO tallybook_app;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO tallybook_app;

-- Auditors read everything but the keys.
GRANT SELECT ON ALL TABLES IN SCHEMA public TO tallybook_read;
REVOKE SELECT ON api_keys FROM tallybook_read;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO tallybook_read;
