"""Acts from the console: shown first, done once, by the same rules as over HTTP."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest

from app.accounts.put import put
from app.book import Book
from app.infrastructure.db import Database
from tests.api_client import Api
from tests.conftest import NOW
from tests.console.conftest import Browser

HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')
ACCOUNT = "/console/accounts/user-1"


@pytest.fixture(autouse=True)
async def account(book: Book) -> None:
    await put(book, "user-1", "cus_1", None, "tests")


async def rows_of(database: Database) -> list[object]:
    """All that an act could have changed."""
    return [
        await database.fetch(f"SELECT * FROM {table} ORDER BY 1")
        for table in ("journals", "entries", "lots", "accounts", "operator_acts", "reversals")
    ]


async def confirm(browser: Browser, page: str, path: str) -> str:
    """Agree to what a dry run showed; the page that it leads to."""
    fields = {name: html.unescape(value) for name, value in HIDDEN.findall(page)}
    assert fields["step"] == "confirm", page
    answer = await browser.client.post(path, data=fields)
    assert answer.status_code == 303, answer.text
    return await browser.get(answer.headers["location"])


ON_ACCOUNTS = {
    "grant": {"amount": 7},
    "adjust": {"amount": -2},
    "suspend": {},
    "close": {},
    "rename": {"to": "user-9"},
    "merge": {"to": "user-2"},
}


@pytest.mark.parametrize("act", ON_ACCOUNTS)
async def test_an_act_is_rehearsed_and_changes_nothing_then_is_done_once(
    operator: Browser, book: Book, database: Database, act: str
) -> None:
    await put(book, "user-2", None, None, "tests")
    await operator.get(f"{ACCOUNT}/correct")
    path, before = f"{ACCOUNT}/acts/{act}", await rows_of(database)
    fields = {"reason": "by the test", "act_key": operator.act_key(), **ON_ACCOUNTS[act]}
    shown = await operator.send(path, **fields)
    assert shown.status_code == 200, shown.text
    assert "nothing was changed" in shown.text
    assert await rows_of(database) == before

    told = await confirm(operator, shown.text, path)
    assert 'class="flash good"' in told
    after = await rows_of(database)
    assert after != before
    (recorded,) = after[4]
    assert (recorded["act"], recorded["actor"]) == (
        {"adjust": "adjustment"}.get(act, act),
        operator_id(operator),
    )
    # A double click, or the page loaded again.
    again = {name: html.unescape(value) for name, value in HIDDEN.findall(shown.text)}
    if act not in ("rename", "merge"):
        await operator.client.post(path, data=again)
    else:  # the account has another name by now, under which its key still holds
        assert (await operator.client.post(path, data=again)).status_code == 303
    assert await rows_of(database) == after


def operator_id(browser: Browser) -> str:
    found = re.search(r'<span title="(\w+)">operator</span>', browser.page)
    assert found is not None, browser.page
    return found[1]


async def test_a_spend_is_returned_and_reversed_from_its_journal(
    operator: Browser, api: Api, database: Database
) -> None:
    spent = (await api.spend("user-1", 4, "k")).json()
    page = await operator.get(f"/console/ledger/journals/{spent['id']}")
    fields = {"reason": "half done", "spend_id": spent["id"], "amount": 1}
    path = f"{ACCOUNT}/acts/return"
    shown = await operator.send(path, act_key=operator.act_key(1), **fields)
    assert "1 → 2" in shown.text
    assert (await api.account("user-1"))["balance"] == 1
    await confirm(operator, shown.text, path)
    assert (await api.account("user-1"))["balance"] == 2

    page = await operator.get(f"/console/ledger/journals/{spent['id']}")
    assert "Take it back" in page
    fields = {"reason": "all wrong", "journal_id": spent["id"], "shortfall": "write_off"}
    shown = await operator.send("/console/reversals", act_key=operator.act_key(), **fields)
    assert (await api.account("user-1"))["balance"] == 2
    told = await confirm(operator, shown.text, "/console/reversals")
    assert "3 credits reversed" in told
    assert (await api.account("user-1"))["balance"] == 5
    # Asked for again under another key it tells the first's end.
    await operator.get(f"/console/ledger/journals/{spent['id']}")
    again = await operator.send("/console/reversals", act_key="another", **fields)
    assert "It was reversed before" in await operator.get(again.headers["location"])
    assert await database.fetchval("SELECT count(*) FROM reversals") == 1


async def test_a_run_is_started_and_taken_back_with_a_dry_run_before_each(
    operator: Browser, api: Api, database: Database
) -> None:
    await api.set_clock(NOW + timedelta(days=1), tick=False)
    await operator.get("/console/runs")
    asked = {"reason": "no worker", "act_key": operator.act_key()}
    shown = await operator.send("/console/runs", **asked)
    assert "FREE" in shown.text
    assert await database.fetchval("SELECT count(*) FROM runs") == 0
    told = await confirm(operator, shown.text, "/console/runs")
    assert "1 run worked on." in told
    (run_id,) = set(re.findall(r"/console/runs/(run_\w+)", told))

    await operator.get(f"/console/runs/{run_id}")
    asked = {"reason": "wrong prices", "run_id": run_id, "act_key": operator.act_key()}
    shown = await operator.send("/console/reversals", **asked)
    assert "5 credits would be reversed" in shown.text
    assert await database.fetchval("SELECT count(*) FROM reversals") == 0
    told = await confirm(operator, shown.text, "/console/reversals")
    assert "5 credits reversed" in told
    assert (await api.account("user-1"))["balance"] == 0
    assert "taken back" in await operator.get(f"/console/runs/{run_id}")
    asked = {"reason": "right prices", "act_key": operator.act_key()}
    await operator.act(f"/console/runs/{run_id}/again", **asked)
    assert (await api.account("user-1"))["balance"] == 5


async def test_a_refused_act_says_why_and_what_to_do(operator: Browser, database: Database) -> None:
    await operator.get(f"{ACCOUNT}/correct")
    before = await rows_of(database)
    path, key = f"{ACCOUNT}/acts/adjust", operator.act_key()
    broke = await operator.send(path, reason="x", amount=-99, act_key=key)
    assert broke.status_code == 402
    assert "Take fewer, or give the account credits first." in broke.text
    missing = await operator.send(path, amount=1, act_key=key)
    assert missing.status_code == 400
    assert "reason" in missing.text
    assert await rows_of(database) == before


async def test_a_parked_event_is_replayed(
    operator: Browser, api: Api, database: Database, subscription_event: object
) -> None:
    event = subscription_event("evt_1", "created", NOW, price="price_nobody_knows")  # type: ignore[operator]
    assert await api.deliver(event) == "parked"
    page = await operator.get("/console/inbox", verdict="parked")
    assert event["id"] in page
    await operator.get(f"/console/inbox/{event['id']}")
    asked = {"reason": "the price is known now", "act_key": operator.act_key()}
    told = await operator.act(f"/console/inbox/{event['id']}/replay", **asked)
    assert "The replay came to parked" in told
    assert await database.fetchval("SELECT count(*) FROM operator_acts") == 1
