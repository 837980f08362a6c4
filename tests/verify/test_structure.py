"""Whatever is changed of the schema, `verify` names it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from app.verify.structure import SHIPPED, STANDS, STRUCTURE
from app.verify.verify import verify_structure
from tests.conftest import Server, open_database

# In the environment: the file is written anew from the schema; then look at the difference.
WRITE = "WRITE_STRUCTURE"


@pytest.fixture
async def superuser(server: Server) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(server.superuser_url)
    yield connection
    await connection.close()


async def differences(url: str) -> list[str]:
    async with open_database(url, 1) as database:
        checks = await verify_structure(database)
    assert [check.name for check in checks] == list(STRUCTURE)
    assert all(check.rows > 10 for check in checks)
    return [text for check in checks for text in check.differences]


async def test_the_shipped_structure_is_what_the_schema_makes(server: Server) -> None:
    async with open_database(server.owner_url, 1) as database:
        rows = await database.fetch(STANDS)
    text = "".join(sorted(f"{row['what']}: {row['definition']}\n" for row in rows))
    if os.environ.get(WRITE):
        SHIPPED.write_text(text, "utf-8")
    assert len({row["what"] for row in rows}) == len(rows)
    assert text == SHIPPED.read_text("utf-8"), f"Set {WRITE}=1 to write structure.txt anew."


async def test_each_role_can_compare_it_whatever_the_database_sets(
    server: Server, superuser: asyncpg.Connection
) -> None:
    await superuser.execute(f"ALTER DATABASE {server.name} SET quote_all_identifiers = on")
    await superuser.execute(f"ALTER DATABASE {server.name} SET search_path = pg_catalog")
    auditor = f"auditor_{server.name}"
    await superuser.execute(f"CREATE ROLE {auditor} LOGIN PASSWORD 'x' IN ROLE tallybook_read")
    try:
        url = urlsplit(server.application_url)
        theirs = url._replace(netloc=f"{auditor}:x@{url.netloc.rpartition('@')[2]}")
        assert await differences(urlunsplit(theirs)) == []
    finally:
        await superuser.execute(f"DROP ROLE {auditor}")
    assert await differences(server.application_url) == []
    assert await differences(server.owner_url) == []


EDITS = {
    # triggers
    "DROP TRIGGER refuse_change ON entries": "trigger refuse_change of entries is missing",
    "ALTER TABLE journals DISABLE TRIGGER refuse_truncate": (
        "trigger refuse_truncate of journals is not as shipped: CREATE TRIGGER refuse_truncate"
    ),
    "ALTER TABLE lots DISABLE TRIGGER ALL": "ConstraintTrigger",
    """DROP TRIGGER refuse_change ON entries;
       CREATE FUNCTION let_pass() RETURNS trigger LANGUAGE plpgsql AS
           'BEGIN RETURN coalesce(NEW, OLD); END';
       CREATE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON entries
           FOR EACH ROW EXECUTE FUNCTION let_pass()""": (
        "trigger refuse_change of entries is not as shipped"
    ),
    """CREATE OR REPLACE TRIGGER refuse_change BEFORE UPDATE OR DELETE ON entries
           FOR EACH ROW WHEN (false) EXECUTE FUNCTION refuse_change()""": (
        "trigger refuse_change of entries is not as shipped"
    ),
    """CREATE OR REPLACE TRIGGER refuse_change BEFORE DELETE ON entries
           FOR EACH ROW EXECUTE FUNCTION refuse_change()""": "BEFORE DELETE ON",
    """CREATE OR REPLACE TRIGGER refuse_change BEFORE DELETE OR UPDATE OF amount ON entries
           FOR EACH ROW EXECUTE FUNCTION refuse_change()""": "UPDATE OF amount",
    """CREATE FUNCTION half() RETURNS trigger LANGUAGE plpgsql AS
           'BEGIN NEW.amount := 1; RETURN NEW; END';
       CREATE TRIGGER half BEFORE INSERT ON entries FOR EACH ROW EXECUTE FUNCTION half()""": (
        "trigger half of entries does not belong there"
    ),
    "CREATE RULE hide AS ON INSERT TO entries DO INSTEAD NOTHING": (
        "rule hide of entries does not belong there"
    ),
    # functions
    """CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql
           SET search_path = pg_catalog AS 'BEGIN RETURN NEW; END'""": (
        "function refuse_change() is not as shipped"
    ),
    "ALTER FUNCTION refuse_change RESET search_path": "function refuse_change() is not as shipped",
    "ALTER FUNCTION keep_payload SECURITY DEFINER": "security definer",
    """CREATE OR REPLACE FUNCTION tallybook_now() RETURNS timestamptz LANGUAGE sql
           RETURN clock_timestamp() - interval '1 day'""": "tallybook_now() is not as shipped",
    "ALTER FUNCTION tallybook_now IMMUTABLE": "immutable",
    "CREATE FUNCTION sum_up(bigint) RETURNS bigint LANGUAGE sql AS 'SELECT $1'": (
        "function sum_up(bigint) does not belong there"
    ),
    """CREATE FUNCTION never(bigint, integer) RETURNS boolean LANGUAGE sql AS 'SELECT false';
       CREATE OPERATOR <> (LEFTARG = bigint, RIGHTARG = integer, FUNCTION = never)""": (
        "<>(bigint,integer) does not belong there: never"
    ),
    """CREATE FUNCTION zero(text) RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint';
       CREATE CAST (text AS bigint) WITH FUNCTION zero(text) AS IMPLICIT""": (
        "cast of text to bigint does not belong there"
    ),
    # constraints
    """ALTER TABLE entries DROP CONSTRAINT is_a_movement,
           ADD CONSTRAINT is_a_movement CHECK (amount > 0)""": (
        "constraint is_a_movement of entries is not as shipped: CHECK (((amount)::bigint > 0))"
    ),
    """ALTER DOMAIN movement DROP CONSTRAINT kind_has_its_house;
       ALTER DOMAIN movement ADD CONSTRAINT kind_has_its_house CHECK (VALUE <> '')""": (
        "domain movement is not as shipped: text, kind_has_its_house CHECK ((VALUE <> ''::text))"
    ),
    "ALTER DOMAIN credits OWNER TO tallybook": "domain credits is not as shipped",
    "CREATE DOMAIN more AS bigint": "domain more does not belong there",
    "ALTER TABLE entries DROP CONSTRAINT held_names_its_hold": (
        "constraint held_names_its_hold of entries is missing"
    ),
    """ALTER TABLE lots DROP CONSTRAINT never_more_than_granted,
           ADD CONSTRAINT never_more_than_granted CHECK (free + held + lapsed <= granted)
           NOT VALID""": "NOT VALID",
    "ALTER TABLE reversals DROP CONSTRAINT reversals_of_journal_id_key": (
        "constraint reversals_of_journal_id_key of reversals is missing"
    ),
    "ALTER TABLE purchases DROP CONSTRAINT purchases_pkey CASCADE": (
        "constraint purchases_pkey of purchases is missing"
    ),
    "ALTER TABLE purchases DROP CONSTRAINT purchases_session_id_key": (
        "constraint purchases_session_id_key of purchases is missing"
    ),
    "ALTER TABLE entries DROP CONSTRAINT entries_pkey CASCADE": (
        "constraint entries_pkey of entries is missing"
    ),
    "ALTER TABLE lots DROP CONSTRAINT lots_account_id_fkey": (
        "constraint lots_account_id_fkey of lots is missing"
    ),
    """ALTER TABLE lots DROP CONSTRAINT lots_account_id_fkey,
           ADD CONSTRAINT lots_account_id_fkey FOREIGN KEY (account_id)
           REFERENCES accounts ON DELETE CASCADE""": "ON DELETE CASCADE",
    "DROP TRIGGER refuse_stray ON entries": "trigger refuse_stray of entries is missing",
    "DROP TRIGGER keep_named ON lots": "trigger keep_named of lots is missing",
    "ALTER DOMAIN credits DROP CONSTRAINT credits_check": "domain credits is not as shipped",
    "ALTER TABLE accounts ALTER held TYPE bigint": "column held of accounts is not as shipped",
    "ALTER TABLE holds DROP CONSTRAINT holds_state_check": "constraint holds_state_check of",
    "ALTER TABLE holds ADD CONSTRAINT small CHECK (amount < 9)": "constraint small of holds does",
    "DROP INDEX journals_key": "index journals_key is missing",
    "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'journals_key'::regclass": "INVALID",
    "CREATE UNIQUE INDEX one_spend ON entries (account_id) WHERE kind = 'spend'": (
        "index one_spend does not belong there"
    ),
    # columns
    "ALTER TABLE accounts ALTER COLUMN tier DROP NOT NULL": "column tier of accounts is not as",
    "ALTER TABLE lots ALTER COLUMN held SET DEFAULT 1": "column held of lots is not as shipped",
    "ALTER TABLE journals ALTER COLUMN id SET GENERATED BY DEFAULT": "GENERATED BY DEFAULT",
    "ALTER TABLE claims ALTER COLUMN rank TYPE integer": "column rank of claims is not as shipped",
    'ALTER TABLE claims ALTER COLUMN object_id TYPE text COLLATE "C"': "COLLATE",
    "ALTER TABLE accounts ADD COLUMN note text": "column note of accounts does not belong there",
    # tables, views, sequences
    "CREATE TABLE shadow (id int)": "table shadow does not belong there",
    "CREATE TABLE more () INHERITS (entries)": "inheritance of more does not belong there",
    "ALTER TABLE verifications SET UNLOGGED": "table verifications is not as shipped: unlogged",
    "ALTER TABLE entries ENABLE ROW LEVEL SECURITY": "row security",
    """ALTER TABLE entries ENABLE ROW LEVEL SECURITY;
       CREATE POLICY few ON entries USING (account_id < 9)""": "policy few of entries does not",
    """CREATE OR REPLACE VIEW account_names AS SELECT id AS account_id, id AS present_id,
           external_id::text AS public_id FROM accounts""": "view account_names is not as shipped",
    "CREATE VIEW mine AS SELECT 1 AS one": "view mine does not belong there",
    "ALTER SEQUENCE lots_id_seq INCREMENT BY -1 MAXVALUE 99999999 START 99999999": (
        "sequence lots_id_seq is not as shipped"
    ),
    "ALTER SEQUENCE entries_id_seq MAXVALUE 100 CYCLE": "cycling",
    # owners and rights
    "ALTER TABLE holds OWNER TO tallybook": "table holds is not as shipped: owned by tallybook",
    "ALTER FUNCTION refuse_change OWNER TO tallybook": "owned by tallybook",
    "GRANT UPDATE ON entries TO tallybook_app": (
        "rights of tallybook_app on entries is not as shipped: INSERT, SELECT, UPDATE"
    ),
    "GRANT UPDATE (amount) ON entries TO tallybook_app": (
        "right of tallybook_app to UPDATE columns of entries does not belong there: amount"
    ),
    "GRANT UPDATE (id) ON accounts TO tallybook_app": (
        "right of tallybook_app to UPDATE columns of accounts is not as shipped"
    ),
    "GRANT SELECT ON entries TO PUBLIC": "rights of everybody on entries does not belong there",
    "GRANT INSERT ON api_keys TO tallybook": "rights of tallybook on api_keys does not belong",
    "GRANT SELECT ON entries TO tallybook_read WITH GRANT OPTION": "WITH GRANT OPTION",
    "REVOKE INSERT ON entries FROM tallybook_app": "rights of tallybook_app on entries is not as",
    "REVOKE SELECT ON entries FROM tallybook_read": "rights of tallybook_read on entries is",
    "GRANT UPDATE ON SEQUENCE holds_id_seq TO tallybook_app": "on holds_id_seq is not as shipped",
    "GRANT EXECUTE ON FUNCTION tallybook_now TO PUBLIC": "rights of everybody on tallybook_now()",
    "GRANT CREATE ON SCHEMA public TO tallybook_app": "rights of tallybook_app on the schema",
    "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT UPDATE ON TABLES TO tallybook_app": (
        "default rights of postgres on r does not belong there"
    ),
}


@pytest.mark.parametrize("edit", EDITS)
async def test_each_edit_of_the_structure_is_named(
    server: Server, superuser: asyncpg.Connection, edit: str
) -> None:
    await superuser.execute(edit)
    found = await differences(server.superuser_url)
    assert EDITS[edit] in "\n".join(found)


@pytest.mark.parametrize(
    "sequence", ["holds_id_seq", "reversals_id_seq", "operator_acts_id_seq", "events_number_seq"]
)
async def test_a_number_that_would_be_drawn_again_is_named(
    server: Server, superuser: asyncpg.Connection, sequence: str
) -> None:
    await superuser.execute(
        """SET session_replication_role = replica;
           INSERT INTO holds OVERRIDING SYSTEM VALUE VALUES (9, 1, 1, 0, 'held', now(), now());
           INSERT INTO reversals (id, of_journal_id, policy, state, actor, reason, created_at)
               OVERRIDING SYSTEM VALUE VALUES (9, 1, 'debt', 'done', 'a', 'r', now());
           INSERT INTO operator_acts (id, actor, act, at)
               OVERRIDING SYSTEM VALUE VALUES (9, 'a', 'act', now());
           INSERT INTO events (id, number, type, livemode, created_at, received_at, payload,
                               verdict, verdict_reason) OVERRIDING SYSTEM VALUE
               VALUES ('e', 9, 't', false, now(), now(), '', 'ignored', '')"""
    )
    for name in ("holds_id_seq", "reversals_id_seq", "operator_acts_id_seq", "events_number_seq"):
        await superuser.execute(f"SELECT setval('{name}', 9)")
    assert await differences(server.superuser_url) == []
    await superuser.execute(f"SELECT setval('{sequence}', 3)")
    name = sequence.removesuffix("_seq").replace("_id", ".id").replace("_number", ".number")
    assert await differences(server.superuser_url) == [
        f"{name}: the next number is drawn after 3, and 9 stands"
    ]
