"""Purchases: money facts, what was bought, what went back, and the lots that money stands behind.

`entries` gets the routes of a refund's reversal. The constraint is replaced NOT VALID; the next
migration validates it in a transaction of its own, which reads a big ledger and locks out nobody.
"""

from __future__ import annotations

from typing import Final

from piccolo.apps.migrations.auto.migration_manager import MigrationManager

from piccolo_migrations import append_only, migration

ID = "2026-11-22T11:10:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "Purchases, and what becomes of them when money goes back."

AMOUNT_MAX: Final = 10**12

MONEY_FACTS: Final = """
CREATE TABLE money_facts (
    event_id text NOT NULL REFERENCES events ON DELETE RESTRICT,
    kind text NOT NULL CHECK (kind IN ('session', 'refund', 'charge', 'dispute')),
    object_id text NOT NULL,
    payment_intent text,
    charge_id text,
    occurred_at timestamptz NOT NULL,
    body jsonb NOT NULL,
    PRIMARY KEY (event_id, kind, object_id)
);
COMMENT ON TABLE money_facts IS
    'What each event says of a payment, free of API versions; kept also before its purchase.';
CREATE INDEX money_facts_payment ON money_facts (payment_intent) WHERE payment_intent IS NOT NULL;
CREATE INDEX money_facts_charge ON money_facts (charge_id) WHERE charge_id IS NOT NULL;
CREATE INDEX money_facts_object ON money_facts (object_id);
"""

BACKINGS: Final = f"""
CREATE TABLE backings (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES accounts ON DELETE RESTRICT,
    lot_id bigint NOT NULL UNIQUE REFERENCES lots ON DELETE RESTRICT,
    credits bigint NOT NULL CHECK (credits BETWEEN 1 AND {AMOUNT_MAX}),
    taken bigint NOT NULL DEFAULT 0 CHECK (taken >= 0),
    clawed bigint NOT NULL DEFAULT 0 CHECK (clawed >= 0),
    to_claw bigint NOT NULL DEFAULT 0 CHECK (to_claw >= 0),
    forgone bigint NOT NULL DEFAULT 0 CHECK (forgone >= 0),
    shortfall bigint NOT NULL DEFAULT 0 CHECK (shortfall >= 0),
    undone bigint NOT NULL DEFAULT 0 CHECK (undone BETWEEN 0 AND shortfall),
    to_freeze bigint NOT NULL DEFAULT 0 CHECK (to_freeze >= 0),
    frozen bigint NOT NULL DEFAULT 0 CHECK (frozen BETWEEN 0 AND to_freeze),
    closed boolean NOT NULL DEFAULT false,
    CONSTRAINT never_more_than_the_pack CHECK (taken + to_freeze <= credits),
    CONSTRAINT taken_is_told CHECK (clawed + to_claw + forgone + shortfall = taken)
);
COMMENT ON TABLE backings IS
    'The money behind a purchased lot: what of the lot went back with it, and what is frozen.';
COMMENT ON COLUMN backings.forgone IS 'Of what is taken, what had lapsed or was written off.';
COMMENT ON COLUMN backings.shortfall IS 'Of what is taken, what was spent: it became debt.';
COMMENT ON COLUMN backings.closed IS 'The purchase was reversed: money moves it no more.';
CREATE INDEX backings_account ON backings (account_id);
"""

PURCHASES: Final = f"""
CREATE TABLE purchases (
    payment_key text PRIMARY KEY,
    session_id text NOT NULL UNIQUE,
    payment_intent text,
    backing_id bigint NOT NULL UNIQUE REFERENCES backings ON DELETE RESTRICT,
    journal_id bigint NOT NULL UNIQUE REFERENCES journals ON DELETE RESTRICT,
    event_id text NOT NULL REFERENCES events ON DELETE RESTRICT,
    customer_id text,
    pack text NOT NULL,
    credits bigint NOT NULL CHECK (credits BETWEEN 1 AND {AMOUNT_MAX}),
    paid bigint NOT NULL CHECK (paid BETWEEN 0 AND {AMOUNT_MAX}),
    currency text,
    opened_at timestamptz NOT NULL
);
COMMENT ON COLUMN purchases.payment_key IS
    'The payment intent, or the session where there is none: one payment opens one lot.';
COMMENT ON COLUMN purchases.paid IS 'In the currency''s smallest unit, as Stripe counts.';

CREATE TABLE money_back (
    kind text NOT NULL CHECK (kind IN ('refund', 'charge', 'dispute')),
    id text NOT NULL,
    payment_key text NOT NULL REFERENCES purchases ON DELETE RESTRICT,
    amount bigint NOT NULL CHECK (amount BETWEEN 0 AND {AMOUNT_MAX}),
    standing text NOT NULL CHECK (standing IN ('out', 'counted', 'frozen')),
    PRIMARY KEY (kind, id)
);
COMMENT ON TABLE money_back IS
    'Each refund and dispute of a purchase once, and whether it counts; derived from money_facts. '
    'A charge stands for what its amount_refunded tells of beyond the refunds that are known.';
CREATE INDEX money_back_payment ON money_back (payment_key);

ALTER TABLE reversals ADD COLUMN standing text
    CHECK (standing IN ('out', 'counted', 'frozen'));
COMMENT ON COLUMN reversals.standing IS
    'What an event''s refund or dispute counts as since this reversal, whatever Stripe says.';
"""

ROLES: Final = """
GRANT SELECT, INSERT ON money_facts, backings, purchases, money_back TO tallybook_app;
GRANT UPDATE ON backings, money_back TO tallybook_app;
GRANT SELECT ON money_facts, backings, purchases, money_back TO tallybook_read;
GRANT USAGE ON SEQUENCE backings_id_seq TO tallybook_app;
GRANT SELECT ON SEQUENCE backings_id_seq TO tallybook_app, tallybook_read;
"""

_OLD_ROUTES: Final = (
    ("grant", "issued", "free"),
    ("spend", "free", "spent"), ("spend", "held", "spent"),
    ("expiry", "free", "expired"),
    ("hold", "free", "held"), ("release", "held", "free"),
    ("purchase", "purchased", "free"),
    ("refund", "free", "refunded"), ("refund", "held", "refunded"),
    ("refund", "debt", "refunded"), ("refund", "refunded", "free"),
    ("freeze", "free", "held"), ("unfreeze", "held", "free"),
    ("repayment", "free", "debt"),
    ("adjustment", "adjusted", "free"), ("adjustment", "free", "adjusted"),
    ("transfer", "free", "transferred"), ("transfer", "transferred", "free"),
    ("transfer", "held", "transferred"), ("transfer", "transferred", "held"),
    ("transfer", "debt", "transferred"), ("transfer", "transferred", "debt"),
    ("reversal", "spent", "free"),
    ("reversal", "free", "issued"), ("reversal", "held", "issued"),
    ("reversal", "debt", "issued"), ("reversal", "issued", "debt"),
    ("reversal", "free", "purchased"), ("reversal", "held", "purchased"),
    ("reversal", "debt", "purchased"), ("reversal", "purchased", "debt"),
    ("reversal", "free", "adjusted"), ("reversal", "debt", "adjusted"),
    ("reversal", "adjusted", "free"), ("reversal", "adjusted", "debt"),
    ("write_off", "written_off", "issued"), ("write_off", "issued", "written_off"),
    ("write_off", "written_off", "purchased"), ("write_off", "purchased", "written_off"),
    ("write_off", "written_off", "adjusted"), ("write_off", "adjusted", "written_off"),
)  # fmt: skip
_NEW_ROUTES: Final = (
    ("reversal", "refunded", "free"), ("reversal", "free", "refunded"),
    ("reversal", "held", "refunded"), ("reversal", "debt", "refunded"),
    ("write_off", "written_off", "refunded"),
)  # fmt: skip


def _routed(routes: tuple[tuple[str, str, str], ...]) -> str:
    """Replace the CHECK for rows to come: nothing is read, so writers wait for an instant."""
    listed = ", ".join(f"('{kind}', '{debit}', '{credit}')" for kind, debit, credit in routes)
    return f"""
ALTER TABLE entries DROP CONSTRAINT kind_has_its_house,
    ADD CONSTRAINT kind_has_its_house CHECK ((kind, debit, credit) IN ({listed})) NOT VALID;
"""


UP: Final = (
    MONEY_FACTS + BACKINGS + PURCHASES + append_only("money_facts", "purchases") + ROLES
    + _routed(_OLD_ROUTES + _NEW_ROUTES)
)  # fmt: skip
DOWN: Final = (
    _routed(_OLD_ROUTES)
    + "ALTER TABLE entries VALIDATE CONSTRAINT kind_has_its_house;"
    + "ALTER TABLE reversals DROP COLUMN standing;"
    + "DROP TABLE money_back, purchases, backings, money_facts;"
)


async def forwards() -> MigrationManager:
    """Both directions in one transaction."""
    return migration(ID, DESCRIPTION, up=UP, down=DOWN)
