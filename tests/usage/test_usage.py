"""Usage by day and tier: what the fold says is what the entries say."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta

from app.book import Book
from app.infrastructure.db import Database
from app.jobs.tick import tick
from app.usage import fold
from tests.acts import DAY, HOUR, Acts, subscribe
from tests.api_client import Api
from tests.conftest import NOW
from tests.invariants import differences

TODAY = NOW.date()
ZERO = {"granted": 0, "spent": 0, "expired": 0, "purchased": 0}


async def told(api: Api, **filters: str) -> dict[tuple[str, str], dict[str, int]]:
    """The days by (date, tier)."""
    answer = await api.get("/api/v1/usage", **filters)
    assert answer.status_code == 200, answer.text
    return {
        (row.pop("day_on"), row.pop("tier")): {name: n for name, n in row.items() if n}
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


async def test_metrics_read_one_days_rows(api: Api, book: Book) -> None:
    await people(api)
    await tick(book)
    rows = [dict(row) for row in await fold.folded(book.database, TODAY)]
    assert rows == [{"day_on": TODAY, "tier": "FREE", **ZERO, "granted": 25, "expired": 0}]
    assert await fold.folded(book.database, date(2020, 1, 1)) == []
