"""What the pages show, of a book in which something happened."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import timedelta
from html import unescape

import pytest

from app.accounts.put import put
from app.book import Book
from app.console import accounts, ledger
from app.infrastructure.db import Database
from tests.api_client import Api
from tests.conftest import NOW
from tests.console.conftest import Browser
from tests.stripe_events import make_subscription_event

LATER = NOW + timedelta(hours=1)
HOSTILE = "\"><script>alert(1)</script>'&lt;"


async def test_an_account_is_found_by_every_id_of_it(
    auditor: Browser, api: Api, book: Book
) -> None:
    await put(book, "user-1", "cus_1", None, "tests")
    event = make_subscription_event("evt_1", "created", NOW)
    assert await api.deliver(event) == "applied"
    for wanted in ("user-1", "cus_1", "sub_1"):
        answer = await auditor.client.get("/console/accounts", params={"q": wanted})
        assert answer.headers["location"] == "/console/accounts/user-1", wanted
    answer = await auditor.client.get("/console/accounts", params={"q": "evt_1"})
    assert answer.headers["location"] == "/console/inbox/evt_1"
    nearly = await auditor.get("/console/accounts", q="use")
    assert "These begin so: <a" in nearly
    assert 'href="/console/accounts/user-1">user-1</a>.' in nearly
    answer = await auditor.get("/console/accounts", q="user-x")
    assert "Nothing has the id user-x. Ids are compared letter by letter" in answer
    page = await auditor.get("/console/accounts", tier="PRO", closed="false", cursor="")
    assert "user-1" in page
    assert "No account passes" in await auditor.get("/console/accounts", tier="FREE")


async def test_a_page_that_looked_at_a_part_says_so_and_goes_on(
    auditor: Browser, api: Api, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("user-1", "user-2", "user-3"):
        await put(book, name, None, None, "tests")
    (await api.spend("user-1", 3, "k")).raise_for_status()
    await api.set_clock(LATER)
    monkeypatch.setattr(accounts, "LOOKED_MAX", 2)
    monkeypatch.setattr(ledger, "LOOKED_MAX", 2)
    for path, filters in (
        ("/console/accounts", {"available_gte": "6"}),
        ("/console/ledger", {"kind": "reversal"}),
    ):
        page = await auditor.get(path, **filters)
        assert "None of the first 2 that this page looked at" in page
        pages = 1
        while found := re.search(r'rel="next" href="([^"]+)"', page):
            page = await auditor.get(unescape(found[1]))
            pages += 1
        assert pages >= 2
        assert "passes these filters" in page
    # What has an index is told whole.
    assert "user-3" in await auditor.get("/console/accounts", tier="FREE")


async def test_where_did_my_credits_go_is_two_clicks_from_the_account(
    auditor: Browser, api: Api, book: Book
) -> None:
    await put(book, "user-1", "cus_1", None, "tests")
    spent = (await api.spend("user-1", 3, "k")).json()
    await api.set_clock(LATER)  # an instant is complete when it is over
    page = await auditor.get("/console/accounts/user-1")
    assert 'href="/console/accounts/user-1/why?on=2026-01-01"' in page
    page = await auditor.get("/console/accounts/user-1/why", on="2026-01-01")
    assert "3 credits were spent" in page
    page = await auditor.get("/console/accounts/user-1/why", month="2026-01")
    assert "5 credits came as grants." in page
    page = await auditor.get(f"/console/ledger/journals/{spent['id']}")
    assert "3 spent" in page


async def test_the_line_of_a_life_tells_all_in_pages_without_a_gap(
    auditor: Browser,
    api: Api,
    book: Book,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await put(book, "user-1", "cus_1", None, "tests")
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    for number in range(12):
        assert (await api.spend("user-1", 1, f"k-{number}")).status_code == 201
    monkeypatch.setattr("app.console.timeline.ENTRIES_MAX", 5)
    seen: list[str] = []
    path: str | None = "/console/accounts/user-1"
    pages = 0
    while path is not None:
        page = await auditor.get(path)
        pages += 1
        seen += [part.split("</strong>")[0] for part in page.split("<p><strong>")[1:]]
        following = page.split('rel="next" href="')
        path = following[1].split('"')[0].replace("&amp;", "&") if following[1:] else None
    assert pages > 2
    assert seen.count("Spent") == 12
    assert seen.count("Day opened") == 1
    assert seen.count("Allowance went up") == 1
    steps = await database.fetchval("SELECT count(*) FROM transitions")
    assert seen.count("Subscription") == steps > 0


async def test_nothing_that_others_wrote_becomes_part_of_a_page(
    auditor: Browser, api: Api, book: Book
) -> None:
    await put(book, "user-1", "cus_1", None, "tests")
    spent = await api.client.post(
        "/api/v1/accounts/user-1/spends",
        json={"amount": 1, "reason": HOSTILE, "metadata": {HOSTILE[:40]: HOSTILE}},
        headers=api.headers("service", **{"Idempotency-Key": HOSTILE}),
    )
    assert spent.status_code == 201, spent.text
    event = make_subscription_event("evt_1", "created", NOW, price="price_x")
    event["data"]["object"]["metadata"] = {"note": HOSTILE}
    await api.deliver(event)
    for path in (
        "/console/accounts/user-1",
        "/console/accounts/user-1/explain",
        "/console/accounts/user-1/why",
        f"/console/ledger/journals/{spent.json()['id']}",
        "/console/ledger",
        "/console/inbox/evt_1",
        "/console/inbox",
    ):
        page = await auditor.get(path)
        assert "<script" not in page, path
    for query in ("/console/accounts", "/console/sign-in"):
        answer = await auditor.client.get(query, params={"q": HOSTILE, "next": HOSTILE})
        assert "<script" not in answer.text
    answer = await auditor.client.get("/console/accounts", params={"q": HOSTILE})
    assert "&lt;script&gt;" in answer.text


async def test_a_payload_is_shown_without_what_tells_of_a_person_until_it_is_asked_for(
    auditor: Browser, api: Api
) -> None:
    event = make_subscription_event("evt_1", "created", NOW)
    event["data"]["object"]["customer_email"] = "fay@example.org"
    await api.deliver(event)
    page = await auditor.get("/console/inbox/evt_1")
    before, _, after = page.partition("With what tells of a person")
    assert "fay@example.org" not in before
    assert "(folded: tells of a person)" in before
    assert "fay@example.org" in after


async def test_an_export_of_a_month_ends_in_its_count_and_checksum(
    auditor: Browser, api: Api, book: Book
) -> None:
    await put(book, "user-1", "cus_1", None, "tests")
    await api.spend("user-1", 3, "k")
    await api.set_clock(LATER)
    page = await auditor.get("/console/ledger/export")
    assert "/console/ledger/export/file?month=2026-01&amp;format=csv" in page
    answer = await auditor.client.get(
        "/console/ledger/export/file", params={"month": "2026-01", "format": "ndjson"}
    )
    assert answer.headers["content-disposition"] == 'attachment; filename="entries-2026-01.ndjson"'
    *lines, last = answer.content.splitlines(keepends=True)
    ending = json.loads(last)
    assert (ending["count"], ending["sha256"]) == (
        len(lines),
        hashlib.sha256(b"".join(lines)).hexdigest(),
    )
    assert len(lines) == 2
    future = await auditor.client.get("/console/ledger/export/file", params={"month": "2026-02"})
    assert future.status_code == 422


async def test_reports_close(auditor: Browser, api: Api, book: Book) -> None:
    await put(book, "user-1", "cus_1", None, "tests")
    await api.spend("user-1", 3, "k")
    await api.set_clock(LATER)
    page = await auditor.get("/console/ledger/roll-forward", month="2026-01")
    assert '<th scope="row">Spent</th><td class="n"><strong>3</strong>' in page
    assert '<caption class="hidden">Roll-forward: by the tier of days</caption>' in page
    page = await auditor.get("/console/ledger/trial-balance", as_of="now")
    assert '<tfoot><tr><th scope="row">Total</th><td class="n">8</td><td class="n">8</td>' in page


async def test_a_draft_of_the_catalogue_is_compared_and_not_applied(
    auditor: Browser, book: Book, database: Database
) -> None:
    await put(book, "user-1", None, None, "tests")
    await auditor.get("/console/catalogue")
    text = await database.fetchval("SELECT content FROM catalogues")
    draft = text.replace("daily_credits = 5\n", "daily_credits = 6\n")
    assert draft != text
    shown = await auditor.send("/console/catalogue/preview", text=draft)
    assert shown.status_code == 200
    assert "1 account get more" in shown.text or "1 accounts get more" in shown.text
    wrong = await auditor.send("/console/catalogue/preview", text="[tiers.PRO]")
    assert wrong.status_code == 400
    assert "daily_credits" in wrong.text
    assert await database.fetchval("SELECT count(*) FROM catalogues") == 1
    assert "It was the first." in await auditor.get("/console/catalogue/1")


async def test_a_verification_runs_once_at_a_time_and_keeps_what_it_found(
    auditor: Browser, api: Api, book: Book, database: Database
) -> None:
    await put(book, "user-1", None, None, "tests")
    verifier = api.client._transport.app.state.verifier  # type: ignore[attr-defined]
    await auditor.get("/console/verify")
    first = await auditor.act("/console/verify")
    assert "It has begun." in first
    await verifier.wait()
    page = await auditor.get("/console/verify")
    assert "Every check holds" in page
    assert await database.fetchval("SELECT difference_count FROM verifications") == 0

    await database.execute(
        """INSERT INTO asked_verifications (asked_by, started_at, beat_at, check_count)
           VALUES ('elsewhere', clock_timestamp(), clock_timestamp(), 10)"""
    )
    await auditor.get("/console/verify")
    answer = await auditor.send("/console/verify")
    assert answer.status_code == 303
    page = await auditor.get("/console/verify")
    assert "One is under way already." in page
    assert 'http-equiv="refresh"' in page
    await database.execute(
        "UPDATE asked_verifications SET beat_at = beat_at - interval '31 seconds'"
        " WHERE finished_at IS NULL"
    )
    assert "Its server died." in await auditor.get("/console/verify")


async def test_days_of_the_last_month_are_plotted_and_told_in_a_table(
    auditor: Browser, api: Api, book: Book
) -> None:
    await put(book, "user-1", "cus_1", None, "tests")
    await api.spend("user-1", 3, "k")
    await api.set_clock(NOW + timedelta(days=1))
    page = await auditor.get("/console")
    assert "Credits spent, by tier" in page
    assert "3 credits in 30 days, 3 at most on one day." in page
    assert "of 1 expected of the runs" in page
