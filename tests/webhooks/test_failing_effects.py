"""An event whose effects fail is kept, tried again, and applied exactly once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import msgspec
import structlog

from app.accounts.open import CUSTOMER_LOCK
from app.infrastructure.db import Database
from app.jobs.tick import tick
from app.webhooks.inbox import RETRY_DELAYS
from tests.api_client import open_api
from tests.conftest import NOW, Server
from tests.invariants import differences
from tests.stripe_events import make_subscription_event


@asynccontextmanager
async def owner_of(server: Server) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(server.owner_url)
    try:
        yield connection
    finally:
        await connection.close()


async def break_event(server: Server, event_id: str) -> None:
    """Let the database refuse what this event does, by a CHECK that its owner adds."""
    async with owner_of(server) as owner:
        await owner.execute(
            f"ALTER TABLE facts ADD CONSTRAINT broken CHECK (event_id <> '{event_id}')"
        )


async def mend(server: Server) -> None:
    async with owner_of(server) as owner:
        await owner.execute("ALTER TABLE facts DROP CONSTRAINT broken")


async def inbox(database: Database, event_id: str) -> dict[str, Any]:
    row = await database.fetchrow("SELECT * FROM events WHERE id = $1", event_id)
    assert row is not None
    return dict(row)


async def test_a_failed_event_is_kept_and_its_sender_answered(api, database, server) -> None:
    await break_event(server, "evt_1")
    assert await api.deliver(make_subscription_event("evt_1", "created", NOW)) == "queued"
    row = await inbox(database, "evt_1")
    assert (row["verdict"], row["attempt_count"]) == ("queued", 1)
    assert row["next_attempt_at"] == NOW + RETRY_DELAYS[0]
    assert "broken" in row["error"]
    assert await database.fetchval("SELECT count(*) FROM accounts") == 0


async def test_a_tick_applies_it_once_it_can_and_exactly_once(api, database, server, book) -> None:
    await break_event(server, "evt_1")
    event = make_subscription_event("evt_1", "created", NOW)
    await api.deliver(event)
    await api.set_clock(NOW + timedelta(seconds=30))
    assert (await inbox(database, "evt_1"))["attempt_count"] == 1  # its minute has not come
    await api.set_clock(NOW + timedelta(minutes=1))
    assert (await inbox(database, "evt_1"))["attempt_count"] == 2
    await mend(server)
    assert await api.deliver(event) == "duplicate"
    await api.set_clock(NOW + timedelta(minutes=5))
    for _ in range(3):
        await tick(book)
    row = await inbox(database, "evt_1")
    assert (row["verdict"], row["attempt_count"], row["error"]) == ("applied", 3, None)
    assert (await api.account("cus_1"))["available"] == 20
    assert await database.fetchval("SELECT count(*) FROM entries WHERE kind = 'grant'") == 2
    assert await differences(database) == []


async def test_a_retried_event_falls_into_its_place_in_the_order(api, database, server) -> None:
    """The upgrade fails, the cancellation after it is applied: the retry revives nothing."""
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    await break_event(server, "evt_2")
    upgrade = make_subscription_event(
        "evt_2",
        "updated",
        NOW + timedelta(seconds=5),
        price="price_enterprise_monthly",
        previous={},
    )
    assert await api.deliver(upgrade) == "queued"
    end = make_subscription_event("evt_3", "deleted", NOW + timedelta(seconds=9))
    assert await api.deliver(end) == "applied"
    await mend(server)
    await api.set_clock(NOW + timedelta(minutes=1))
    assert (await inbox(database, "evt_2"))["verdict"] == "stale"
    assert (await api.account("cus_1"))["available"] == 5


async def test_it_is_parked_after_the_last_try(api, database, server) -> None:
    await break_event(server, "evt_1")
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    await api.set_clock(NOW + timedelta(days=3))
    row = await inbox(database, "evt_1")
    assert (row["verdict"], row["attempt_count"]) == ("parked", len(RETRY_DELAYS) + 1)
    assert row["next_attempt_at"] is None
    assert "broken" in row["error"]


async def test_a_failure_halfway_leaves_no_half(api, database, server) -> None:
    """The ledger refuses the grant after the subscription was written: both are undone."""
    async with owner_of(server) as owner:
        await owner.execute("REVOKE INSERT ON entries FROM tallybook_app")
    assert await api.deliver(make_subscription_event("evt_1", "created", NOW)) == "queued"
    for table in ("accounts", "customers", "subscriptions", "facts", "journals", "lots"):
        assert await database.fetchval(f"SELECT count(*) FROM {table}") == 0, table
    async with owner_of(server) as owner:
        await owner.execute("GRANT INSERT ON entries TO tallybook_app")
    await api.set_clock(NOW + timedelta(minutes=1))
    assert (await api.account("cus_1"))["available"] == 20
    assert await differences(database) == []


async def test_one_broken_event_does_not_hold_up_the_others(api, database, server) -> None:
    await break_event(server, "evt_1")
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    other = make_subscription_event("evt_2", "created", NOW, customer="cus_2", subscription="s_2")
    assert await api.deliver(other) == "applied"
    await api.set_clock(NOW + timedelta(days=1, hours=13))
    assert (await api.account("cus_2"))["available"] == 20
    runs = await database.fetchval("SELECT count(*) FROM runs WHERE state = 'done'")
    assert runs == 2


async def test_a_connection_that_is_lost_halfway_keeps_the_event_for_the_tick(
    api, database, server
) -> None:
    """The database itself is there: the event is stored by another connection."""
    event = make_subscription_event("evt_1", "created", NOW)
    holder = await asyncpg.connect(server.superuser_url)
    try:
        async with holder.transaction():
            await holder.execute(
                "SELECT pg_advisory_xact_lock(hashtextextended('cus_1', $1))", CUSTOMER_LOCK
            )
            delivery = asyncio.create_task(api.post_event(event))
            waiting = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            while (pid := await holder.fetchval(waiting)) is None:
                await asyncio.sleep(0.02)
            await holder.execute("SELECT pg_terminate_backend($1)", pid)
            answer = await delivery
    finally:
        await holder.close()
    assert (answer.status_code, answer.json()["outcome"]) == (200, "queued")
    await api.set_clock(NOW + timedelta(minutes=1))
    assert (await inbox(database, "evt_1"))["verdict"] == "applied"
    assert (await api.account("cus_1"))["available"] == 20
    assert await differences(database) == []


class Wire:
    """A loopback port that leads to the database, and can be cut."""

    def __init__(self, url: str) -> None:
        self.parts = urlsplit(url)
        self.port = 0
        self._writers: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        user = self.parts.netloc.rpartition("@")[0]
        return urlunsplit(self.parts._replace(netloc=f"{user}@127.0.0.1:{self.port}"))

    async def lay(self) -> None:
        """Let connections through."""
        self._server = await asyncio.start_server(self._lead, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """End every connection and refuse new ones."""
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there = await asyncio.open_connection(self.parts.hostname, self.parts.port)
        self._writers += [writer, there]
        await asyncio.gather(_pass_on(reader, there), _pass_on(there_reader, writer))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError), contextlib.closing(writer):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()


async def test_while_the_database_is_away_stripe_is_told_to_send_again(
    database, server, settings
) -> None:
    wire = Wire(server.application_url)
    await wire.lay()
    away = msgspec.structs.replace(settings, database_url=wire.url)
    async with open_api(database, away) as api:
        assert await api.deliver(make_subscription_event("evt_1", "created", NOW)) == "applied"
        await wire.cut()
        event = make_subscription_event("evt_2", "deleted", NOW + timedelta(seconds=9))
        for _ in range(3):
            answer = await api.post_event(event)
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
            assert answer.json()["retryable"] is True
        assert await database.fetchval("SELECT count(*) FROM events") == 1
        await wire.lay()
        assert await api.deliver(event) == "applied"
        assert (await api.account("cus_1"))["state"] == "canceled"
        await wire.cut()


async def test_parking_raises_an_alert(api, server, database) -> None:
    await break_event(server, "evt_1")
    with structlog.testing.capture_logs() as logs:
        await api.deliver(make_subscription_event("evt_1", "created", NOW))
        assert [one for one in logs if one["event"] == "event_parked"] == []
        await api.set_clock(NOW + timedelta(days=3))
        await api.deliver(make_subscription_event("evt_2", "created", NOW, status="odd"))
    parked = [one for one in logs if one["event"] == "event_parked"]
    assert [(one["event_id"], one["log_level"]) for one in parked] == [
        ("evt_1", "error"),
        ("evt_2", "error"),
    ]
