"""Migrations run once, go back and forth, and leave the application's role owning nothing."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit
from zipfile import ZipFile

import asyncpg
import pytest

from app.errors import ConfigurationError
from app.infrastructure import migrations
from app.infrastructure.db import Database
from tests.conftest import Server

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent

APPEND_ONLY = {
    "erased_keys",
    "journals",
    "entries",
    "transitions",
    "daily_grants",
    "facts",
    "catalogues",
    "operator_acts",
    "verifications",
    "money_facts",
    "purchases",
    "deliveries",
    "event_bodies",
    "fetched_events",
    "alerts",
    "moved_lots",
    "seals",
    "seal_cosignatures",
    "seal_keys",
}
GUARDED = APPEND_ONLY | {"events"}
# Projections, working state and erasable text: these may change.
MUTABLE = {
    "console_sessions",
    "asked_verifications",
    "accounts",
    "aliases",
    "customers",
    "subscriptions",
    "runs",
    "lots",
    "holds",
    "reversals",
    "notes",
    "api_keys",
    "dev_clock",
    "book",
    "migration",
    "backings",
    "money_back",
    "claims",
    "brought_use",
    "moved_use",
    "run_not_opened",
    "reconciliations",
    "sightings",
    "usage_days",
    "usage_totals",
    "key_uses",
    "usage_fold",
    "alert_counts",
    "webhook_endpoints",
    "webhook_messages",
    "seal_tiles",
    "seal_leaves",
    "seal_names",
    "seal_erased",
    "seal_balances",
    "seal_balance_tiles",
}

SHAPE = """
SELECT 'column' AS what, table_name || '.' || column_name AS name,
       data_type || coalesce(column_default, '') || is_nullable AS detail
  FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL SELECT 'constraint', conrelid::regclass || '.' || conname, pg_get_constraintdef(oid)
  FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL SELECT 'trigger', tgrelid::regclass || '.' || tgname, pg_get_triggerdef(oid)
  FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT 'function', proname, prosrc
  FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL SELECT 'grant', table_name || ' ' || grantee, privilege_type
  FROM information_schema.role_table_grants WHERE table_schema = 'public'
ORDER BY 1, 2, 3
"""
OF_PICCOLO = ("migration.", "migration_pkey", "migration ")  # the table in which it keeps its notes


@pytest.fixture
async def empty(server: Server) -> AsyncIterator[Server]:
    """A database of the owner's with nothing in it."""
    name = f"empty_{secrets.token_hex(8)}"
    connection = await asyncpg.connect(server.superuser_url)
    await connection.execute(f"CREATE DATABASE {name} OWNER tallybook_owner")
    urls = {role: getattr(server, f"{role}_url") for role in ("superuser", "owner", "application")}
    try:
        yield Server(urls, name)
    finally:
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await connection.close()


async def shape(url: str) -> list[tuple[str, ...]]:
    connection = await asyncpg.connect(url)
    try:
        rows = [tuple(row) for row in await connection.fetch(SHAPE)]
        return [row for row in rows if not row[1].startswith(OF_PICCOLO)]
    finally:
        await connection.close()


async def ask(url: str, query: str) -> list[str]:
    connection = await asyncpg.connect(url)
    try:
        return [row[0] for row in await connection.fetch(query)]
    finally:
        await connection.close()


def environment(server: Server) -> dict[str, str]:
    # PYTHONPATH: the program is to run the tree that is tested, wherever it was installed from.
    names = ("PATH", "HOME", "LANG", "PYTHONPATH")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return {
        **kept,
        "DATABASE_URL": server.application_url,
        "DATABASE_OWNER_URL": server.owner_url,
        "PICCOLO_CONF": "app.infrastructure.piccolo_conf",
        "COLUMNS": "200",
        "PYTHONPATH": str(ROOT),  # this tree's migrations, wherever the program was installed from
    }


async def test_two_at_once_in_one_process_migrate_once(empty: Server, server: Server) -> None:
    logins = {"DATABASE_URL": empty.application_url}
    done = await asyncio.gather(*(migrations.migrate(empty.owner_url, logins) for _ in range(2)))
    assert sorted(map(len, done)) == [0, len(migrations.known())]
    assert await shape(empty.owner_url) == await shape(server.owner_url)


async def test_two_processes_at_once_migrate_once(empty: Server, server: Server) -> None:
    command = (str(BIN / "tallybook"), "migrate")
    started = [
        await asyncio.create_subprocess_exec(
            *command, env=environment(empty), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for _ in range(2)
    ]
    said = [(await process.communicate())[0].decode() for process in started]
    assert [process.returncode for process in started] == [0, 0], said
    lines = [line for text in said for line in text.splitlines() if line.startswith("migrated ")]
    assert lines == [f"migrated {name}" for name in migrations.known()]
    assert await shape(empty.owner_url) == await shape(server.owner_url)


async def test_the_schema_goes_back_to_nothing_and_forward_to_the_same(server: Server) -> None:
    before = await shape(server.owner_url)
    done = await asyncio.to_thread(
        subprocess.run,
        [BIN / "piccolo", "migrations", "backwards", "tallybook", "all", "--auto_agree"],
        cwd=ROOT,
        env=environment(server),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert await shape(server.owner_url) == [], "only Piccolo's own table is left"
    assert await migrations.migrate(server.owner_url, {}) == migrations.known()
    assert await shape(server.owner_url) == before


async def test_a_second_migrate_finds_nothing_to_do(server: Server) -> None:
    assert await migrations.migrate(server.owner_url, {}) == []


async def test_a_server_can_tell_what_its_database_lacks(empty: Server, database: Database) -> None:
    assert await migrations.missing(database) == []
    bare = Database(empty.application_url)
    await bare.open()
    try:
        assert await migrations.missing(bare) == migrations.known()
    finally:
        await bare.close()


async def test_the_login_of_the_read_url_is_let_into_the_reading_role(server: Server) -> None:
    name = f"login_{secrets.token_hex(4)}"
    superuser = await asyncpg.connect(server.superuser_url)
    password = urlsplit(server.application_url).password
    await superuser.execute(f"CREATE ROLE \"{name}\" LOGIN PASSWORD '{password}'")
    try:
        url = server.application_url.replace("//tallybook:", f"//{name}:")
        await migrations.migrate(server.owner_url, {"DATABASE_READ_URL": url})
        roles = await superuser.fetch(
            "SELECT rolname FROM pg_roles WHERE pg_has_role($1, oid, 'MEMBER') ORDER BY rolname",
            name,
        )
        assert [row["rolname"] for row in roles] == sorted([name, "tallybook_read"])
    finally:
        await superuser.execute(f'DROP ROLE "{name}"')
        await superuser.close()


OWNED = """
SELECT 'relation ' || relname FROM pg_class WHERE relowner = ANY(
    SELECT oid FROM pg_roles WHERE rolname IN ('tallybook', 'tallybook_app', 'tallybook_read'))
UNION ALL SELECT 'function ' || proname FROM pg_proc WHERE proowner = ANY(
    SELECT oid FROM pg_roles WHERE rolname IN ('tallybook', 'tallybook_app', 'tallybook_read'))
UNION ALL SELECT 'schema ' || nspname FROM pg_namespace WHERE nspowner = ANY(
    SELECT oid FROM pg_roles WHERE rolname IN ('tallybook', 'tallybook_app', 'tallybook_read'))
UNION ALL SELECT 'database ' || datname FROM pg_database WHERE datdba = ANY(
    SELECT oid FROM pg_roles WHERE rolname IN ('tallybook', 'tallybook_app', 'tallybook_read'))
"""


async def test_the_applications_role_owns_nothing_and_is_no_member_of_the_owner(
    server: Server,
) -> None:
    assert await ask(server.superuser_url, OWNED) == []
    members = await ask(
        server.application_url,
        """SELECT rolname::text FROM pg_roles WHERE pg_has_role(current_user, oid, 'MEMBER')
            ORDER BY rolname""",
    )
    assert members == ["tallybook", "tallybook_app", "tallybook_clock"]  # a development book


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE own (number int)",
        "CREATE SCHEMA own",
        "ALTER TABLE entries DISABLE TRIGGER refuse_change",
        "DROP TRIGGER refuse_change ON entries",
        "DROP TABLE entries",
        "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql"
        " AS $$ BEGIN RETURN NEW; END $$",
        "SET session_replication_role = replica",
        "SET ROLE tallybook_owner",
        "INSERT INTO migration (name) VALUES ('x')",
    ],
)
async def test_the_applications_role_cannot_take_the_locks_off(
    server: Server, statement: str
) -> None:
    connection = await asyncpg.connect(server.application_url)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    finally:
        await connection.close()


async def test_each_table_is_append_only_or_declared_to_change(server: Server) -> None:
    tables = await ask(
        server.owner_url,
        """SELECT table_name::text FROM information_schema.tables
            WHERE table_schema = 'public' AND table_type = 'BASE TABLE'""",
    )
    assert set(tables) == GUARDED | MUTABLE
    named_so = {name for name in tables if "entries" in name or "journal" in name}
    assert named_so <= APPEND_ONLY, "such a name promises that nothing changes"


async def test_each_guarded_table_has_its_triggers(server: Server) -> None:
    found = await ask(
        server.owner_url,
        """SELECT tgrelid::regclass || ' ' || tgname FROM pg_trigger
            WHERE NOT tgisinternal AND tgenabled = 'O'""",
    )
    wanted = {
        f"{table} {name}" for table in APPEND_ONLY for name in ("refuse_change", "refuse_truncate")
    }
    events = {f"events {name}" for name in ("keep_payload", "refuse_delete", "refuse_truncate")}
    others = {"runs mark_adding", "accounts refuse_taken_id", "aliases refuse_taken_id"}
    telling = {
        *(f"{table} tell" for table in ("alerts", "journals", "accounts", "transitions")),
        *("purchases tell", "money_back tell_first", "money_back tell_change"),
        "alerts count_added",
        *("runs tell_done", "runs tell_failed", "events tell_first", "events tell_change"),
    }
    named = {
        *(f"{table} keep_named" for table in ("lots", "holds", "runs")),
        *(f"{table} keep_named" for table in ("events", "journals", "entries")),
        *(f"{table} keep_all" for table in ("lots", "holds", "runs", "reversals")),
        *(f"{table} refuse_stray" for table in ("journals", "entries", "daily_grants")),
        *("notes refuse_stray", "reversals refuse_stray", "reversals keep_named"),
        *("notes keep_naming", "reversals keep_naming"),
    }
    assert set(found) == wanted | events | others | telling | named


async def test_the_applications_role_may_change_no_guarded_table(server: Server) -> None:
    granted = await ask(
        server.owner_url,
        """SELECT DISTINCT table_name || ' ' || privilege_type
             FROM information_schema.role_column_grants
            WHERE grantee IN ('tallybook_app', 'tallybook_read', 'tallybook', 'PUBLIC')
              AND privilege_type IN ('UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER', 'REFERENCES')""",
    )
    assert {grant.split()[0] for grant in granted} & GUARDED == {"events"}
    assert {grant.split()[1] for grant in granted} == {"UPDATE"}


@pytest.fixture
async def unreleased(server: Server) -> Server:
    """A database that the first unreleased version made."""
    owner = await asyncpg.connect(server.owner_url)
    await owner.execute("UPDATE migration SET name = '2026-11-22T08:00:00:000000'")
    await owner.close()
    return server


REMEDY = "An unreleased version of Tallybook made this database"


async def test_a_database_of_an_unreleased_version_is_not_migrated(unreleased: Server) -> None:
    with pytest.raises(ConfigurationError, match=REMEDY):
        await migrations.migrate(unreleased.owner_url, {})


@pytest.mark.parametrize("command", ["migrate", "serve", "worker"])
async def test_a_command_tells_the_remedy_for_the_database_of_an_unreleased_version(
    unreleased: Server, command: str
) -> None:
    done = await asyncio.to_thread(
        subprocess.run,
        [BIN / "tallybook", command],
        env={
            **environment(unreleased),
            "STRIPE_WEBHOOK_SECRET": "whsec_of_the_test",
            "CRON_SECRET": "cron-secret-of-the-test",
            "TALLYBOOK_KEY_PEPPER": "pepper-of-the-test-0000",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(REMEDY), done.stderr
    assert "new --data-dir" in done.stderr
    assert done.stderr.count("\n") == 1


async def test_the_installed_package_carries_the_schema_and_all_other_files(folder: Path) -> None:
    build = (sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder))
    await asyncio.to_thread(subprocess.run, build, cwd=ROOT, check=True, capture_output=True)
    with ZipFile(next(folder.glob("*.whl"))) as wheel:
        carried = set(wheel.namelist())
    shipped = {
        str(path.relative_to(ROOT))
        for package in ("app", "piccolo_migrations")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert {"piccolo_migrations/schema/06_ledger.sql", "app/verify/structure.txt"} <= shipped
    assert shipped <= carried


NEXT_MIGRATION = """
from piccolo_migrations import migration

ID = "2100-01-01T00:00:00:000000"
VERSION = "1.38.0"
DESCRIPTION = "One more column."


async def forwards():
    return migration(
        ID, DESCRIPTION,
        up="CREATE TABLE spare (id int); ALTER TABLE accounts ADD COLUMN spare text",
        down="ALTER TABLE accounts DROP COLUMN spare; DROP TABLE spare",
    )
"""


async def migrate_as_the_next_version(server: Server, folder: Path) -> tuple[int, str]:
    """`tallybook migrate` of a version that ships one migration more."""
    for package in ("app", "statemachine", "piccolo_migrations"):
        await asyncio.to_thread(
            shutil.copytree, ROOT / package, folder / package, dirs_exist_ok=True
        )
    name = "tallybook_2100_01_01t00_00_00_000000.py"
    (folder / "piccolo_migrations" / name).write_text(NEXT_MIGRATION)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "app",
        "migrate",
        env={**environment(server), "PYTHONPATH": str(folder)},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def test_a_long_reader_stops_a_migration_which_says_so_and_changes_nothing(
    server: Server, folder: Path
) -> None:
    before = await shape(server.owner_url)
    reader = await asyncpg.connect(
        server.application_url, server_settings={"application_name": "a long report"}
    )
    try:
        async with reader.transaction():
            await reader.fetch("SELECT count(*) FROM accounts")
            code, said = await migrate_as_the_next_version(server, folder)
        assert code == 1
        assert "2100-01-01T00:00:00:000000 did not get a table's lock in 5 s" in said
        assert "a long report of tallybook (process " in said
        assert "Traceback" not in said
        assert await shape(server.owner_url) == before
        code, said = await migrate_as_the_next_version(server, folder)
        assert (code, "migrated 2100-01-01" in said) == (0, True), said
        assert await shape(server.owner_url) != before
    finally:
        await reader.close()
