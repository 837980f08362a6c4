-- The accounts: each with its balance, its tier and its running day.
CREATE TABLE accounts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    external_id application_id UNIQUE,
    opened_at timestamptz NOT NULL,
    closed_at timestamptz,
    suspended_at timestamptz, -- it opens no day and refuses spends until it is resumed
    joined_to bigint REFERENCES accounts ON DELETE RESTRICT,
    last_used_at timestamptz, -- its last spend, hold or capture; null for none yet
    written_at timestamptz NOT NULL DEFAULT 'epoch', -- nothing is recorded before it any more

    -- The sums of the account's entries.
    free credits NOT NULL DEFAULT 0,
    held credits NOT NULL DEFAULT 0,
    debt credits NOT NULL DEFAULT 0,

    -- The running day.
    tier text NOT NULL,
    time_zone text NOT NULL DEFAULT 'UTC',
    day_on date,
    day_opening integer NOT NULL DEFAULT 1,
    day_starts_at timestamptz,
    day_ends_at timestamptz,
    day_lot_id bigint, -- references lots, see 06_ledger.sql
    day_carried_lot_id bigint, -- what was carried into the day; null if nothing may be
    day_catalogue_id bigint REFERENCES catalogues ON DELETE RESTRICT,
    day_used_brought natural_number NOT NULL DEFAULT 0, -- see brought_use
    brought_until timestamptz, -- the latest until_at of what joins and moves brought here
    day_withdrawn boolean NOT NULL DEFAULT false, -- the running day's opening was reversed
    -- When the tick looks at it next. Past day_ends_at it is dormant: its next use opens its day.
    due_at timestamptz NOT NULL,

    CONSTRAINT debt_never_beside_free CHECK (debt = 0 OR free = 0),
    CONSTRAINT day_whole CHECK (num_nulls(day_on, day_starts_at, day_ends_at) IN (0, 3)),
    CONSTRAINT joined_is_closed CHECK (joined_to IS NULL OR closed_at IS NOT NULL)
) WITH (fillfactor = 80);
CREATE INDEX accounts_due ON accounts (due_at, id);
CREATE INDEX accounts_joined ON accounts (joined_to) WHERE joined_to IS NOT NULL;
CREATE INDEX accounts_dormant ON accounts (time_zone)
    WHERE due_at > day_ends_at AND closed_at IS NULL AND suspended_at IS NULL;
-- For lists of few among many. None is of what each spend changes.
CREATE INDEX accounts_tier ON accounts (tier, id);
CREATE INDEX accounts_owing ON accounts (id) WHERE debt > 0;
CREATE INDEX accounts_closed ON accounts (id) WHERE closed_at IS NOT NULL;
CREATE INDEX accounts_suspended ON accounts (id) WHERE suspended_at IS NOT NULL;

-- Ids that accounts had before they were renamed or merged into another: they keep working. Some are
-- an account's present id again.
CREATE TABLE aliases (
    external_id application_id PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES accounts ON DELETE RESTRICT,
    since timestamptz NOT NULL
);
CREATE INDEX aliases_account ON aliases (account_id);

-- The ids by which applications know accounts, former ones too.
CREATE VIEW known_ids AS
SELECT external_id, id AS account_id FROM accounts WHERE external_id IS NOT NULL
 UNION ALL
SELECT external_id, account_id FROM aliases;

-- Refuse an id that another account has as an alias, and an alias that is another account's id.
CREATE FUNCTION refuse_taken_id() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
DECLARE
    taken boolean;
BEGIN
    IF TG_TABLE_NAME = 'accounts' THEN
        taken := EXISTS (SELECT FROM aliases
                          WHERE external_id = NEW.external_id AND account_id <> NEW.id);
    ELSE
        taken := EXISTS (SELECT FROM accounts
                          WHERE external_id = NEW.external_id AND id <> NEW.account_id);
    END IF;
    IF taken THEN
        RAISE EXCEPTION 'another account has the id %', NEW.external_id
            USING ERRCODE = 'unique_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER refuse_taken_id BEFORE INSERT OR UPDATE OF external_id ON accounts
    FOR EACH ROW WHEN (NEW.external_id IS NOT NULL) EXECUTE FUNCTION refuse_taken_id();
CREATE TRIGGER refuse_taken_id BEFORE INSERT OR UPDATE ON aliases
    FOR EACH ROW EXECUTE FUNCTION refuse_taken_id();

-- What was used of the days of accounts that were joined to this one. It counts in every day of
-- this account that starts before until_at, which is when the day ends on which it was used. What
-- earlier openings of a day of its own gave, before that was opened again, counts in the same way.
CREATE TABLE brought_use (
    account_id bigint NOT NULL REFERENCES accounts ON DELETE RESTRICT,
    from_account_id bigint NOT NULL REFERENCES accounts ON DELETE RESTRICT,
    until_at timestamptz NOT NULL,
    amount bigint NOT NULL CHECK (amount >= 0),
    PRIMARY KEY (account_id, from_account_id, until_at)
);

-- Stripe's customers, each tied to one account by the strongest claim; to none while nothing of
-- it gives credits or names an account.
CREATE TABLE customers (
    id text PRIMARY KEY,
    account_id bigint REFERENCES accounts ON DELETE RESTRICT,
    -- 1 PUT, 2 its own metadata, 3 a subscription's or session's metadata, 4 its own id
    rank smallint NOT NULL CHECK (rank BETWEEN 1 AND 4),
    tied_at timestamptz NOT NULL,
    -- The account that it left without its lots, since debt stayed there: a PUT joins the two.
    left_account_id bigint REFERENCES accounts ON DELETE RESTRICT,
    -- Once deleted its subscriptions are canceled, later arrivals too.
    deleted_at timestamptz,
    deleted_event_id text REFERENCES events ON DELETE RESTRICT
);
CREATE INDEX customers_account ON customers (account_id);

-- Each account that an event names for a customer; the tie is derived from all of them.
CREATE TABLE claims (
    customer_id text NOT NULL,
    -- 2 and 3 as customers.rank; 5 a session's metadata names who receives its subscription;
    -- 6 its client_reference_id does, which may come from a browser and ties nothing.
    rank smallint NOT NULL CHECK (rank IN (2, 3, 5, 6)),
    -- The customer, subscription or session that says it; of 5 and 6 the subscription it is about.
    object_id text NOT NULL,
    -- Empty if the metadata names no account.
    external_id text NOT NULL CHECK (external_id ~ '^[A-Za-z0-9._:@|+=~-]{0,128}$'),
    first_at timestamptz NOT NULL,
    first_event_id text NOT NULL REFERENCES events ON DELETE RESTRICT,
    last_at timestamptz NOT NULL,
    last_event_id text NOT NULL REFERENCES events ON DELETE RESTRICT,
    stands boolean NOT NULL, -- the object's latest snapshot says so
    PRIMARY KEY (customer_id, rank, object_id, external_id)
);
