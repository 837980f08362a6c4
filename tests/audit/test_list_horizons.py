"""Every list of an append-only table has a horizon: a walk misses nothing that commits late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from app.audit.horizon import LISTS
from app.infrastructure.db import Database
from tests.api_client import Api
from tests.conftest import NOW
from tests.stripe_events import make_subscription_event

SUBSCRIPTION = "sub_walked"
PATHS = {
    "alerts": "/api/v1/alerts",
    "events": "/api/v1/events",
    "operator_acts": "/api/v1/operator-acts",
    "reversals": "/api/v1/reversals",
    "runs": "/api/v1/runs",
    "transitions": f"/api/v1/subscriptions/{SUBSCRIPTION}/transitions",
    "webhook_messages": "/api/v1/webhook-messages",
}
# A row of each list, as its writer adds it; $1 is a number that tells the rows apart.
INSERT = {
    # Of one kind they take turns at the count of that kind; two kinds do not.
    "alerts": """INSERT INTO alerts (kind, account_id, tier, day_on, threshold, value,
                                     effective_at, raised_at)
                 SELECT CASE $1::int WHEN 3 THEN 'gift_disputed' ELSE 'unusual_use' END,
                        min(id), 'PRO', date '2026-01-01' + $1::int, 1, 1, now(),
                        now()
                   FROM accounts""",
    "events": """INSERT INTO events (id, type, livemode, created_at, received_at, payload, verdict,
                                     verdict_reason)
                 VALUES ('evt_late_' || $1::int, 'charge.updated', false, now(), now(), '',
                         'ignored', 'no credits')""",
    "operator_acts": """INSERT INTO operator_acts (actor, act, reason, at)
                        VALUES ('cli:tests', 'tests_' || chr(96 + $1::int), 'a walk', now())""",
    "reversals": """WITH run AS (
                        INSERT INTO runs (day_on, wave_at, catalogue_id, state, started_by,
                                          started_at, expected, finished_at)
                        SELECT date '2030-01-01' + $1::int,
                               timestamptz '2030-01-01' + make_interval($1::int),
                               min(id), 'done', 'tests', now(), 0, now() FROM catalogues
                        RETURNING id)
                    INSERT INTO reversals (of_run_id, policy, state, actor, reason, created_at)
                    SELECT id, 'write_off', 'done', 'tests', 'a walk', now() FROM run""",
    "runs": """INSERT INTO runs (day_on, wave_at, catalogue_id, state, started_by, started_at,
                                 expected, finished_at)
               SELECT date '2030-01-01' + $1::int,
                      timestamptz '2030-01-01' + make_interval($1::int),
                      min(id), 'done', 'tests', now(), 0, now() FROM catalogues""",
    "transitions": """INSERT INTO transitions (subscription_id, event_id, from_state, to_state,
                                               trigger, effective_at, recorded_at)
                      SELECT subscription_id, event_id, from_state, to_state, trigger,
                             effective_at + make_interval(secs => $1::int), recorded_at
                        FROM transitions ORDER BY id LIMIT 1""",
    "webhook_messages": """WITH endpoint AS (
                               INSERT INTO webhook_endpoints (id, url, ordered, salt, created_at)
                               VALUES ('walk-' || $1::int, 'https://example.com/', false,
                                       sha256(''), now())
                               RETURNING number)
                           INSERT INTO webhook_messages (endpoint_number, type, data, effective_at,
                                                         created_at, next_attempt_at)
                           SELECT number, 'run.done', '{}', now(), now(), now() FROM endpoint""",
}


def test_each_list_has_its_path_and_its_row() -> None:
    assert set(PATHS) == set(INSERT) == set(LISTS)


@asynccontextmanager
async def writer(database: Database) -> AsyncIterator[asyncpg.Connection]:
    """A connection of its own, with the application's login."""
    connection = await asyncpg.connect(database.url)
    try:
        yield connection
    finally:
        await connection.close()


async def _next(api: Api, path: str, cursor: str | None) -> tuple[list[dict[str, Any]], str | None]:
    """The next page of two rows; what a held-up horizon refuses is asked again."""
    query = {} if cursor is None else {"cursor": cursor}
    while True:
        scope = "operator" if path.endswith("webhook-messages") else "auditor"
        answer = await api.get(path, scope, limit=2, **query)
        if answer.status_code != 503:
            assert answer.status_code == 200, answer.text
            page = answer.json()
            # The cursor of alerts is never null: a page that is not full is the last for now.
            return page["data"], page["next_cursor"] if len(page["data"]) == 2 else None
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("table", sorted(LISTS))
async def test_a_row_that_commits_late_is_not_passed_by(
    api: Api, database: Database, table: str
) -> None:
    event = make_subscription_event("evt_1", "created", NOW, subscription=SUBSCRIPTION)
    assert await api.deliver(event) == "applied"
    path, insert = PATHS[table], INSERT[table]
    for number in (1, 2):
        await database.execute(insert, number)
    before, _ = await _next(api, path, None)
    async with writer(database) as late:
        transaction = late.transaction()
        await transaction.start()
        await late.execute(insert, 3)  # its number is drawn, it is not committed
        await database.execute(insert, 4)
        await database.execute(insert, 5)
        seen, cursor = await _next(api, path, None)
        while cursor is not None:
            rows, cursor = await _next(api, path, cursor)
            seen += rows
        assert seen[: len(before)] == before
        held_back = len(seen)
        await transaction.commit()
    walked, cursor = await _next(api, path, None)
    while cursor is not None:
        rows, cursor = await _next(api, path, cursor)
        walked += rows
    assert walked[:held_back] == seen, "what was shown stays where it stood"
    total = await database.fetchval(f"SELECT count(*) FROM {table}")
    assert len(walked) == total
