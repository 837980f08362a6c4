"""Accounts that nobody uses: runs skip them, their next use opens their day."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.allowance.catalogue import CatalogueError, default_text, diff, parse
from app.jobs.tick import tick
from app.ledger.idempotency import request_key
from app.runs.dormancy import is_dormant, used_since
from app.spending import corrections
from app.spending.keyed import Order
from tests.as_owner import apply_tiers
from tests.conftest import NOW, open_database
from tests.invariants import differences
from tests.runs.test_daily_runs import open_accounts, openings
from tests.runs.test_runs import runs, start


def after(days: int) -> str:
    return f"dormant_after_days = {days}\n" + default_text()


@pytest.fixture
async def sleepy(api, book):
    """user-0 to user-2, of whom user-0 spends on January 3; dormant after three days."""
    await apply_tiers(book, after(3))
    await open_accounts(api, 3)
    await api.set_clock(NOW + timedelta(days=2))
    assert (await api.spend("user-0", 1, "key-0")).status_code == 201
    return api


async def test_a_run_skips_who_is_dormant_and_counts_them(sleepy, database) -> None:
    await sleepy.set_clock(NOW + timedelta(days=4))
    *_, before_last, last = await runs(sleepy)
    assert (before_last["on"], before_last["issued"]) == ("2026-01-04", 3)
    assert (last["on"], last["expected"], last["issued"]) == ("2026-01-05", 3, 1)
    assert last["skipped_reasons"]["dormant"] == 2
    # Each further day has its run and its count, user-0 joining them after three days.
    await sleepy.set_clock(NOW + timedelta(days=9))
    told = {one["on"]: one for one in await runs(sleepy)}
    assert told["2026-01-09"]["skipped_reasons"]["dormant"] == 3
    assert {one["state"] for one in told.values()} == {"done"}
    assert sum(one["not_opened"] for one in told.values()) == 0
    assert await differences(database) == []


async def test_a_dormant_accounts_day_opens_at_its_next_spend_and_a_read_shows_it(
    sleepy, database
) -> None:
    await sleepy.set_clock(NOW + timedelta(days=20))
    account = await sleepy.account("user-1")
    assert (account["available"], account["balance"]) == (5, 5)
    assert account["next_grant_at"] == "2026-01-22T00:00:00.000000Z"
    spent = await sleepy.spend("user-1", 5, "key-1")
    assert (spent.status_code, spent.json()["available"]) == (201, 0)
    assert (await sleepy.spend("user-1", 1, "key-2")).status_code == 402
    opened = await openings(database)
    assert opened["user-1", "2026-01-21"] == 1
    await sleepy.set_clock(NOW + timedelta(days=21))
    assert (await openings(database))["user-1", "2026-01-22"] == 1  # the run looks at it again
    assert (await sleepy.account("user-1"))["available"] == 5
    last = (await runs(sleepy))[-1]
    assert (last["issued"], last["skipped_reasons"]["dormant"], last["not_opened"]) == (1, 2, 0)
    assert await differences(database) == []


async def test_a_hold_and_a_capture_are_uses_too(sleepy, database) -> None:
    headers = sleepy.headers("service", **{"Idempotency-Key": "hold"})
    held = await sleepy.client.post(
        "/api/v1/accounts/user-1/holds",
        json={"amount": 2, "expires_in_s": 86_400},
        headers=headers,
    )
    await sleepy.set_clock(NOW + timedelta(days=2, hours=20))
    hold_id = held.json()["id"]
    captured = await sleepy.client.post(
        f"/api/v1/holds/{hold_id}/capture",
        json={"amount": 2},
        headers=sleepy.headers("service", **{"Idempotency-Key": "capture"}),
    )
    assert captured.status_code == 200
    used = "SELECT last_used_at FROM accounts WHERE external_id = 'user-1'"
    assert await database.fetchval(used) == NOW + timedelta(days=2, hours=20)
    grace = await sleepy.put("/api/v1/accounts/user-2", {"time_zone": "UTC"})
    assert grace.status_code == 200
    assert await database.fetchval(used.replace("user-1", "user-2")) is None


async def test_ticks_do_not_look_at_dormant_accounts_again(sleepy, database, book) -> None:
    await sleepy.set_clock(NOW + timedelta(days=9))
    due = "SELECT count(*) FROM accounts WHERE due_at <= tallybook_now()"
    assert await database.fetchval(due) == 0
    numbers = await database.fetchval("SELECT last_value FROM runs_id_seq")
    for _ in range(3):
        ticked = await tick(book)
        assert (ticked.done, ticked.run_ids) == (True, [])
    assert await database.fetchval("SELECT last_value FROM runs_id_seq") == numbers


async def test_what_else_falls_due_of_a_dormant_account_is_posted(sleepy, database, book) -> None:
    ends_at = NOW + timedelta(days=12)
    order = Order(actor="t", key=request_key("grant", "POST", "x", None), reason="a gift")
    await corrections.grant(book, "user-2", 9, order, expires_at=ends_at, priority=None)
    await sleepy.set_clock(NOW + timedelta(days=11))
    assert (await sleepy.account("user-2"))["available"] == 5 + 9
    await sleepy.set_clock(ends_at)
    assert (await sleepy.account("user-2"))["available"] == 5
    expired = await database.fetchval(
        "SELECT sum(amount) FROM entries WHERE kind = 'expiry' AND effective_at = $1", ends_at
    )
    assert expired == 9
    assert await differences(database) == []


async def test_a_catalogue_without_it_opens_everybodys_day_again(sleepy, database, book) -> None:
    await sleepy.set_clock(NOW + timedelta(days=9))
    await apply_tiers(book, default_text())
    await sleepy.set_clock(NOW + timedelta(days=10))
    last = (await runs(sleepy))[-1]
    assert (last["issued"], last["skipped_reasons"]["dormant"]) == (3, 0)


async def test_whom_nobody_could_wake_while_it_was_locked_the_next_run_wakes(
    sleepy, server, database, book
) -> None:
    await sleepy.set_clock(NOW + timedelta(days=9))
    async with open_database(server.application_url) as other, other.transaction():
        await other.execute("SELECT FROM accounts WHERE external_id = 'user-1' FOR UPDATE")
        await apply_tiers(book, default_text())
    await sleepy.set_clock(NOW + timedelta(days=10))
    last = (await runs(sleepy))[-1]
    assert (last["issued"], last["skipped_reasons"]["dormant"]) == (3, 0)


async def test_a_dry_run_counts_who_would_be_skipped(sleepy) -> None:
    await sleepy.set_clock(NOW + timedelta(days=4), tick=False)
    (planned,) = (await start(sleepy, dry_run=True)).json()["plan"]
    assert planned["dormant"] == 2
    assert [tier["accounts"] for tier in planned["tiers"]] == [1]
    await sleepy.set_clock(NOW + timedelta(days=5))
    await sleepy.set_clock(NOW + timedelta(days=7), tick=False)
    (planned,) = (await start(sleepy, dry_run=True)).json()["plan"]
    assert (planned["dormant"], planned["tiers"]) == (3, [])


def test_the_setting_is_read_strictly_and_shown_in_a_diff() -> None:
    off, on = parse(default_text(), "tiers.toml"), parse(after(90), "tiers.toml")
    assert (off.dormant_after_days, on.dormant_after_days) == (None, 90)
    assert diff(off, on) == ["dormant_after_days never → 90"]
    for wrong in (0, -1, 3_651, '"90"', "true", 1.5):
        with pytest.raises(CatalogueError, match="dormant_after_days is"):
            parse(f"dormant_after_days = {wrong}\n" + default_text(), "tiers.toml")


def test_an_account_is_dormant_that_many_days_after_its_last_use() -> None:
    since = used_since(NOW, 3)
    assert is_dormant(NOW - timedelta(days=3), NOW, since)
    assert not is_dormant(NOW - timedelta(days=2, hours=23), NOW, since)
    assert not is_dormant(None, NOW, since)  # opened just now
    assert is_dormant(None, NOW - timedelta(days=4), since)
    assert not is_dormant(None, NOW - timedelta(days=4), used_since(NOW, None))
