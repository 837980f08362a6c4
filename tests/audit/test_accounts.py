"""The list of accounts: as last posted, by every filter, page by page."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.audit.accounts import AccountQuery, accounts
from app.infrastructure.db import Database
from tests.acts import DAY, Acts, subscribe
from tests.conftest import NOW
from tests.stripe_events import make_subscription_event


async def ids(api, **filters: object) -> list[str]:
    """The accounts that the filters let through, read two at a time."""
    found, cursor = [], None
    while True:
        more = {} if cursor is None else {"cursor": cursor}
        answer = await api.get("/api/v1/accounts", scope="service", limit=2, **filters, **more)
        assert answer.status_code == 200, answer.text
        found += [one["id"] for one in answer.json()["data"]]
        if (cursor := answer.json()["next_cursor"]) is None:
            return found


@pytest.fixture
async def people(api) -> dict[str, Acts]:
    """Of each kind one: free, pro, empty, owing, closed, suspended, past_due, and one merged."""
    names = ("free", "pro", "empty", "owing", "closed", "suspended", "late", "merged")
    acts = {name: Acts(api, name) for name in names}
    for one in acts.values():
        await api.put(f"/api/v1/accounts/{one.account_id}", {})
    await subscribe(acts["pro"], "PRO")
    await subscribe(acts["late"], "PRO")
    for second, status in ((1, "active"), (2, "past_due")):
        event = make_subscription_event(
            f"evt_late_{second}",
            "updated",
            NOW + timedelta(seconds=second),
            price="price_pro_monthly",
            subscription="sub_late",
            customer="cus_late",
            previous={},
            status=status,
        )
        assert await api.deliver(event) == "applied"
    await acts["empty"].done(await acts["empty"].spend(5))
    hold = await acts["owing"].held(5)
    await acts["owing"].done(await acts["owing"].capture(hold, 9, over="debt"))
    why = {"reason": "of the test"}
    for name, act in (("closed", "close"), ("suspended", "suspend")):
        path = f"accounts/{name}/{act}"
        await acts[name].done(await acts[name].post(path, why, scope="operator"))
    into = {"into": "free", **why}
    path = "accounts/merged/merge"
    await acts["free"].done(await acts["free"].post(path, into, scope="operator"))
    return acts


async def test_each_filter_lets_through_what_it_says(people, api) -> None:
    everybody = ["free", "pro", "empty", "owing", "closed", "suspended", "late"]
    assert await ids(api) == everybody
    assert await ids(api, tier="PRO") == ["pro", "late"]
    assert await ids(api, state="active") == ["pro"]
    assert await ids(api, state="past_due") == ["late"]
    assert await ids(api, available_lt=1) == ["empty", "owing", "suspended"]
    assert await ids(api, available_gte=20) == ["pro", "late"]
    assert await ids(api, available_gte=1, available_lt=20, tier="FREE") == ["free", "closed"]
    assert await ids(api, debt_gt=3) == ["owing"]
    assert await ids(api, debt_gt=4) == []
    assert await ids(api, closed=True) == ["closed"]
    assert await ids(api, closed=False, suspended=False, tier="FREE") == ["free", "empty", "owing"]
    assert await ids(api, suspended=True) == ["suspended"]
    assert await ids(api, customer_id="cus_pro") == ["pro"]
    assert await ids(api, customer_id="cus_nobody") == []


async def test_a_page_that_looks_at_few_ends_and_goes_on(people, database: Database) -> None:
    query, cursor, found, pages = AccountQuery(available_gte=20), None, list[str](), 0
    while True:
        page = await accounts(database, query, cursor, 10, looked_max=3)
        found += [row["public_id"] for row in page.rows]
        pages += 1
        if (cursor := page.next_cursor) is None:
            break
    assert found == ["pro", "late"]
    assert pages == 3  # of eight accounts, three at a time
    # What an index finds is one page, however few were looked at.
    page = await accounts(database, AccountQuery(tier="PRO"), None, 10, looked_max=1)
    assert ([row["public_id"] for row in page.rows], page.next_cursor) == (["pro", "late"], None)


async def test_a_row_says_what_the_account_says(people, api) -> None:
    listed = {one["id"]: one for one in (await api.get("/api/v1/accounts")).json()["data"]}
    for name, one in listed.items():
        alone = await api.account(name)
        for member in one.keys() - {"opened_at"}:
            assert one[member] == alone[member], (name, member)


async def test_it_is_as_last_posted(people, api) -> None:
    await api.set_clock(NOW + DAY, tick=False)
    assert "empty" in await ids(api, available_lt=1)
    assert (await api.account("empty"))["available"] == 5
    await api.set_clock(NOW + DAY + timedelta(minutes=1))
    assert "empty" not in await ids(api, available_lt=1)


async def test_a_cursor_belongs_to_its_filters(people, api) -> None:
    page = (await api.get("/api/v1/accounts", limit=1)).json()
    wrong = await api.get("/api/v1/accounts", limit=1, tier="PRO", cursor=page["next_cursor"])
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid_cursor")
    assert (await api.get("/api/v1/accounts", state="sleeping")).status_code == 400
