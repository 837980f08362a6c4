"""What a customer sees of an account, in each state that it can be in, and what not."""

from __future__ import annotations

import re
from datetime import timedelta

from app.infrastructure.db import Database
from tests.acts import Acts
from tests.api_client import Api
from tests.conftest import NOW
from tests.pages.conftest import Pages, words
from tests.stripe_events import make_subscription_event


async def test_a_customer_sees_what_is_there_what_comes_and_what_ends(
    pages: Pages, acts: Acts
) -> None:
    await acts.grant(1_500, ends=NOW + timedelta(days=3))
    await acts.held(4)
    told = await pages.words(await pages.path())
    assert "PRO 20 credits a day" in told
    assert "Available now 1,516 and 4 held for work under way" in told
    assert "Comes next 20 credits in 12 h 2 Jan 2026, 00:00 UTC" in told
    assert "Ends next 16 credits in 12 h 2 Jan 2026, 00:00 UTC" in told
    assert "Credits of the day 16 4 2 Jan 2026, 00:00 UTC" in told
    assert "Promotional 1,500 0 4 Jan 2026, 12:00 UTC" in told
    assert "January 2026 so far" in told


async def test_times_are_the_account_s_with_utc_beside(pages: Pages, api: Api) -> None:
    await api.put("/api/v1/accounts/user-1", {"time_zone": "Asia/Tokyo"})
    told = await pages.words(await pages.path())
    assert "2 Jan 2026, 00:00 1 Jan, 15:00 UTC" in told
    assert "Times in Asia/Tokyo, UTC beside" in told


async def test_use_is_plotted_by_day_and_label_less_what_came_back(
    pages: Pages, acts: Acts
) -> None:
    drawn = await acts.journal(await acts.spend(6, label="draw"))
    await acts.spend(3, label="read/large")
    await acts.spend(1)
    await acts.give_back(2, spend_id=drawn)
    html = (await pages.get(await pages.path())).text
    assert "<title>1 Jan 2026: 8 credits; draw 4; read/large 3; Without a label 1</title>" in html
    told = words(html)
    assert "8 credits in 30 days, 8 at most on one day." in told
    assert "draw 4" in told


async def test_labels_beyond_the_colours_are_one(pages: Pages, acts: Acts) -> None:
    for index in range(9):
        await acts.spend(2 if index < 6 else 1, label=f"label-{index}")
    told = await pages.words(await pages.path())
    assert "Other labels 3" in told
    assert "label-5 2" in told
    assert "label-6" not in told


async def test_use_of_long_ago_is_not_plotted(pages: Pages, acts: Acts) -> None:
    await acts.spend(6, label="draw")
    await acts.api.set_clock(NOW + timedelta(days=29))
    assert "6 credits in 30 days" in await pages.words(await pages.path())
    await acts.api.set_clock(NOW + timedelta(days=30))
    assert "Nothing used in the last 30 days" in await pages.words(await pages.path())


async def test_a_customer_sees_nothing_internal(
    pages: Pages, acts: Acts, database: Database
) -> None:
    await acts.grant(50, reason="an operator's secret reason")
    await acts.adjust(-3)
    await acts.spend(2, reason="the application's own words", label="draw", member="ann@corp")
    path = await pages.path()
    answers = [
        (await pages.get(path)).text,
        (await pages.get(f"{path}/statement?month=2026-01")).text,
        (await pages.get(f"{path}/statement.csv?month=2026-01")).text,
    ]
    actors = {row["actor"] for row in await database.fetch("SELECT actor FROM journals")}
    hidden = {
        *actors,
        "secret",
        "own words",
        "put right",
        "ann@corp",
        "evt_",
        "jrn_",
        "lot_",
        "sub_",
    }
    assert [(text, one) for text in answers for one in hidden if one in text] == []
    assert "draw" in answers[0]


async def test_a_suspended_account_says_so(pages: Pages, acts: Acts) -> None:
    path = await pages.path()
    await acts.post("accounts/user-1/suspend", {"reason": "x"}, scope="operator")
    told = await pages.words(path)
    assert "suspended: nothing can be used until it is resumed" in told
    assert "Available now 0" in told
    assert "Comes next" not in told


async def test_a_closed_account_keeps_its_page_and_statements(pages: Pages, acts: Acts) -> None:
    await acts.grant(30)
    path = await pages.path()
    await acts.post("accounts/user-1/close", {"reason": "x"}, scope="operator")
    told = await pages.words(path)
    assert "This account is closed: no new credits come." in told
    assert "Comes next" not in told
    available = (await pages.api.account("user-1"))["available"]
    assert f"Available now {available}" in told
    assert "January 2026" in await pages.words(f"{path}/statement?month=2026-01")


async def test_an_account_in_debt_says_what_is_owed(pages: Pages, acts: Acts) -> None:
    hold = await acts.held(5)
    await acts.done(await acts.capture(hold, 32, over="debt"))
    told = await pages.words(await pages.path())
    assert "Owed 12 credits The next credits repay it first." in told
    assert "Available now 0" in told


async def test_a_failed_payment_and_an_end_are_told(pages: Pages, acts: Acts) -> None:
    path = await pages.path()
    ending = make_subscription_event(
        "evt_end",
        "updated",
        NOW + timedelta(seconds=5),
        subscription="sub_user-1",
        customer="cus_user-1",
        price="price_pro_monthly",
        cancel_at_period_end=True,
    )
    assert await acts.api.deliver(ending) == "applied"
    assert re.search(
        r"Your subscription ends on \d+ \w{3} 2026 and is not", await pages.words(path)
    )
    failed = make_subscription_event(
        "evt_failed",
        "updated",
        NOW + timedelta(seconds=9),
        subscription="sub_user-1",
        customer="cus_user-1",
        price="price_pro_monthly",
        status="past_due",
    )
    assert await acts.api.deliver(failed) == "applied"
    assert "The last payment failed." in await pages.words(path)


async def test_an_account_that_nobody_used_for_long_shows_what_a_spend_would_find(
    pages: Pages, acts: Acts, database: Database
) -> None:
    await acts.api.set_clock(NOW + timedelta(days=3), tick=False)
    told = await pages.words(await pages.path())
    assert "Available now 20" in told
    assert "Today's credits open with their first use." in told


async def test_an_account_of_many_lots_shows_the_first(pages: Pages, acts: Acts) -> None:
    for index in range(60):
        await acts.grant(2, ends=NOW + timedelta(days=10, minutes=index))
    told = await pages.words(await pages.path())
    assert told.count("Promotional 2 0") == 49
    assert "11 more lots with 22 free credits follow." in told


async def test_a_page_is_small(pages: Pages, acts: Acts) -> None:
    for index in range(9):
        await acts.spend(1, label=f"label-{index}")
    assert len((await pages.get(await pages.path())).content) < 40_000
