-- Rows as the service drafts them: parameters of the statement that writes the ledger, as arrays.
-- A composite type costs half of what parallel arrays cost at a hundred rows.
CREATE TYPE lot_draft AS (
    account_id bigint, source text, priority smallint, granted_at timestamptz,
    expires_at timestamptz, granted bigint, lapsed bigint, moved bigint, refunded bigint,
    free bigint, held bigint, live boolean
);
CREATE TYPE journal_draft AS (
    kind text, source text, actor text, effective_at timestamptz, recorded_at timestamptz,
    event_id text, run_id bigint, reverses_journal_id bigint, idempotency_key text,
    request_hash bytea, label text, member text, reason text, metadata text, answer text
);
-- An entry names a new journal and a new lot by their places among the drafts, from 1.
CREATE TYPE entry_draft AS (
    journal_ord bigint, account_id bigint, lot_id bigint, lot_ord bigint, kind text, debit text,
    credit text, amount bigint, free_after bigint, held_after bigint, debt_after bigint,
    hold_id bigint, reverses_entry_id bigint, effective_at timestamptz
);
CREATE TYPE lot_change AS (
    id bigint, granted bigint, lapsed bigint, moved bigint, refunded bigint, free bigint,
    held bigint, live boolean, expires_at timestamptz
);
CREATE TYPE account_sides AS (
    id bigint, free bigint, held bigint, debt bigint, used_at timestamptz, written_at timestamptz
);
CREATE TYPE account_day AS (
    id bigint, free bigint, held bigint, debt bigint, used_at timestamptz, written_at timestamptz,
    tier text, time_zone text, day_on date, day_opening integer, day_starts_at timestamptz,
    day_ends_at timestamptz, day_lot_id bigint, day_lot_ord bigint, day_carried_lot_id bigint,
    day_carried_lot_ord bigint, day_catalogue_id bigint, day_used_brought bigint,
    brought_until timestamptz, day_withdrawn boolean, due_at timestamptz
);
CREATE TYPE opened_day AS (
    account_id bigint, day_on date, opening integer, starts_at timestamptz, ends_at timestamptz,
    time_zone text, tier text, credits bigint, previous_on date, lot_id bigint, lot_ord bigint,
    carried_lot_id bigint, carried_lot_ord bigint, carry_over_max bigint, previous_allowed bigint,
    run_id bigint, recorded_at timestamptz, after_dormancy boolean
);
-- The spends of one account, in order: parameters of spend_plainly, see 07_spends.sql. `place` is a
-- spend's place among all, `upto` what it and the account's spends before it come to.
CREATE TYPE spend_draft AS (
    place bigint, upto bigint, amount bigint, idempotency_key text, request_hash bytea, actor text,
    label text, member text, reason text, metadata text
);
CREATE TYPE account_spends AS (account_id text, total bigint, spends spend_draft[]);
-- A locked account with them; `due_at` is when something is due of it next.
CREATE TYPE spending_account AS (
    id bigint, free bigint, held bigint, day_lot_id bigint, day_carried_lot_id bigint,
    due_at timestamptz, written_at timestamptz, total bigint, spends spend_draft[]
);
-- A lot in the order of burning; `upto` is what it and the account's lots before it have free.
CREATE TYPE burning_lot AS (id bigint, upto bigint, free bigint);
