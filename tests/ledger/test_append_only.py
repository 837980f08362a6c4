"""The database refuses what the code must never do, whoever asks."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import orjson
import pytest

from app.accounts.put import put
from app.book import Book
from app.ledger.idempotency import request_key
from app.operators.acts import Operator, OperatorAct, record
from app.reconcile import store
from app.seals import sealer
from app.spending.spend import SpendOrder, spend
from app.verify.verify import store_verdict, verify
from app.webhooks.receive import receive
from tests.conftest import NOW, Server
from tests.money_events import make_session_event
from tests.stripe_events import make_subscription_event

APPEND_ONLY = (
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
    "fetched_events",
    "alerts",
    "moved_lots",
    "event_bodies",
    "seals",
    "seal_cosignatures",
    "seal_keys",
)
VERBS = (
    "UPDATE {table} SET {column} = {column}",
    "DELETE FROM {table}",
    "TRUNCATE {table} CASCADE",
)


@dataclass(frozen=True)
class Roles:
    """Who tries, by login."""

    application: str
    reader: str
    owner: str
    superuser: str


@pytest.fixture
async def roles(server: Server, book: Book) -> AsyncIterator[Roles]:
    """A book with rows in every guarded table, and a login that may only read."""
    event = make_subscription_event("evt_1", "created", NOW)
    await receive(book, orjson.dumps(event), livemode=False)
    await receive(book, orjson.dumps(make_session_event("evt_2", NOW)), livemode=False)
    await put(book, "user-1", None, None, "tests")
    await put(book, "user-1", "cus_1", None, "tests")  # a join, which brings the pack's lot
    body = {"amount": 7}
    key = request_key("key-1", "POST", "/", body)
    await spend(book, [SpendOrder(account_id="user-1", amount=7, actor="tests", key=key)])
    by = Operator(actor="tests", reason="a row to protect")
    async with book.database.transaction():
        await record(book.database, OperatorAct.TIERS_APPLIED, by, subject="1")
    one = await store.begin(book.database, by, NOW, dry_run=True)
    await store.fetched(book.database, one, "evt_3")
    await book.database.execute(
        """INSERT INTO alerts (kind, account_id, tier, day_on, threshold, value,
                               effective_at, raised_at)
           SELECT 'unusual_use', id, tier, day_on, 1, 7, tallybook_now(), tallybook_now()
             FROM accounts LIMIT 1"""
    )
    await book.database.execute(
        "INSERT INTO event_bodies (event_id, received_at, payload) VALUES ('evt_1', $1, '{}')", NOW
    )
    await sealer.seal(book, 60)
    await book.database.execute(
        """INSERT INTO seal_cosignatures (size, witness, line, added_at)
           SELECT size, 'watch', '', $1 FROM seals""",
        NOW,
    )
    await store_verdict(book.database, await verify(book.database))
    name, password = f"reader_{secrets.token_hex(4)}", secrets.token_hex(8)
    superuser = await asyncpg.connect(server.superuser_url)
    await superuser.execute(
        f"CREATE ROLE {name} LOGIN PASSWORD '{password}' IN ROLE tallybook_read"
    )
    parts = urlsplit(server.application_url)
    reader = urlunsplit(parts._replace(netloc=f"{name}:{password}@{parts.netloc.split('@')[1]}"))
    try:
        yield Roles(server.application_url, reader, server.owner_url, server.superuser_url)
    finally:
        await superuser.execute(f"DROP ROLE {name}")
        await superuser.close()


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def content(url: str, table: str) -> list[str]:
    async with connected(url) as connection:
        rows = await connection.fetch(f"SELECT whole::text FROM {table} AS whole ORDER BY 1")
        return [row[0] for row in rows]


async def all_tables(connection: asyncpg.Connection) -> list[str]:
    rows = await connection.fetch(
        "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p')"
        " AND relnamespace = 'public'::regnamespace ORDER BY 1"
    )
    return [row["relname"] for row in rows]


async def is_refused(connection: asyncpg.Connection, statement: str) -> bool:
    """Whether it is refused for lack of privilege; what is let through is rolled back."""
    trial = connection.transaction()
    await trial.start()
    try:
        await connection.execute(statement)
    except asyncpg.InsufficientPrivilegeError:
        return True
    finally:
        await trial.rollback()
    return False


def statements(table: str, column: str) -> list[str]:
    return [verb.format(table=table, column=column) for verb in VERBS]


COLUMNS = {
    "journals": "actor",
    "entries": "amount",
    "transitions": "to_state",
    "daily_grants": "credits",
    "facts": "subscription_id",
    "catalogues": "content",
    "operator_acts": "actor",
    "verifications": "difference_count",
    "money_facts": "object_id",
    "purchases": "credits",
    "deliveries": "reason",
    "fetched_events": "reconciliation_id",
    "alerts": "value",
    "moved_lots": "to_lot_id",
    "event_bodies": "payload",
    "seals": "note",
    "seal_cosignatures": "line",
    "seal_keys": "first_size",
}


@pytest.mark.parametrize("role", ["application", "reader", "owner"])
async def test_no_verb_changes_what_is_append_only(roles: Roles, role: str) -> None:
    allowed = []
    for table in APPEND_ONLY:
        before = await content(roles.superuser, table)
        assert before, f"{table} has rows to protect"
        async with connected(getattr(roles, role)) as connection:
            for statement in statements(table, COLUMNS[table]):
                if not await is_refused(connection, statement):
                    allowed.append(statement)
        assert await content(roles.superuser, table) == before
    assert allowed == []


@pytest.mark.parametrize("role", ["application", "reader", "owner"])
async def test_an_event_keeps_what_stripe_sent(roles: Roles, role: str) -> None:
    before = await content(roles.superuser, "events")
    tries = [
        "DELETE FROM events",
        "TRUNCATE events CASCADE",
        "UPDATE events SET payload = 'forged'",
        "UPDATE events SET id = 'evt_other'",
        "UPDATE events SET type = 'customer.subscription.deleted'",
        "UPDATE events SET created_at = now()",
        "UPDATE events SET received_at = now()",
    ]
    async with connected(getattr(roles, role)) as connection:
        assert [one for one in tries if not await is_refused(connection, one)] == []
    assert await content(roles.superuser, "events") == before


async def test_an_events_verdict_may_be_written(roles: Roles) -> None:
    async with connected(roles.application) as connection:
        done = await connection.execute("UPDATE events SET verdict = 'applied', error = NULL")
    assert done == "UPDATE 2"


async def test_a_change_hidden_in_an_upsert_is_refused(roles: Roles) -> None:
    async with connected(roles.owner) as connection:
        assert await is_refused(
            connection,
            """INSERT INTO facts SELECT * FROM facts
               ON CONFLICT (event_id, reading) DO UPDATE SET body = '{}'""",
        )


async def test_nothing_is_deleted_by_way_of_what_it_belongs_to(roles: Roles) -> None:
    async with connected(roles.application) as connection:
        assert await is_refused(connection, "DELETE FROM accounts")
    async with connected(roles.owner) as connection:
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            await connection.execute("DELETE FROM accounts")
        cascading = "SELECT conname FROM pg_constraint WHERE contype = 'f' AND confdeltype <> 'r'"
        assert await connection.fetch(cascading) == [], "every foreign key restricts"


async def test_the_reading_role_writes_nowhere(roles: Roles) -> None:
    allowed = []
    async with connected(roles.reader) as connection:
        for table in await all_tables(connection):
            for statement in (
                f"INSERT INTO {table} DEFAULT VALUES",
                f"DELETE FROM {table}",
                f"TRUNCATE {table}",
                f"LOCK TABLE {table} IN EXCLUSIVE MODE",
            ):
                if not await is_refused(connection, statement):
                    allowed.append(statement)
        for statement in ("SELECT nextval('entries_id_seq')", "SELECT setval('entries_id_seq', 1)"):
            if not await is_refused(connection, statement):
                allowed.append(statement)
    assert allowed == []


async def test_the_reading_role_reads_all_but_the_keys(roles: Roles) -> None:
    async with connected(roles.reader) as connection:
        refused = [
            table
            for table in await all_tables(connection)
            if await is_refused(connection, f"SELECT * FROM {table}")
        ]
    assert refused == ["api_keys", "console_sessions"]


async def test_the_reading_role_can_answer_an_auditor(roles: Roles) -> None:
    async with connected(roles.reader) as connection:
        assert await connection.fetchval("SELECT sum(amount) FROM entries") > 0
        assert await connection.fetchval("SELECT last_value FROM entries_id_seq") > 0
        assert await connection.fetchval("SELECT tallybook_now()") == NOW


async def test_the_clock_of_a_book_without_a_set_one_is_the_databases(roles: Roles) -> None:
    async with connected(roles.superuser) as connection, connection.transaction():
        await connection.execute("DELETE FROM dev_clock")
        first = await connection.fetchval("SELECT tallybook_now()")
        second = await connection.fetchval("SELECT tallybook_now()")
    assert datetime(2026, 1, 2, tzinfo=UTC) < first < second, "it runs on inside a transaction"
