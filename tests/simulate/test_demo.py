"""The demo at the real service: all as expected, again on the same data, and after a break."""

from __future__ import annotations

import io
import shlex
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from app.asgi import create_app
from app.embedded.devbook import DevKeys
from app.infrastructure.db import Database
from app.infrastructure.settings import Settings
from app.operators.keys import Scope
from app.simulate import sample_tape
from app.simulate.book_client import Account, BookClient, connected
from app.simulate.demo import Run, find_run, play_sample
from app.simulate.next_steps import next_steps, print_next_steps
from app.simulate.play import Played, play
from app.simulate.report import Found, print_report
from app.simulate.sample_tape import TAPE_LENGTH
from app.simulate.tape import TAPE_START
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


async def test_the_sample_tape_ends_as_the_rules_say(
    database: Database, settings: Settings
) -> None:
    async with at_the_service(database, settings) as client:
        console = paper()
        assert await play_sample(client, console, DATA_DIR), text_on(console)
    assert "✓ emil-1" in text_on(console)
    assert "All as it must be." in text_on(console)


async def test_a_tape_left_half_played_is_played_to_its_end_first(
    database: Database, settings: Settings
) -> None:
    tape = sample_tape.tape(1, START)
    begun = replace(tape, steps=tape.steps[:30])
    async with at_the_service(database, settings) as client:
        assert await find_run(client) == Run(1, START, resumed=False)
        await play(begun, client)
        assert await find_run(client) == Run(1, START, resumed=True)
        console = paper()
        assert await play_sample(client, console, DATA_DIR), text_on(console)
        assert "Playing the rest of tape 1" in text_on(console)
        again_at = START + TAPE_LENGTH - timedelta(hours=18) + timedelta(days=1)
        assert await find_run(client) == Run(2, again_at, resumed=False)


async def test_a_tape_that_stopped_before_its_first_customer_starts_anew(
    database: Database, settings: Settings
) -> None:
    async with at_the_service(database, settings) as client:
        await client.move_clock(START)
        assert await find_run(client) == Run(1, START, resumed=False)


def found(available: int, posted: int) -> Found:
    (ada, *_) = sample_tape.tape(1, TAPE_START).customers
    account = Account(
        id=ada.account_id,
        tier="FREE",
        state=None,
        balance=available,
        available=available,
        subscriptions=[],
    )
    must_be = ada.expected
    credits = Counter(grant=must_be.granted, spend=must_be.spent, expiry=must_be.expired)
    return Found(ada, account, credits, posted, 9)


@pytest.mark.parametrize(
    ("one", "played", "told"),
    [
        (found(2, 2), Played(), "must be FREE without subscription, 3 available"),
        (found(3, 4), Played(), "the entries add up to 4, the balance is 3"),
        (found(3, 3), Played(verdicts=Counter(parked=1)), "somebody must look"),
        (found(3, 3), Played(surprises=["ada spends 3: refused"]), "against the rules"),
    ],
)
def test_what_is_not_as_it_must_be_is_told(one: Found, played: Played, told: str) -> None:
    console = paper(width=160)
    assert not print_report(console, played, [one])
    assert told in text_on(console)
    assert "Not as it must be" in text_on(console)


def test_what_is_right_is_told() -> None:
    console = paper()
    assert print_report(console, Played(verdicts=Counter(applied=3, stale=1)), [found(3, 3)])
    assert "✓ ada-1" in text_on(console)


def test_the_report_fits_into_eighty_columns() -> None:
    console = paper(width=80)
    print_report(console, Played(verdicts=Counter(applied=3)), [found(3, 3)])
    assert max(map(len, text_on(console).splitlines())) <= 80
    assert "available" in text_on(console)


def test_commands_to_paste_are_not_broken_however_narrow_the_terminal() -> None:
    console = paper(width=30)
    book = dev_book("http://127.0.0.1:8787")
    print_next_steps(console, book, "fay-1", Path("/tmp/a [bold]folder"))
    lines = text_on(console).splitlines()
    commands = [shlex.split(line, comments=True) for line in lines[2:] if line]
    spend, entries, verify, schema, listen, up = [words for words in commands if words]
    assert spend[:4] == ["curl", "-sw", "\\n", f"{book.base_url}/api/v1/accounts/fay-1/spends"]
    assert spend[-1] == '{"amount": 1, "reason": "a try"}'
    assert entries[3].endswith("/ledger/entries?account_id=fay-1&order=desc&limit=5")
    assert verify[-2:] == ["--data-dir", "/tmp/a [bold]folder"]
    assert schema == ["http://127.0.0.1:8787/schema"]
    assert listen[:3] == ["stripe", "listen", "--forward-to"]
    assert up[0].startswith("STRIPE_WEBHOOK_SECRET=")


def test_each_demo_offers_a_spend_that_nobody_made_before() -> None:
    book = dev_book("http://127.0.0.1:8787")
    one, other = (next_steps(book, "fay-1", DATA_DIR, fresh) for fresh in ("aa", "bb"))
    assert one != other
