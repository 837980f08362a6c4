"""The application's role may do in the database what the server does, and no more."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from app.embedded.ports import free_port
from app.embedded.postgres import EmbeddedPostgres, Passwords
from app.embedded.program import Guard
from app.infrastructure import migrations
from tests.conftest import Server

# The columns that say what a row is: no server changes them. Of every other column of these tables
# it may, and of all tables that are not here none.
KEPT = {
    "accounts": {"id", "opened_at"},
    "book": {"only_row", "epoch", "pepper_check"},
    "aliases": {"external_id", "since"},
    "customers": {"id"},
    "claims": {"customer_id", "rank", "object_id", "external_id"},
    "brought_use": {"account_id", "from_account_id"},
    "moved_use": {"subscription_id", "from_account_id", "until_at"},
    "lots": {"id", "account_id", "source", "priority", "granted_at"},
    "holds": {"id", "created_at"},
    "reversals": {
        *("id", "of_journal_id", "of_run_id", "of_event_id", "part_of", "journal_id", "entry_id"),
        *("house", "policy", "standing", "idempotency_key", "request_hash", "actor", "reason"),
        "created_at",
    },
    "runs": {"id", "day_on", "wave_at", "opening", "catalogue_id", "started_by", "started_at"},
    "run_not_opened": {"run_id", "time_zone", "day_on", "opened_by"},
    "events": {
        *("id", "number", "type", "api_version", "livemode", "created_at", "received_at"),
        "payload",
    },
    "subscriptions": {"id"},
    "backings": {"id", "credits", "gift"},
    "money_back": {"kind", "id", "payment_key"},
    "reconciliations": {"id", "hour_at", "started_by", "dry_run", "since_at", "started_at"},
    "sightings": {"subscription_id"},
    "usage_days": {"day_on", "tier", "label", "member"},
    "usage_totals": {"day_on", "tier"},
    "key_uses": {"key_id"},
    "usage_fold": {"only_row"},
    "alert_counts": {"kind"},
    "console_sessions": {"token_hash", "key_id", "created_at", "ends_at"},
    "asked_verifications": {"id", "asked_by", "started_at", "check_count"},
    "seal_tiles": {"level", "tile"},
    "seal_leaves": {"tile", "first_entry_id"},
    "seal_balances": {"account_id"},
    "seal_balance_tiles": {"level", "tile"},
    "webhook_endpoints": {"number", "id", "created_at"},
    "webhook_messages": {
        *("id", "endpoint_number", "type", "account_id", "data", "effective_at", "created_at"),
    },
}


@pytest.fixture
async def stranger(server: Server, superuser: asyncpg.Connection) -> AsyncIterator[str]:
    """The URL of a new login that is a member of nothing."""
    name, password = f"login_{secrets.token_hex(4)}", secrets.token_hex(8)
    await superuser.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
    url = urlsplit(server.application_url)
    yield urlunsplit(url._replace(netloc=f"{name}:{password}@{url.netloc.rpartition('@')[2]}"))
    await superuser.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


async def attempt(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO api_keys VALUES ('k', 'mine', '{operator}', '', now(), NULL, NULL)",
        "UPDATE api_keys SET scopes = '{operator}'",
        "UPDATE api_keys SET revoked_at = NULL, expires_at = NULL",
        "DELETE FROM api_keys",
        "SELECT add_api_key('k', 'mine', '{service,operator}', '', NULL)",
        "INSERT INTO catalogues (content, applied_at, applied_by) VALUES ('', now(), 'me')",
        "UPDATE catalogues SET content = ''",
        "UPDATE book SET epoch = epoch + 1",
        "UPDATE events SET payload = ''",
        "UPDATE events SET received_at = now()",
        "UPDATE lots SET account_id = 1",
        "UPDATE lots SET source = 'purchased', priority = 0",
        "UPDATE reversals SET policy = 'debt'",
        "UPDATE notes SET answer = NULL",
        "DELETE FROM accounts",
        "TRUNCATE lots",
        "SELECT setval('entries_id_seq', 1)",
        "CREATE TEMPORARY TABLE dev_clock (standing_at timestamptz, ahead interval)",
    ],
)
async def test_the_applications_role_is_denied_what_no_server_does(
    server: Server, statement: str
) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await attempt(server.application_url, statement)


async def test_the_applications_role_changes_no_column_that_says_what_a_row_is(
    server: Server,
) -> None:
    connection = await asyncpg.connect(server.application_url)
    rows = await connection.fetch(
        """SELECT attrelid::regclass::text AS table, attname AS name,
                  has_column_privilege(attrelid, attnum, 'UPDATE') AS changes
             FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
            WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
              AND attnum > 0 AND NOT attisdropped"""
    )
    await connection.close()
    changes: dict[str, set[str]] = {}
    kept: dict[str, set[str]] = {}
    for row in rows:
        (changes if row["changes"] else kept).setdefault(row["table"], set()).add(row["name"])
    del changes["dev_clock"], kept["migration"]  # of a development book; Piccolo's
    assert changes.keys() == KEPT.keys()
    assert {table: kept[table] for table in KEPT} == KEPT


async def test_only_in_development_may_the_servers_login_set_the_clock(
    server: Server, stranger: str
) -> None:
    moves = "INSERT INTO dev_clock (ahead) VALUES ('1 day')"
    await migrations.migrate(server.owner_url, {"DATABASE_URL": stranger})
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await attempt(stranger, moves)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await attempt(stranger, "UPDATE dev_clock SET ahead = '1 day'")
    await migrations.migrate(server.owner_url, {"DATABASE_URL": stranger}, "development")
    await attempt(stranger, moves)


async def test_nobody_connects_but_those_whom_migrate_lets_in(
    server: Server, stranger: str
) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for database"):
        await attempt(stranger, "SELECT 1")
    await migrations.migrate(server.owner_url, {"DATABASE_READ_URL": stranger})
    await attempt(stranger, "SELECT count(*) FROM audited_entries")
    for denied in (
        "SELECT secret_hash FROM api_keys",
        "UPDATE accounts SET tier = 'PRO'",
        "CREATE TEMPORARY TABLE mine (id int)",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await attempt(stranger, denied)


async def test_migrate_takes_from_everybody_what_a_new_database_gives(
    server: Server, superuser: asyncpg.Connection, stranger: str
) -> None:
    await superuser.execute(f"GRANT CONNECT, TEMPORARY ON DATABASE {server.name} TO PUBLIC")
    await attempt(stranger, "CREATE TEMPORARY TABLE mine (id int)")
    await migrations.migrate(server.owner_url, {})
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await attempt(stranger, "SELECT 1")


async def test_no_function_looks_its_names_up_by_the_sessions_search_path(
    server: Server, superuser: asyncpg.Connection
) -> None:
    loose = await superuser.fetch(
        """SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace
              AND prosqlbody IS NULL
              AND NOT coalesce('search_path=public, pg_temp' = ANY (proconfig), false)"""
    )
    assert loose == []
    await superuser.execute(
        """CREATE TEMPORARY TABLE dev_clock AS SELECT timestamptz '2000-01-01' AS standing_at,
               interval '0' AS ahead;
           SET search_path = pg_temp, public"""
    )
    assert await superuser.fetchval("SELECT tallybook_now() > '2020-01-01'")


async def test_the_owner_needs_no_power_over_roles_where_a_superuser_made_the_groups(
    folder: Path,
) -> None:
    passwords = Passwords(superuser="s" * 20, owner="o" * 20, application="a" * 20)
    postgres = EmbeddedPostgres(folder, free_port(), passwords, {"fsync": "off"})
    logins = {"DATABASE_URL": postgres.application_url}
    with Guard(f"roles {folder}") as watcher:
        try:
            postgres.start(watcher)
            await asyncio.to_thread(postgres.ready, 30)
            superuser = await asyncpg.connect(postgres.superuser_url)
            powers = await superuser.fetch(
                """SELECT rolname FROM pg_roles WHERE rolname LIKE 'tallybook%'
                      AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication)"""
            )
            assert powers == []
            await superuser.execute("ALTER ROLE tallybook_clock RENAME TO elsewhere")
            with pytest.raises(
                asyncpg.InsufficientPrivilegeError,
                match=r"the role tallybook_clock is missing, and tallybook_owner may not create it",
            ):
                await migrations.migrate(postgres.owner_url, logins)
            await superuser.execute("ALTER ROLE elsewhere RENAME TO tallybook_clock")
            await superuser.close()
            assert await migrations.migrate(postgres.owner_url, logins) == migrations.known()
        finally:
            postgres.stop()
