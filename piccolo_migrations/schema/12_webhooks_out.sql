-- Webhooks that we send: who wants them, and the messages, written in the transaction of their cause.

-- The addresses that are told of what happens. The instants of sending are the world's, not those of
-- a development clock: a receiver judges them by its own.
CREATE TABLE webhook_endpoints (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text NOT NULL CHECK (id ~ '^[A-Za-z0-9._~-]{1,64}$'),
    url text NOT NULL CHECK (url ~ '^https?://[^[:space:]]+$' AND length(url) <= 2000),
    events text[] CHECK (cardinality(events) > 0), -- null: every type, later ones too
    ordered boolean NOT NULL, -- an account's messages go one after another
    -- The secret that signs is derived from TALLYBOOK_KEY_PEPPER and this; so is its predecessor.
    salt bytea NOT NULL CHECK (length(salt) = 32),
    previous_salt bytea CHECK (length(previous_salt) = 32),
    previous_until timestamptz,
    created_at timestamptz NOT NULL,
    deleted_at timestamptz,
    disabled_at timestamptz, -- after days of failure; a PUT enables it
    disabled_reason text,
    failing_since timestamptz, -- nothing arrived since; null while it answers
    failure_count bigint NOT NULL DEFAULT 0 CHECK (failure_count >= 0), -- in a row
    held_until timestamptz, -- nothing is tried before
    CONSTRAINT predecessor_whole CHECK ((previous_salt IS NULL) = (previous_until IS NULL)),
    CONSTRAINT disabled_has_its_reason CHECK ((disabled_at IS NULL) = (disabled_reason IS NULL)),
    CONSTRAINT failing_is_counted CHECK ((failing_since IS NULL) = (failure_count = 0))
);
CREATE UNIQUE INDEX webhook_endpoints_id ON webhook_endpoints (id) WHERE deleted_at IS NULL;

-- One message for one endpoint; its body is made of this at each attempt. No free text and no name
-- stands in `data`, so that nothing is to be erased here.
CREATE TABLE webhook_messages (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    endpoint_number bigint NOT NULL REFERENCES webhook_endpoints ON DELETE RESTRICT,
    type text NOT NULL,
    account_id bigint, -- no foreign key, as in alerts
    data jsonb NOT NULL,
    effective_at timestamptz NOT NULL, -- when it happened
    created_at timestamptz NOT NULL,
    state text NOT NULL DEFAULT 'pending'
        CHECK (state IN ('pending', 'delivered', 'dead', 'canceled')),
    attempt_count integer NOT NULL DEFAULT 0 CHECK (attempt_count >= 0),
    -- While an attempt is under way: when it is tried again if nothing is heard of that.
    next_attempt_at timestamptz NOT NULL,
    first_attempt_at timestamptz,
    last_attempt_at timestamptz,
    last_status smallint, -- of the receiver's answer, null if there was none
    last_error text,
    delivered_at timestamptz,
    CONSTRAINT delivered_at_an_instant CHECK ((state = 'delivered') = (delivered_at IS NOT NULL))
);
CREATE INDEX webhook_messages_pending ON webhook_messages (endpoint_number, id)
    WHERE state = 'pending';
CREATE INDEX webhook_messages_in_order ON webhook_messages (endpoint_number, account_id, id)
    WHERE state = 'pending';
CREATE INDEX webhook_messages_dead ON webhook_messages (endpoint_number) WHERE state = 'dead';
CREATE INDEX webhook_messages_done ON webhook_messages (created_at) WHERE state <> 'pending';

-- Write a message for each endpoint that wants this type; nothing if there is none.
CREATE FUNCTION tell_endpoints(told_type text, told_account bigint, happened_at timestamptz,
                               told jsonb) RETURNS void LANGUAGE sql
SET search_path FROM CURRENT AS $$
    INSERT INTO webhook_messages (endpoint_number, type, account_id, data, effective_at,
                                         created_at, next_attempt_at)
    SELECT number, told_type, told_account, told, happened_at, tallybook_now(),
           clock_timestamp()
      FROM webhook_endpoints
     WHERE deleted_at IS NULL AND (events IS NULL OR told_type = ANY (events))
     ORDER BY number
$$;

-- Remove messages that are done and were written 30 days ago or earlier; how many. No server may
-- remove a row of any table but by this.
CREATE FUNCTION forget_messages(most integer) RETURNS bigint LANGUAGE sql SECURITY DEFINER
SET search_path FROM CURRENT AS $$
    WITH forgotten AS (
        DELETE FROM webhook_messages WHERE id IN (
            SELECT id FROM webhook_messages
             WHERE created_at <= tallybook_now() - interval '30 days' AND state <> 'pending'
             ORDER BY created_at LIMIT most)
        RETURNING id)
    SELECT count(*) FROM forgotten
$$;

-- An id as it is told outside: a prefix, and the number in sortable base 32 (app/infrastructure/ids).
CREATE FUNCTION public_id(prefix text, number bigint) RETURNS text LANGUAGE sql IMMUTABLE
SET search_path FROM CURRENT AS $$
    SELECT prefix || '_' || string_agg(
               substr('0123456789abcdefghjkmnpqrstvwxyz', ((number >> (5 * place)) & 31)::int + 1, 1),
               '' ORDER BY place DESC)
      FROM generate_series(0, 12) AS place
$$;

CREATE FUNCTION tell_alert() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
DECLARE
    alert jsonb := jsonb_build_object(
        'alert_id', public_id('alr', NEW.id), 'tier', NEW.tier);
BEGIN
    IF NEW.kind IN ('low', 'depleted', 'recovered') THEN
        PERFORM tell_endpoints(
            'balance.' || NEW.kind, NEW.account_id, NEW.effective_at,
            alert || jsonb_build_object('balance', NEW.value, 'threshold', NEW.threshold,
                                        'journal_id', public_id('jrn', NEW.journal_id)));
    ELSIF NEW.kind = 'unusual_use' THEN
        PERFORM tell_endpoints(
            'usage.unusual', NEW.account_id, NEW.effective_at,
            alert || jsonb_build_object('on', NEW.day_on, 'used', NEW.value,
                                        'threshold', NEW.threshold));
    ELSIF NEW.kind = 'hold_leaked' THEN
        PERFORM tell_endpoints(
            'hold.leaked', NEW.account_id, NEW.effective_at,
            alert || jsonb_build_object('hold_id', public_id('hld', NEW.hold_id),
                                        'amount', NEW.value));
    ELSE
        PERFORM tell_endpoints(
            'gift.disputed', NEW.account_id, NEW.effective_at,
            alert || jsonb_build_object('customer_id', NEW.customer_id, 'written_off', NEW.value));
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER INSERT ON alerts FOR EACH ROW EXECUTE FUNCTION tell_alert();

-- What operators grant; the grants of each day are told by nothing.
CREATE FUNCTION tell_grant() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM tell_endpoints(
        'credits.granted', entries.account_id, NEW.effective_at,
        jsonb_build_object('journal_id', public_id('jrn', NEW.id),
                           'amount', sum(entries.amount), 'source', lots.source,
                           'lot_id', public_id('lot', lots.id),
                           'expires_at', CASE WHEN lots.expires_at < '9999-12-31'
                                              THEN to_char(lots.expires_at AT TIME ZONE 'UTC',
                                                           'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') END))
       FROM entries JOIN lots ON lots.id = entries.lot_id
      WHERE entries.journal_id = NEW.id AND entries.debit IN ('issued', 'purchased')
        AND EXISTS (SELECT FROM webhook_endpoints WHERE deleted_at IS NULL)
      GROUP BY entries.account_id, lots.id
      ORDER BY entries.account_id, lots.id;
    RETURN NULL;
END $$;
-- Deferred, as are others below: the rows that tell more are written after this one.
CREATE CONSTRAINT TRIGGER tell AFTER INSERT ON journals DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.kind = 'grant') EXECUTE FUNCTION tell_grant();

CREATE FUNCTION tell_tier() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM tell_endpoints(
        'tier.changed', NEW.id, tallybook_now(),
        jsonb_build_object('tier', NEW.tier, 'previous_tier', OLD.tier));
    RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER UPDATE OF tier ON accounts
    FOR EACH ROW WHEN (NEW.tier <> OLD.tier) EXECUTE FUNCTION tell_tier();

CREATE FUNCTION tell_transition() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM tell_endpoints(
        'subscription.changed', account_id, NEW.effective_at,
        jsonb_build_object('subscription_id', id, 'customer_id', customer_id,
                           'transition_id', public_id('trn', NEW.id),
                           'state', NEW.to_state, 'previous_state', NEW.from_state,
                           'event_id', NEW.event_id))
       FROM subscriptions WHERE id = NEW.subscription_id;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER tell AFTER INSERT ON transitions DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION tell_transition();

CREATE FUNCTION tell_purchase() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM tell_endpoints(
        'purchase.opened', account_id, NEW.opened_at,
        jsonb_build_object('journal_id', public_id('jrn', NEW.journal_id),
                           'payment', NEW.payment_key, 'pack', NEW.pack, 'credits', NEW.credits,
                           'paid', NEW.paid, 'currency', NEW.currency, 'event_id', NEW.event_id))
       FROM backings WHERE id = NEW.backing_id;
    RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER INSERT ON purchases FOR EACH ROW EXECUTE FUNCTION tell_purchase();

-- A refund counts or fails, or grows; a dispute opens, is lost or is won.
CREATE FUNCTION tell_money_back() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM tell_endpoints(
        CASE NEW.kind WHEN 'dispute' THEN 'purchase.disputed' ELSE 'purchase.refunded' END,
        backings.account_id, tallybook_now(),
        jsonb_build_object('payment', NEW.payment_key, 'id', NEW.id, 'amount', NEW.amount,
                           'status', CASE WHEN NEW.kind <> 'dispute'
                                          THEN CASE NEW.standing WHEN 'out' THEN 'failed'
                                                                 ELSE 'refunded' END
                                          ELSE CASE NEW.standing WHEN 'frozen' THEN 'open'
                                                                 WHEN 'counted' THEN 'lost'
                                                                 ELSE 'won' END END,
                           'paid', purchases.paid, 'currency', purchases.currency,
                           'credits', purchases.credits, 'credits_taken', backings.taken,
                           'credits_frozen', backings.frozen))
       FROM purchases JOIN backings ON backings.id = purchases.backing_id
      WHERE purchases.payment_key = NEW.payment_key;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER tell_first AFTER INSERT ON money_back DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.standing <> 'out' AND NEW.amount > 0)
    EXECUTE FUNCTION tell_money_back();
CREATE CONSTRAINT TRIGGER tell_change AFTER UPDATE ON money_back DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.standing <> OLD.standing OR NEW.amount > OLD.amount)
    EXECUTE FUNCTION tell_money_back();

CREATE FUNCTION tell_run() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM tell_endpoints(
        TG_ARGV[0], NULL, tallybook_now(),
        jsonb_build_object('run_id', public_id('run', NEW.id), 'on', NEW.day_on,
                           'opening', NEW.opening, 'expected', NEW.expected,
                           'issued', NEW.issued, 'issued_credits', NEW.issued_credits,
                           'skipped', NEW.skipped, 'failed', NEW.failed,
                           'not_opened', NEW.not_opened));
    RETURN NULL;
END $$;
CREATE TRIGGER tell_done AFTER UPDATE OF state ON runs
    FOR EACH ROW WHEN (NEW.state = 'done' AND OLD.state <> 'done')
    EXECUTE FUNCTION tell_run('run.done');
-- While accounts fail the run goes on, until their day is over.
CREATE TRIGGER tell_failed AFTER UPDATE OF failed ON runs
    FOR EACH ROW WHEN (NEW.failed > OLD.failed) EXECUTE FUNCTION tell_run('run.failed');

CREATE FUNCTION tell_parked() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
    PERFORM tell_endpoints(
        'event.parked', NULL, tallybook_now(),
        jsonb_build_object('event_id', NEW.id, 'type', NEW.type,
                           'subscription_id', NEW.subscription_id,
                           'customer_id', NEW.customer_id));
    RETURN NULL;
END $$;
CREATE TRIGGER tell_first AFTER INSERT ON events
    FOR EACH ROW WHEN (NEW.verdict = 'parked') EXECUTE FUNCTION tell_parked();
CREATE TRIGGER tell_change AFTER UPDATE OF verdict ON events
    FOR EACH ROW WHEN (NEW.verdict = 'parked' AND OLD.verdict <> 'parked')
    EXECUTE FUNCTION tell_parked();
