"""The demo at the real service: all as expected, again on the same data, and after a break."""

from __future__ import annotations

import io
import re
import shlex
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from app.asgi import create_app
from app.embedded.devbook import DevKeys
from app.infrastructure.db import Database
from app.infrastructure.settings import Settings
from app.operators.keys import Scope
from app.simulate import demo
from app.simulate.book_client import Account, BookClient, connected
from app.simulate.demo import (
    Run,
    find_run,
    next_steps,
    people,
    play_demo,
    print_next_steps,
)
from app.simulate.engine import Engine, Found, Manner, Outcome, Posted, as_it_is
from app.simulate.report import print_demo
from app.simulate.scenarios.demo import LENGTH
from tests.as_owner import make_key
from tests.simulate.small_book import dev_book

START = datetime(2026, 1, 2, tzinfo=UTC)  # the test's clock stands at noon of the day before
DATA_DIR = Path(".tallybook")


@asynccontextmanager
async def at_the_service(database: Database, settings: Settings) -> AsyncIterator[BookClient]:
    """A client of the real service over ASGI."""
    tokens = [
        await make_key(database, settings.key_pepper, scope, [scope])
        for scope in (Scope.SERVICE, Scope.AUDITOR, Scope.OPERATOR)
    ]
    book = replace(
        dev_book("http://tallybook.test"),
        stripe_webhook_secret=settings.stripe_webhook_secrets[0],
        keys=DevKeys(*tokens),
    )
    app = create_app(settings)
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with app.lifespan(), connected(book, patience_s=0, transport=transport) as client:
        yield client


def paper(width: int = 100) -> Console:
    return Console(file=io.StringIO(), width=width)


def text_on(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


async def test_the_demo_ends_as_the_rules_say(database: Database, settings: Settings) -> None:
    async with at_the_service(database, settings) as client:
        console = paper()
        assert await play_demo(client, console, DATA_DIR), text_on(console)
    assert "✓ emil-1" in text_on(console)
    told = text_on(console)
    assert "All as it must be." in told
    assert "/console\n" in told
    assert re.search(r"/pages/[\w-]+\.[\w-]{43}\n  what the customer of chiyo-1 sees", told)


async def test_a_demo_left_half_played_is_played_to_its_end_first(
    database: Database, settings: Settings
) -> None:
    run = Run(1, START, resumed=False)
    stops_at = START + timedelta(days=10)
    begun = [
        replace(role, steps=takewhile(lambda step: step.at < stops_at, role.steps))
        for role in people(run)
    ]
    async with at_the_service(database, settings) as client:
        assert await find_run(client) == run
        manner = Manner(clock_at=await client.now(), ends_at=None, reads=False)
        await Engine(client, manner).run(iter(begun))
        assert await find_run(client) == Run(1, START, resumed=True)
        console = paper()
        assert await play_demo(client, console, DATA_DIR), text_on(console)
        assert "Playing the rest of tape 1" in text_on(console)
        again_at = START + LENGTH - timedelta(hours=18) + timedelta(days=1)
        assert await find_run(client) == Run(2, again_at, resumed=False)


async def test_a_demo_that_stopped_before_its_first_customer_starts_again(
    database: Database, settings: Settings
) -> None:
    async with at_the_service(database, settings) as client:
        await client.move_clock(START)
        assert await find_run(client) == Run(1, START, resumed=False)


def outcome(available: int = 3, posted: int = 3, **more: Any) -> Outcome:
    """Ada's account as it was found."""
    run = Run(1, demo.START, resumed=False)
    ada, *_ = people(run)
    assert list(ada.steps), "the expectation is told as the steps are drawn"
    must = ada.customer.expected().end(run.ends_at)
    account = Account(
        id="ada-1",
        stripe_customer_id=None,
        tier="FREE",
        state=None,
        balance=available,
        available=available,
        subscriptions=[],
    )
    credits = Counter(grant=must.granted, spend=must.spent, expiry=must.expired)
    entries = Posted(credits, posted, 9)
    is_ = as_it_is(must, account, entries, credits=True)
    found = Found(ada, "ada-1", must, is_, account, entries)
    return Outcome(found=[found], difference_count=found.wrong, **more)


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        (outcome(2, 2), "must be FREE, no state, 3 available"),
        (outcome(3, 4), "the entries add up to 4, the balance is 3"),
        (outcome(verdicts={"demo": Counter(parked=1)}), "somebody must look"),
        (outcome(surprises=["ada spends 3: refused"]), "against the rules"),
    ],
)
def test_what_is_not_as_it_must_be_is_told(outcome: Outcome, told: str) -> None:
    console = paper(width=160)
    assert not print_demo(console, outcome)
    assert told in text_on(console)
    assert "Not as it must be" in text_on(console)


def test_what_is_right_is_told() -> None:
    console = paper()
    assert print_demo(console, outcome(verdicts={"demo": Counter(applied=3, stale=1)}))
    assert "✓ ada-1" in text_on(console)


def test_the_report_fits_into_eighty_columns() -> None:
    console = paper(width=80)
    print_demo(console, outcome(verdicts={"demo": Counter(applied=3)}))
    assert max(map(len, text_on(console).splitlines())) <= 80
    assert "available" in text_on(console)


def test_commands_to_paste_are_not_broken_however_narrow_the_terminal() -> None:
    console = paper(width=30)
    book = dev_book("http://127.0.0.1:8787")
    print_next_steps(console, book, "fay-1", Path("/tmp/a [bold]folder"))
    lines = text_on(console).splitlines()
    commands = [shlex.split(line, comments=True) for line in lines[2:] if line]
    spend, entries, verify, schema, tiers, listen, up = [words for words in commands if words]
    assert spend[:4] == ["curl", "-sw", "\\n", f"{book.base_url}/api/v1/accounts/fay-1/spends"]
    assert spend[-1] == '{"amount": 1, "reason": "a try"}'
    assert entries[3].endswith("/ledger/entries?account_id=fay-1&order=desc&limit=5")
    assert verify[-2:] == ["--data-dir", "/tmp/a [bold]folder"]
    assert schema == ["http://127.0.0.1:8787/schema"]
    assert tiers[1:3] == ["tiers", "show"]
    assert listen[:3] == ["stripe", "listen", "--forward-to"]
    assert up[0].startswith("STRIPE_WEBHOOK_SECRET=")


def test_each_demo_offers_a_spend_that_nobody_made_before() -> None:
    book = dev_book("http://127.0.0.1:8787")
    one, other = (next_steps(book, "fay-1", DATA_DIR, fresh) for fresh in ("aa", "bb"))
    assert one != other
