-- Three group roles, which own nothing. `tallybook migrate` puts the login of DATABASE_URL into
-- tallybook_app and that of DATABASE_READ_URL into tallybook_read; in development the first goes
-- into tallybook_clock too. Roles belong to the cluster: ops/make_roles.sh or another book may have
-- made them already, or may make them at this moment.
DO $$
DECLARE
    role_name text;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['tallybook_app', 'tallybook_read', 'tallybook_clock'] LOOP
        BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
                EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
            END IF;
        EXCEPTION
            WHEN duplicate_object OR unique_violation THEN NULL;
            WHEN insufficient_privilege THEN RAISE EXCEPTION USING
                ERRCODE = 'insufficient_privilege',
                MESSAGE = format('the role %s is missing, and %s may not create it: '
                                 'a superuser can, as ops/make_roles.sh does',
                                 role_name, current_user);
        END;
    END LOOP;
END $$;

-- The server and the auditors read every table; the hashes of the keys and of sessions are the
-- server's alone.
DO $$
BEGIN
    EXECUTE replace($grants$
        REVOKE ALL ON ALL TABLES IN SCHEMA book FROM PUBLIC;
        REVOKE ALL ON ALL SEQUENCES IN SCHEMA book FROM PUBLIC;
        REVOKE ALL ON ALL ROUTINES IN SCHEMA book FROM PUBLIC;
        REVOKE CREATE ON SCHEMA book FROM PUBLIC;
        GRANT USAGE ON SCHEMA book TO PUBLIC; -- as PostgreSQL does with its own
        GRANT USAGE ON SCHEMA book TO tallybook_app, tallybook_read, tallybook_clock;
        GRANT SELECT ON ALL TABLES IN SCHEMA book TO tallybook_app, tallybook_read;
        GRANT SELECT ON ALL SEQUENCES IN SCHEMA book TO tallybook_app, tallybook_read;
    $grants$, 'SCHEMA book', format('SCHEMA %I', current_schema()));
END $$;
GRANT EXECUTE ON FUNCTION tallybook_now TO tallybook_app, tallybook_read, tallybook_clock;
GRANT EXECUTE ON FUNCTION leaf_instant TO tallybook_app, tallybook_read;
GRANT EXECUTE ON FUNCTION tell_endpoints, public_id TO tallybook_app; -- by triggers, as who writes
GRANT EXECUTE ON FUNCTION forget_messages, add_api_key, revoke_api_key, spend_plainly
    TO tallybook_app;
REVOKE SELECT ON api_keys, console_sessions FROM tallybook_read;

-- The server adds rows to these tables and changes none,
GRANT INSERT ON
    journals, entries, notes, moved_lots, daily_grants,
    facts, transitions, money_facts, purchases,
    deliveries, event_bodies, fetched_events, operator_acts, verifications, alerts,
    seals, seal_cosignatures, seal_keys, seal_names
    TO tallybook_app;

-- adds rows to these,
GRANT INSERT ON
    accounts, aliases, customers, claims, brought_use, moved_use, lots, holds, reversals, runs,
    run_not_opened, events, subscriptions, backings, money_back, reconciliations, sightings,
    usage_days, usage_totals, alert_counts, key_uses, webhook_endpoints, webhook_messages,
    seal_tiles, seal_leaves, seal_balances, seal_balance_tiles, console_sessions, asked_verifications
    TO tallybook_app;
-- removes these alone, as people sign out,
GRANT DELETE ON console_sessions TO tallybook_app;
-- It draws these numbers itself; a column that is an identity draws without a right.
GRANT USAGE ON SEQUENCE journals_id_seq, lots_id_seq, holds_id_seq, entries_id_seq
    TO tallybook_app;

-- and changes them, but for the columns that say what a row is. It removes no other.
DO $$
DECLARE
    kept record;
    changing text;
BEGIN
    FOR kept IN SELECT * FROM (VALUES
        ('accounts', '{id, opened_at}'::text[]),
        ('aliases', '{external_id, since}'),
        ('customers', '{id}'),
        ('claims', '{customer_id, rank, object_id, external_id}'),
        ('brought_use', '{account_id, from_account_id}'),
        ('moved_use', '{subscription_id, from_account_id, until_at}'),
        ('lots', '{id, account_id, source, priority, granted_at}'),
        ('holds', '{id, created_at}'),
        ('reversals', '{id, of_journal_id, of_run_id, of_event_id, part_of, journal_id, entry_id,
            house, policy, standing, idempotency_key, request_hash, actor, reason, created_at}'),
        ('runs', '{id, day_on, wave_at, opening, catalogue_id, started_by, started_at}'),
        ('run_not_opened', '{run_id, time_zone, day_on, opened_by}'),
        ('events', '{id, number, type, api_version, livemode, created_at, received_at, payload}'),
        ('subscriptions', '{id}'),
        ('backings', '{id, credits, gift}'),
        ('money_back', '{kind, id, payment_key}'),
        ('reconciliations', '{id, hour_at, started_by, dry_run, since_at, started_at}'),
        ('sightings', '{subscription_id}'),
        ('usage_days', '{day_on, tier, label, member}'),
        ('usage_totals', '{day_on, tier}'),
        ('key_uses', '{key_id}'),
        ('usage_fold', '{only_row}'),
        ('alert_counts', '{kind}'),
        ('webhook_endpoints', '{number, id, created_at}'),
        ('webhook_messages', '{id, endpoint_number, type, account_id, data, effective_at,
            created_at}'),
        ('seal_tiles', '{level, tile}'),
        ('seal_leaves', '{tile, first_entry_id}'),
        ('seal_balances', '{account_id}'),
        ('seal_balance_tiles', '{level, tile}'),
        ('console_sessions', '{token_hash, key_id, created_at, ends_at}'),
        ('asked_verifications', '{id, asked_by, started_at, check_count}'),
        ('book', '{only_row, epoch, pepper_check}')
    ) AS kept (table_name, columns) LOOP
        SELECT string_agg(quote_ident(attname), ', ') INTO STRICT changing FROM pg_attribute
         WHERE attrelid = kept.table_name::regclass AND attnum > 0 AND NOT attisdropped
           AND attname <> ALL (kept.columns);
        EXECUTE format('GRANT UPDATE (%s) ON %I TO tallybook_app', changing, kept.table_name);
    END LOOP;
END $$;

-- Keys and catalogues are written by the owner, `tallybook keys` and `tallybook tiers apply`, but for
-- what add_api_key and revoke_api_key do.
-- The clock is set in development.
GRANT SELECT, INSERT, UPDATE ON dev_clock TO tallybook_clock;
