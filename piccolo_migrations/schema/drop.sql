-- Remove what the other files made: all that the owner has in this schema, but for the table in
-- which Piccolo notes its migrations. The group roles stay: other books use them.
DO $$
DECLARE
    made text[] := ARRAY(
        SELECT format('VIEW IF EXISTS %I', viewname) FROM pg_views
         WHERE schemaname = current_schema() AND viewowner = current_user
        UNION ALL
        SELECT format('TABLE IF EXISTS %I', tablename) FROM pg_tables
         WHERE schemaname = current_schema() AND tableowner = current_user AND tablename <> 'migration'
        UNION ALL
        SELECT format('ROUTINE IF EXISTS %s', oid::regprocedure) FROM pg_proc
         WHERE pronamespace = current_schema()::regnamespace AND proowner = current_user::regrole
        UNION ALL
        SELECT format('TYPE IF EXISTS %I', relname) FROM pg_class
         WHERE relkind = 'c' AND relnamespace = current_schema()::regnamespace
           AND relowner = current_user::regrole
        UNION ALL
        SELECT format('DOMAIN IF EXISTS %I', typname) FROM pg_type
         WHERE typtype = 'd' AND typnamespace = current_schema()::regnamespace
           AND typowner = current_user::regrole
    );
    name text;
BEGIN
    FOREACH name IN ARRAY made LOOP
        EXECUTE 'DROP ' || name || ' CASCADE';
    END LOOP;
END $$;
