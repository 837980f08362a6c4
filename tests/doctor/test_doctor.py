"""The doctor finds what was taken off, granted, forgotten or mixed up, and says what to do."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from app.accounts.put import put
from app.book import Book
from app.doctor.database import of_skew
from app.doctor.examine import examine
from app.doctor.finding import Finding, Level
from app.doctor.secrecy import SECRETS
from app.doctor.surroundings import Surroundings, is_loopback
from app.embedded.ports import free_port
from app.infrastructure import clock
from app.infrastructure.db import Database
from app.jobs.tick import tick
from app.operators import keys
from app.operators.keys import Scope
from app.seals import sealer
from tests.as_owner import owner_of
from tests.conftest import NOW, SEAL_KEY, Server
from tests.served_book import served

GOOD = {
    "STRIPE_WEBHOOK_SECRET": "whsec_first_of_the_tests",
    "CRON_SECRET": "cron-secret-of-the-tests",
    "TALLYBOOK_KEY_PEPPER": "pepper-of-the-tests-000",
    "STRIPE_API_KEY": "sk_test_0123456789abcdef",
    "TALLYBOOK_SEAL_KEY": SEAL_KEY,
    "TALLYBOOK_ENV": "development",
}
# What no test cluster is: it trades durability for speed, has no worker, and asked Stripe nothing.
OF_THE_TESTS = {"durability", "worker", "Redis", "HTTP", "subscribers"}

Variables = dict[str, str]


@pytest.fixture
def variables(server: Server) -> Variables:
    return {**GOOD, "DATABASE_URL": server.application_url}


async def findings(
    variables: Variables, url: str | None = None, tiers: Path | None = None
) -> dict[str, Finding]:
    found = await examine(Surroundings(variables=variables, url=url, tiers=tiers))
    assert len({one.name for one in found}) == len(found)
    assert all(one.remedy for one in found if one.level is not Level.OK)
    return {one.name: one for one in found}


STANDING = {"book's clock"}  # the tests' clock stands


def troubles(found: dict[str, Finding]) -> set[str]:
    return {name for name, one in found.items() if one.level is not Level.OK} - OF_THE_TESTS


async def test_a_sound_book_has_no_failure_but_that_of_a_fast_test_cluster(
    variables: Variables, database: Database
) -> None:
    found = await findings(variables)
    assert troubles(found) == STANDING
    assert found["durability"].level is Level.FAIL
    assert "fsync is off" in found["durability"].said


async def test_a_books_own_time_is_told_by_how_much(
    variables: Variables, database: Database
) -> None:
    """The tests' clock stands at the beginning of 2026."""
    found = (await findings(variables))["book's clock"]
    assert found.level is Level.WARN
    assert found.said.startswith("is at 2026-01-01 12:00 UTC, ")
    assert found.said.endswith(" days behind the world's")


async def test_another_pepper_than_that_of_the_keys_fails(
    variables: Variables, database: Database
) -> None:
    assert (await findings(variables))["pepper"].level is Level.OK
    async with owner_of(database) as owner:
        await keys.keep_pepper(owner, variables["TALLYBOOK_KEY_PEPPER"])
    assert (await findings(variables))["pepper"].said == "is the one of this book's keys"
    other = {**variables, "TALLYBOOK_KEY_PEPPER": "another pepper than that of the servers"}
    assert (await findings(other))["pepper"].level is Level.FAIL


async def test_a_development_key_fails_but_in_development(
    variables: Variables, database: Database
) -> None:
    async with owner_of(database) as owner:
        await keys.put_known(owner, "pepper", "devoperato", "0" * 40, "dev", [Scope.OPERATOR])
        served_to_all = {**variables, "TALLYBOOK_ENV": "production"}
        found = await findings(served_to_all)
        assert found["development keys"].level is Level.FAIL
        assert "devoperato" in found["development keys"].said
        assert found["development keys"].remedy == "tallybook keys revoke devoperato"
        assert (await findings(variables))["development keys"].level is Level.OK
        await keys.revoke(owner, "devoperato")
    assert (await findings(served_to_all))["development keys"].level is Level.OK


async def test_a_lock_that_was_taken_off_fails(
    variables: Variables, superuser: asyncpg.Connection
) -> None:
    await superuser.execute(
        """DROP TRIGGER refuse_change ON entries;
           ALTER TABLE entries DROP CONSTRAINT is_a_movement"""
    )
    found = await findings(variables)
    assert troubles(found) == {"structure"}
    assert found["structure"].level is Level.FAIL
    assert "trigger refuse_change of entries is missing" in found["structure"].said
    assert "constraint is_a_movement of entries is missing" in found["structure"].said


RIGHTS = {
    "GRANT UPDATE ON entries TO tallybook_app": ("application changes no entry", "UPDATE entries"),
    "GRANT UPDATE (amount) ON entries TO tallybook_app": (
        "application changes no entry",
        "UPDATE entries",
    ),
    "GRANT DELETE ON events TO tallybook": ("application changes no entry", "DELETE events"),
    "GRANT SELECT ON entries TO PUBLIC": ("application changes no entry", "everybody may SELECT"),
    "GRANT CREATE ON SCHEMA public TO tallybook_app": (
        "application changes no entry",
        "CREATE in the schema",
    ),
    "ALTER TABLE notes OWNER TO tallybook": ("application owns nothing", "owns the table notes"),
    "REVOKE INSERT ON entries FROM tallybook_app": (
        "structure",
        "rights of tallybook_app on entries is not as shipped: SELECT",
    ),
}


@pytest.mark.parametrize("statement", RIGHTS)
async def test_a_role_with_too_much_or_too_little_fails(
    variables: Variables, superuser: asyncpg.Connection, statement: str
) -> None:
    name, said = RIGHTS[statement]
    await superuser.execute(statement)
    found = await findings(variables)
    assert (found[name].level, said in found[name].said) == (Level.FAIL, True), found[name].said


async def test_a_login_that_is_no_member_may_not_work(
    variables: Variables, server: Server, superuser: asyncpg.Connection
) -> None:
    name = f"outsider_{server.name}"
    await superuser.execute(
        f"""CREATE ROLE {name} LOGIN PASSWORD 'x';
            GRANT CONNECT ON DATABASE {server.name} TO {name}"""
    )
    try:
        url = urlsplit(server.application_url)
        theirs = url._replace(netloc=f"{name}:x@{url.netloc.rpartition('@')[2]}")
        found = await findings({**variables, "DATABASE_URL": urlunsplit(theirs)})
    finally:
        await superuser.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")
    assert found["application may work"].level is Level.FAIL
    assert f"{name} is not in the group tallybook_app" in found["application may work"].said


async def test_the_owners_login_is_not_the_applications(
    variables: Variables, server: Server
) -> None:
    found = await findings({**variables, "DATABASE_URL": server.owner_url})
    assert found["application owns nothing"].level is Level.FAIL
    assert "tallybook_owner owns the table" in found["application owns nothing"].said


async def test_an_auditors_login_that_writes_fails(
    variables: Variables, server: Server, superuser: asyncpg.Connection
) -> None:
    found = await findings({**variables, "DATABASE_READ_URL": server.application_url})
    assert found["auditor reads"].level is Level.FAIL
    name = f"reader_{server.name}"
    await superuser.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'x' IN ROLE tallybook_read")
    try:
        rest = server.application_url.partition("@")[2]
        url = f"postgresql://{name}:x@{rest}"
        found = await findings({**variables, "DATABASE_READ_URL": url})
        assert found["auditor reads"].level is Level.OK, found["auditor reads"].said
        await superuser.execute(f"GRANT SELECT ON api_keys TO {name}")
        found = await findings({**variables, "DATABASE_READ_URL": url})
        assert "hashes" in found["auditor reads"].said
    finally:
        await superuser.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


async def test_missing_and_unknown_migrations_are_told(
    variables: Variables, superuser: asyncpg.Connection
) -> None:
    await superuser.execute(
        "INSERT INTO migration (name, app_name) VALUES ('2100-01-01', 'tallybook')"
    )
    await superuser.execute("ALTER TABLE accounts ADD COLUMN of_that_version text")
    found = await findings(variables)
    assert found["migrations"].level is Level.WARN
    assert found["structure"].level is Level.WARN, "the newer program knows that column"
    await superuser.execute("ALTER TABLE accounts DROP COLUMN of_that_version")
    await superuser.execute("DELETE FROM migration WHERE app_name = 'tallybook'")
    assert (await findings(variables))["migrations"].level is Level.FAIL


async def test_an_empty_database_is_told_to_migrate(
    variables: Variables, server: Server, superuser: asyncpg.Connection
) -> None:
    name = f"empty_{server.name}"
    await superuser.execute(f"CREATE DATABASE {name}")
    try:
        url = server.application_url.replace(server.name, name)
        found = await findings({**variables, "DATABASE_URL": url})
        assert found["migrations"].remedy == "tallybook migrate"
        assert found["migrations"].level is Level.FAIL
    finally:
        await superuser.execute(f"DROP DATABASE {name}")


async def test_a_database_that_does_not_answer_is_one_finding(variables: Variables) -> None:
    url = f"postgresql://tallybook:x@127.0.0.1:{free_port()}/x"
    found = await findings({**variables, "DATABASE_URL": url})
    assert troubles(found) == {"database"}
    assert found["database"].level is Level.FAIL


def test_wrong_clocks_are_judged() -> None:
    assert [of_skew(skew).level for skew in (0.1, -5.0, 31.0, -31.0)] == [
        Level.OK,
        Level.WARN,
        Level.FAIL,
        Level.FAIL,
    ]


async def test_a_book_whose_clock_was_set_is_not_for_production(
    variables: Variables, database: Database
) -> None:
    found = await findings({**variables, "TALLYBOOK_ENV": "production"})
    assert found["book's clock"].level is Level.FAIL
    assert found["catalogue"].level is Level.WARN, "the shipped sample has nobody's prices"


WEAK = {
    "TALLYBOOK_KEY_PEPPER": "",
    "STRIPE_WEBHOOK_SECRET": "changeme",
    "CRON_SECRET": "pass-1",
}


@pytest.mark.parametrize("name", WEAK)
async def test_a_missing_or_weak_secret_is_named_and_never_shown(
    variables: Variables, name: str
) -> None:
    found = await findings({**variables, name: WEAK[name]})
    assert found["settings"].level is Level.FAIL
    assert name in found["settings"].said
    shown = " ".join(one.said + one.remedy for one in found.values())
    values = {**variables, name: WEAK[name]}
    planted = [values[each] for each in SECRETS if values[each]]
    assert [value for value in planted if value in shown] == []


async def test_one_secret_for_two_purposes_fails(variables: Variables) -> None:
    found = await findings({**variables, "CRON_SECRET": GOOD["TALLYBOOK_KEY_PEPPER"]})
    assert found["secrets differ"].level is Level.FAIL
    assert "CRON_SECRET and TALLYBOOK_KEY_PEPPER" in found["secrets differ"].said


async def test_a_secret_in_a_file_that_everybody_reads_is_a_warning(
    variables: Variables, folder: Path
) -> None:
    path = folder / "pepper"
    path.write_text(variables.pop("TALLYBOOK_KEY_PEPPER"))
    for mode, level in ((0o644, Level.WARN), (0o640, Level.OK)):
        path.chmod(mode)
        found = await findings({**variables, "TALLYBOOK_KEY_PEPPER_FILE": str(path)})
        assert found["secret files"].level is level
        assert found["settings"].level is Level.OK
    path.unlink()
    found = await findings({**variables, "TALLYBOOK_KEY_PEPPER_FILE": str(path)})
    assert "TALLYBOOK_KEY_PEPPER_FILE names a file that cannot be read" in found["settings"].said


MODES = {
    ("true", "sk_test_0123456789abcdef", "production"): Level.FAIL,
    ("false", "rk_live_0123456789abcdef", "production"): Level.FAIL,
    ("true", "sk_live_0123456789abcdef", "development"): Level.FAIL,
    ("true", "sk_live_0123456789abcdef", "production"): Level.OK,
    ("false", "a-key-of-another-kind", "production"): Level.WARN,
}


@pytest.mark.parametrize(("live", "key", "environment"), MODES)
async def test_the_book_and_the_key_are_of_one_mode(
    variables: Variables, live: str, key: str, environment: str
) -> None:
    stated = {"TALLYBOOK_LIVEMODE": live, "STRIPE_API_KEY": key, "TALLYBOOK_ENV": environment}
    found = await findings({**variables, **stated})
    assert found["mode"].level is MODES[live, key, environment]


async def test_addresses_beyond_this_machine_want_encryption(variables: Variables) -> None:
    found = await findings({**variables, "REDIS_URL": "redis://192.0.2.1/0"}, "http://192.0.2.1")
    assert found["TLS"].level is Level.FAIL
    assert "REDIS_URL" in found["encryption"].said
    assert found["Redis"].level is Level.FAIL
    assert found["HTTP"].level is Level.FAIL
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", None, "db")] == [
        True,
        True,
        True,
        True,
        False,
    ]


async def test_a_catalogue_that_is_not_the_files_is_told_line_by_line(
    variables: Variables, folder: Path, superuser: asyncpg.Connection
) -> None:
    path = folder / "tiers.toml"
    applied = await superuser.fetchval("SELECT content FROM catalogues")
    path.write_text(applied.replace("daily_credits = 20", "daily_credits = 21"))
    found = await findings(variables, tiers=path)
    assert found["catalogue"].level is Level.FAIL
    assert "20" in found["catalogue"].said
    assert found["catalogue"].remedy == f"tallybook tiers apply {path}"
    path.write_text(f"# a comment\n{applied}")
    assert (await findings(variables, tiers=path))["catalogue"].level is Level.OK
    await superuser.execute("ALTER TABLE catalogues DISABLE TRIGGER USER")
    await superuser.execute("DELETE FROM catalogues")
    assert (await findings(variables))["catalogue"].level is Level.FAIL


async def test_accounts_that_wait_for_their_day_fail_and_a_missing_run_warns(
    variables: Variables, database: Database, book: Book
) -> None:
    await put(book, "una", None, None, "tests")
    assert troubles(await findings(variables)) == STANDING
    await clock.stand(database, NOW + timedelta(days=2))
    found = await findings(variables)
    assert found["due"].level is Level.FAIL
    assert "1 accounts wait" in found["due"].said
    assert found["daily run"].level is Level.WARN
    await tick(book)
    assert troubles(await findings(variables)) == STANDING


async def test_entries_that_wait_for_a_seal_fail_and_a_missing_key_warns(
    variables: Variables, database: Database, book: Book
) -> None:
    await put(book, "user-1", None, None, "tests")
    assert (await findings(variables))["seals"].level is Level.OK
    await clock.stand(database, NOW + timedelta(minutes=11))
    found = (await findings(variables))["seals"]
    assert (found.level, found.said) == (
        Level.FAIL,
        "1 entries have waited for a seal for more than 10 minutes",
    )
    await sealer.seal(book, 60)
    assert (await findings(variables))["seals"].level is Level.OK
    keyless = {**variables, "TALLYBOOK_SEAL_KEY": ""}
    assert (await findings(keyless))["seals"].level is Level.WARN


async def test_what_lies_in_the_inbox_is_told(
    variables: Variables, superuser: asyncpg.Connection
) -> None:
    insert = """INSERT INTO events (id, type, livemode, created_at, received_at, payload, verdict,
                                    verdict_reason, next_attempt_at)
                VALUES ($1, 'x', false, now(), now() - interval '1 hour', '', $2, '', $3)"""
    await superuser.execute(insert, "evt_1", "parked", None)
    assert (await findings(variables))["inbox"].level is Level.WARN
    await superuser.execute("UPDATE dev_clock SET standing_at = NULL")
    await superuser.execute(insert, "evt_2", "queued", NOW)
    assert (await findings(variables))["inbox"].level is Level.FAIL


async def test_a_running_service_is_reached_as_stripe_reaches_it(
    variables: Variables, server: Server, superuser: asyncpg.Connection
) -> None:
    async with served(variables) as url:
        found = await findings(variables, url)
        assert found["webhook"].level is Level.OK
        assert {found[name].level for name in ("ready", "OpenAPI", "keys", "TLS")} == {Level.OK}
        row = await superuser.fetchrow("SELECT type, verdict FROM events")
        assert dict(row) == {"type": "tallybook.ping", "verdict": "ignored"}
        found = await findings(
            {**variables, "STRIPE_WEBHOOK_SECRET": "whsec_of_somebody_else"}, url
        )
        assert found["webhook"].level is Level.FAIL
        assert "400 invalid_signature" in found["webhook"].said
        rolling = f"{GOOD['STRIPE_WEBHOOK_SECRET']},whsec_not_yet_on_the_server"
        found = await findings({**variables, "STRIPE_WEBHOOK_SECRET": rolling}, url)
        assert found["webhook 1"].level is Level.OK
        assert found["webhook 2"].level is Level.FAIL
        live = {"TALLYBOOK_LIVEMODE": "true", "TALLYBOOK_ENV": "production"}
        found = await findings({**variables, **live}, url)
        assert "was refused" in found["webhook"].said
        await superuser.execute("DELETE FROM migration WHERE app_name = 'tallybook'")
        found = await findings(variables, url)
        assert found["ready"].level is Level.FAIL


@contextmanager
def somebody_else() -> Iterator[str]:
    """A web server that answers everything with a page."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>welcome</html>")

        do_POST = do_GET  # noqa: N815 - the server looks for this name

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Page) as page:
        threading.Thread(target=page.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{page.server_port}"
        page.shutdown()


async def test_another_service_at_the_address_is_not_taken_for_ours(variables: Variables) -> None:
    with somebody_else() as url:
        found = await findings(variables, url)
    levels = {name: found[name].level for name in ("OpenAPI", "keys", "webhook")}
    assert set(levels.values()) == {Level.FAIL}, levels
