"""What a catalogue would change is told before it is applied, and is what then happens."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from app.allowance.catalogue import CatalogueError, default_text, parse
from app.allowance.catalogues import newest
from app.book import Book
from app.cli import tiers as commands
from app.infrastructure.db import Database
from app.runs.catalogue_preview import Moves, Preview, preview
from tests.api_client import Api
from tests.as_owner import apply_tiers
from tests.conftest import NOW, Server
from tests.stripe_events import make_invoice_event, make_subscription_event

PRO, ENTERPRISE = "price_pro_monthly", "price_enterprise_monthly"
SUBSCRIBED = {
    "pro": {"price": PRO},
    "best": {"price": ENTERPRISE},
    "trial": {"price": PRO, "status": "trialing"},
    "unpaid": {"price": PRO, "status": "unpaid"},
    "late": {"price": PRO},
    "unknown": {"price": "price_of_no_tier"},
    "gone": {"price": PRO, "status": "canceled"},
}


@pytest.fixture
async def customers(api: Api) -> Api:
    """One of each kind, and two without a subscription."""
    for name in ("free-1", "free-2"):
        await api.put(f"/api/v1/accounts/{name}", {})
    for name, facts in SUBSCRIBED.items():
        await api.put(f"/api/v1/accounts/{name}", {"stripe_customer_id": f"cus_{name}"})
        ids = {"subscription": f"sub_{name}", "customer": f"cus_{name}"}
        event = make_subscription_event(f"evt_{name}", "created", NOW, **facts, **ids)
        await api.deliver(event)
    await api.deliver(
        make_invoice_event(
            "evt_late_2",
            "payment_failed",
            NOW + timedelta(seconds=9),
            subscription="sub_late",
            customer="cus_late",
        )
    )
    return api


def changed(**replaced: str) -> str:
    text = default_text()
    for old, new in replaced.items():
        assert old.replace("__", " = ") in text
        text = text.replace(old.replace("__", " = "), new)
    return text


CHANGES = {
    "more for FREE": default_text().replace("daily_credits = 5\n", "daily_credits = 8\n"),
    "less for ENTERPRISE": changed(daily_credits__50="daily_credits = 30"),
    "the prices change places": default_text()
    .replace(PRO, "price_x")
    .replace(ENTERPRISE, PRO)
    .replace("price_x", ENTERPRISE),
    "a price is learnt": default_text().replace(f'"{PRO}"', f'"{PRO}", "price_of_no_tier"'),
    "a price is forgotten": default_text().replace(f'"{PRO}", ', ""),
    "trials grant nothing": changed(trial_grants__true="trial_grants = false"),
    "a tier goes": "[tiers.FREE]\ndaily_credits = 5\nprices = []\n",
}


Gets = Counter[tuple[str, int]]


async def looked_at(database: Database, content: str) -> Preview:
    present = await newest(database)
    assert present is not None
    return await preview(database, present, parse(content, "new.toml"))


async def entitled(database: Database) -> Gets:
    """(tier, free credits of the day's lot) of all accounts, of which none has spent any."""
    rows = await database.fetch(
        "SELECT tier, lots.free FROM accounts JOIN lots ON lots.id = day_lot_id"
    )
    return Counter((row["tier"], row["free"]) for row in rows)


def told(found: Moves) -> tuple[Gets, Gets]:
    before: Gets = Counter()
    after: Gets = Counter()
    for move in found.moves:
        before[move.before, move.credits_before] += move.accounts
        after[move.after, move.credits_after] += move.accounts
    return before, after


@pytest.mark.parametrize("name", list(CHANGES))
async def test_what_is_previewed_is_what_the_catalogue_then_does(
    customers: Api, book: Book, name: str
) -> None:
    """At once, and from the next day on; also if the running day was opened by another one."""
    await apply_tiers(book, CHANGES["more for FREE"], "first.toml", "tests")
    found = await looked_at(book.database, CHANGES[name])
    before, after = told(found.today)
    assert before == await entitled(book.database)
    await apply_tiers(book, CHANGES[name], "new.toml", "tests")
    assert after == await entitled(book.database)
    await customers.set_clock(NOW + timedelta(days=1))
    assert told(found.next_day)[1] == await entitled(book.database)


async def test_a_better_catalogue_takes_nothing_today(customers: Api, book: Book) -> None:
    """PRO, raised above ENTERPRISE, is the best of both from the next day on."""
    both = make_subscription_event(
        "evt_both", "created", NOW, price=PRO, subscription="sub_both", customer="cus_best"
    )
    await customers.deliver(both)
    raised = default_text().replace("daily_credits = 20", "daily_credits = 60")
    found = await looked_at(book.database, raised)
    assert (found.today.more, found.today.less) == (0, 0)
    assert (found.next_day.more, found.next_day.less) == (4, 0)
    await apply_tiers(book, raised, "new.toml", "tests")
    best = await customers.account("best")
    assert (best["tier"], best["available"]) == ("ENTERPRISE", 50)
    await customers.spend("best", 7, "key-1")
    lowered = raised.replace("daily_credits = 50", "daily_credits = 10")
    await apply_tiers(book, lowered, "new.toml", "tests")
    best = await customers.account("best")
    assert (best["tier"], best["available"]) == ("ENTERPRISE", 43)
    await customers.set_clock(NOW + timedelta(days=1))
    best = await customers.account("best")
    assert (best["tier"], best["available"]) == ("PRO", 60)


async def test_it_counts_who_gets_more_and_who_less(customers: Api, database: Database) -> None:
    more = await looked_at(database, CHANGES["more for FREE"])
    # Two without a subscription, unpaid, unknown and gone.
    assert (more.next_day.more, more.next_day.less) == (5, 0)
    assert (more.today.more, more.today.less) == (0, 0)
    less = await looked_at(database, CHANGES["less for ENTERPRISE"])
    assert (less.next_day.more, less.next_day.less) == (0, 1)
    (move,) = [move for move in less.next_day.moves if move.before == "ENTERPRISE"]
    assert (move.credits_before, move.credits_after, move.examples) == (50, 30, ("best",))


async def test_it_names_the_prices_that_become_known_or_unknown(
    customers: Api, database: Database
) -> None:
    (learnt,) = (await looked_at(database, CHANGES["a price is learnt"])).prices
    assert (learnt.price, learnt.known, learnt.subscriptions) == ("price_of_no_tier", True, 1)
    (forgotten,) = (await looked_at(database, CHANGES["a price is forgotten"])).prices
    assert (forgotten.price, forgotten.known, forgotten.subscriptions) == (PRO, False, 4)


@pytest.fixture
def data_dir(folder: Path, server: Server) -> Path:
    """A folder that names the test's database as a running `up` does."""
    urls = {"database_url": server.application_url, "database_owner_url": server.owner_url}
    (folder / "dev.json").write_text(json.dumps(urls))
    return folder


def written(folder: Path, content: str) -> Path:
    file = folder / "new.toml"
    file.write_text(content)
    return file


async def test_the_commands_show_the_change_and_apply_it_only_when_asked(
    customers: Api, database: Database, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(data_dir, CHANGES["more for FREE"])
    await commands.check_tiers(file, data_dir=data_dir)
    said = capsys.readouterr().out
    assert "daily_credits 5 → 8" in said
    assert "Today 0 accounts get more and 0 less" in said
    assert "next day 5 get more a day and 0 less." in said
    await commands.apply_tiers(file, dry_run=True, data_dir=data_dir)
    assert await database.fetchval("SELECT count(*) FROM catalogues") == 1
    await commands.apply_tiers(file, yes=True, data_dir=data_dir)
    assert await database.fetchval("SELECT count(*) FROM catalogues") == 2
    await commands.show_tiers(1, data_dir=data_dir)
    assert "daily_credits = 5" in capsys.readouterr().out
    await commands.list_tiers(data_dir=data_dir)
    assert "tallybook tiers" in capsys.readouterr().out


async def test_a_wrong_file_is_refused_by_file_key_and_remedy(data_dir: Path) -> None:
    with pytest.raises(CatalogueError) as refused:
        await commands.check_tiers(written(data_dir, "[tiers.FREE]\n"))
    assert "new.toml: tiers.FREE.daily_credits is missing; add daily_credits" in str(refused.value)
    (data_dir / "new.toml").write_bytes(b"\xff")
    with pytest.raises(CatalogueError, match="byte 0 is no UTF-8; save the file as UTF-8"):
        await commands.check_tiers(data_dir / "new.toml")


async def test_without_a_database_only_the_file_is_checked(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    await commands.check_tiers(written(folder, default_text()))
    assert "only the file was checked" in capsys.readouterr().out
