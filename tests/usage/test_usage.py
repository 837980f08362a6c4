"""Usage by day and tier: what the fold says is what the entries say."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from app.book import Book
from app.infrastructure.db import Database
from app.jobs.tick import tick
from app.usage import fold
from tests.acts import DAY, HOUR, Acts, subscribe
from tests.api_client import Api
from tests.conftest import NOW
from tests.invariants import differences

TODAY = NOW.date()
FLOWS = {
    **dict.fromkeys(("granted", "purchased", "returned", "reversed", "adjusted", "transferred"), 1),
    **dict.fromkeys(("refunded", "spent", "expired"), -1),
}


async def told(api: Api, **filters: str) -> dict[tuple[str, str], dict[str, int]]:
    """The days by (date, tier)."""
    answer = await api.get("/api/v1/usage", **filters)
    assert answer.status_code == 200, answer.text
    return {
        (row["day_on"], row["tier"]): {name: n for name, n in row.items() if n and name in FLOWS}
        for row in answer.json()["data"]
    }


def on(days: int) -> str:
    return str(TODAY + timedelta(days=days))


async def people(api: Api) -> tuple[Acts, Acts]:
    """One on FREE, one on PRO from the next day on."""
    free, pro = Acts(api, "free"), Acts(api, "pro")
    for one in (free, pro):
        await api.put(f"/api/v1/accounts/{one.account_id}", {})
    await subscribe(pro, "PRO")
    return free, pro


async def test_each_day_and_tier_has_what_was_granted_spent_and_expired(
    api: Api, database: Database
) -> None:
    free, pro = await people(api)
    await free.spend(2)
    await api.set_clock(NOW + DAY)
    await pro.spend(7)
    await free.grant(3)
    expected = {
        (on(0), "FREE"): {"granted": 5 + 20, "spent": 2, "expired": 3 + 20},
        (on(1), "FREE"): {"granted": 5 + 3},
        (on(1), "PRO"): {"granted": 20, "spent": 7},
    }
    assert await told(api) == expected
    assert await differences(database) == []


async def test_the_same_is_told_before_and_after_the_fold_and_after_a_rebuild(
    api: Api, book: Book
) -> None:
    free, pro = await people(api)
    await api.set_clock(NOW + DAY, tick=False)
    await free.spend(2)
    await pro.hold(5)
    await pro.capture(await pro.held(4), 3)
    before = await told(api)
    await tick(book)
    assert await book.database.fetchval("SELECT entry_id FROM usage_fold") > 0
    assert await told(api) == before
    await fold.refold(book.database)
    assert await told(api) == before
    assert await differences(book.database) == []


async def test_an_entry_that_comes_late_counts_on_the_day_it_belongs_to(
    api: Api, book: Book
) -> None:
    (free, _) = await people(api)
    await free.grant(4, ends=NOW + DAY + HOUR)
    await api.set_clock(NOW + 3 * DAY, tick=False)  # an outage of three days
    await free.spend(1)
    await tick(book)
    days = await told(api, tier="FREE")
    assert days[on(0), "FREE"]["expired"] == 5 + 20
    assert days[on(1), "FREE"] == {"expired": 4}
    assert on(2) not in {day for day, _ in days}
    assert days[on(3), "FREE"] == {"granted": 5, "spent": 1}


async def test_folds_at_once_count_nothing_twice(api: Api, book: Book) -> None:
    (free, _) = await people(api)
    for _ in range(5):
        await free.spend(1)
    before = await told(api)
    folding = (fold.fold(book.database, book.catalogues, 30) for _ in range(4))
    await asyncio.gather(*folding)
    assert await told(api) == before
    assert await differences(book.database) == []


async def test_the_list_is_filtered_and_paged(api: Api) -> None:
    await people(api)
    for days in range(1, 4):
        await api.set_clock(NOW + days * DAY)
    whole = await told(api)
    assert await told(api, tier="PRO") == {
        key: row for key, row in whole.items() if key[1] == "PRO"
    }
    between = {"from": on(1), "to": on(3)}
    assert {day for day, _ in await told(api, **between)} == {on(1), on(2)}
    paged, cursor = [], None
    while True:
        more = {} if cursor is None else {"cursor": cursor}
        answer = (await api.get("/api/v1/usage", limit=2, **more)).json()
        paged += [(row["day_on"], row["tier"]) for row in answer["data"]]
        if (cursor := answer["next_cursor"]) is None:
            break
    assert paged == sorted(whole)
    wrong = await api.get("/api/v1/usage", cursor="AAAA")
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid_cursor")


async def rows(api: Api, by: str, **filters: str) -> list[dict[str, object]]:
    """The rows of a report, page by page of two, without what is null or nothing."""
    found, cursor = [], None
    while True:
        more = {} if cursor is None else {"cursor": cursor}
        answer = await api.get("/api/v1/usage", scope="service", by=by, limit=2, **filters, **more)
        assert answer.status_code == 200, answer.text
        found += [{name: n for name, n in row.items() if n} for row in answer.json()["data"]]
        if (cursor := answer.json()["next_cursor"]) is None:
            return found


async def a_busy_day(api: Api) -> tuple[Acts, Acts]:
    """Labelled spends, a hold, returns and reversals of two accounts over two days."""
    free, pro = await people(api)
    await api.set_clock(NOW + DAY)
    chat = {"label": "chat", "member": "ann"}
    spend = await pro.journal(await pro.spend(6, **chat))
    await pro.done(await pro.give_back(2, spend_id=spend))
    hold = await pro.held(5, label="image", member="ben")
    await pro.done(await pro.capture(hold, 4))
    wrong = await pro.journal(await pro.spend(3, label="image", member="ann"))
    await pro.done(await pro.reverse(wrong))
    await pro.done(await pro.spend(1))
    await pro.done(await pro.adjust(-1))
    await free.done(await free.spend(2, label="chat"))
    gift = await free.journal(await free.grant(9))
    await free.done(await free.reverse(gift))
    await api.set_clock(NOW + DAY + HOUR)
    return free, pro


async def test_use_is_told_by_label_and_by_member(api: Api, book: Book) -> None:
    await a_busy_day(api)
    for _ in ("above the fold", "folded"):
        assert await rows(api, "label") == [
            {"spent": 1},
            {"label": "chat", "spent": 8, "returned": 2},
            {"label": "image", "spent": 7, "reversed": 3},
        ]
        assert await rows(api, "label,member", label="image") == [
            {"label": "image", "member": "ann", "spent": 3, "reversed": 3},
            {"label": "image", "member": "ben", "spent": 4},
        ]
        assert await rows(api, "member", account_id="pro") == [
            {"spent": 1},
            {"member": "ann", "spent": 9, "returned": 2, "reversed": 3},
            {"member": "ben", "spent": 4},
        ]
        by_day = await rows(api, "day", label="chat", tier="PRO")
        assert by_day == [{"day_on": on(1), "spent": 6, "returned": 2}]
        by_account = await rows(api, "account,label", label="chat")
        assert by_account == [
            {"account_id": "free", "label": "chat", "spent": 2},
            {"account_id": "pro", "label": "chat", "spent": 6, "returned": 2},
        ]
        await tick(book)


async def test_days_and_accounts_close_to_the_balances(api: Api, book: Book) -> None:
    people = await a_busy_day(api)
    balances = {one.account_id: (await api.account(one.account_id))["balance"] for one in people}
    assert balances == {"free": 3, "pro": 10}

    def moved(row: dict[str, object]) -> int:
        return sum(sign * int(str(row.get(flow, 0))) for flow, sign in FLOWS.items())

    for by in ("account", "day,account", "account,tier"):
        told = await rows(api, by)
        for name, balance in balances.items():
            assert sum(moved(row) for row in told if row["account_id"] == name) == balance
    for by in ("day", "tier", "day,tier"):
        assert sum(moved(row) for row in await rows(api, by)) == sum(balances.values())
    assert sum(moved(row) for row in await rows(api, "day", account_id="pro")) == 10
    await tick(book)
    assert await differences(book.database) == []


async def test_what_an_account_brought_where_it_was_joined_is_told_with_it(api: Api) -> None:
    free, _ = await a_busy_day(api)
    body = {"into": "pro", "reason": "one person"}
    path = "accounts/free/merge"
    await free.done(await free.post(path, body, scope="operator"))
    assert {row["account_id"] for row in await rows(api, "account,day")} == {"pro"}
    (whole,) = await rows(api, "account", account_id="free")
    assert whole["account_id"] == "pro"
    told = await rows(api, "account,label", label="chat")
    assert told == [{"account_id": "pro", "label": "chat", "spent": 8, "returned": 2}]


@pytest.mark.parametrize("by", ["", "day,", "hour", "day;tier", "day,day,day,day,day,day"])
async def test_a_report_by_something_else_is_refused(api: Api, by: str) -> None:
    answer = await api.get("/api/v1/usage", by=by)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
