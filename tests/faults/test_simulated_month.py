"""A month under `tallybook up --clock`: customers come, change, pay late and go; things break."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Final

import httpx
import pytest

from app.allowance.catalogue import default_text, parse
from app.embedded.devbook import DevBook
from app.infrastructure.db import Database, opened
from app.simulate.book_client import connected
from app.simulate.price_list import PriceList
from app.simulate.roles import population, seeded
from app.verify.verify import verify
from tests.faults.running_book import RunningBook, running

pytestmark = pytest.mark.timeout(240)

STARTS_AT: Final = datetime(2026, 1, 1, tzinfo=UTC)
ENDS_AT: Final = datetime(2026, 2, 1, 1, tzinfo=UTC)
CUSTOMERS: Final = 8
LIFE_CYCLES: Final = (
    "upgrade",
    "downgrade",
    "cancel_now",
    "cancel_at_period_end",
    "pack_refunded_partially",
    "random_walk",
)
DAYS: Final = 16
OUTAGE: Final = timedelta(days=2, hours=5)
PATIENCE_S: Final = 60.0


async def tallybook(started: RunningBook, *words: str) -> str:
    """What a command says of the running book; it must end with 0."""
    ended = await asyncio.to_thread(
        subprocess.run,
        [Path(sys.executable).with_name("tallybook"), *words, "--data-dir", started.data_dir],
        capture_output=True,
        text=True,
        check=False,
        cwd=started.folder,
        env={name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


async def live(
    started: RunningBook, seed: int, starts_at: datetime, days: int, *disorder: str
) -> None:
    """A population, its events doubled, each customer compared with the independent model."""
    said = await tallybook(
        started,
        "simulate",
        *LIFE_CYCLES,
        "--customers",
        str(CUSTOMERS),
        "--days",
        str(days),
        "--start",
        starts_at.isoformat(),
        "--seed",
        str(seed),
        "--duplicate",
        "0.3",
        *disorder,
    )
    assert "have the state, tier and credits that they must have" in said


def eventful_seed() -> int:
    """The first seed of whose customers one upgrades, one downgrades, one cancels, one refunds."""
    wanted = {"changes to ENTERPRISE", "changes to PRO", "is canceled", "is given back 25%"}
    prices = PriceList(parse(default_text(), "tiers.toml"))
    for seed in count(1):
        setting = seeded(seed, STARTS_AT, prices, days=DAYS)
        roles = population(setting, CUSTOMERS, LIFE_CYCLES)
        acts = {step.story.partition(" ")[2] for role in roles for step in role.steps}
        if wanted <= acts:
            return seed
    raise AssertionError("count does not end")


async def move_without_a_tick(book: DevBook, to: datetime) -> None:
    """As if no worker had run until then."""
    async with httpx.AsyncClient(base_url=book.base_url) as client:
        answer = await client.put(
            "/api/v1/dev/clock",
            json={"now": to.isoformat(), "tick": False},
            headers={"Authorization": f"Bearer {book.keys.operator}"},
        )
        answer.raise_for_status()


async def test_a_month_of_changes_and_outages_ends_with_a_clean_book(folder: Path) -> None:
    with running(folder) as started:
        book = await asyncio.to_thread(started.wait)
        await live(started, eventful_seed(), STARTS_AT, DAYS)
        async with opened(book.database_url) as database:
            stood = await now(database)
        await move_without_a_tick(book, stood + OUTAGE)
        started.kill()
    with running(folder) as again:
        book = await asyncio.to_thread(again.wait)
        await live(again, 1, stood + OUTAGE, 9, "--shuffle")
        again.kill_server()
        async with connected(book, patience_s=PATIENCE_S) as client:
            await client.move_clock(ENDS_AT)
        assert "✗" not in await tallybook(again, "ledger", "verify")
        async with opened(book.database_url) as database:
            assert [text for one in await verify(database) for text in one.differences] == []
            await every_day_is_accounted_for(database)


async def now(database: Database) -> datetime:
    instant: datetime = await database.fetchval("SELECT tallybook_now()")
    return instant


async def every_day_is_accounted_for(database: Database) -> None:
    """Each account's days follow one another, but for those that a run counts as not opened."""
    runs = await database.fetch("SELECT * FROM runs ORDER BY id")
    assert {row["state"] for row in runs} == {"done"}
    assert {row["failed"] for row in runs} == {0}
    gaps = await database.fetchval("SELECT sum(day_on - previous_on - 1)::bigint FROM daily_grants")
    assert gaps == sum(row["not_opened"] for row in runs) > 0
    kinds = {row["kind"] for row in await database.fetch("SELECT DISTINCT kind FROM journals")}
    assert {"opening", "top_up", "trim", "purchase", "refund"} <= kinds
    states = await database.fetch("SELECT DISTINCT to_state FROM transitions")
    assert {row["to_state"] for row in states} >= {"active", "canceled"}
    behind = await database.fetchval(
        "SELECT count(*) FROM accounts WHERE closed_at IS NULL AND day_ends_at <= tallybook_now()"
    )
    assert behind == 0
