"""The roll-forward closes to the credit, and each one's opening is the closing before it."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from app.allowance.catalogue import default_text
from app.book import Book
from tests.acts import Acts, cancel, subscribe
from tests.api_client import Api
from tests.as_owner import apply_tiers
from tests.audit.busy_ledger import ACCOUNTS, BusyLedger, asked, complete, read
from tests.conftest import NOW

PATH = "/api/v1/ledger/roll-forward"


async def rolled(api: Api, start: datetime, end: datetime, **query: object) -> dict[str, Any]:
    query |= {"from": start.isoformat(), "to": end.isoformat()}
    return await read(api, PATH, **query)


def closes(told: dict[str, Any]) -> bool:
    came = told["granted"] + told["purchased"] - told["spent"] - told["refunded"] - told["expired"]
    signed = told["adjusted"] + told["transferred"] + told["reversed"] + told.get("repaid", 0)
    came += told["returned"]
    return bool(told["opening"] + came + signed == told["closing"])


async def test_it_closes_over_any_range_and_goes_on_where_it_ended(busy: BusyLedger) -> None:
    instants = [NOW - timedelta(days=1), *busy.instants, busy.now]
    parts = [await rolled(busy.api, *pair) for pair in pairwise(instants)]
    assert all(closes(part) for part in parts)
    assert parts[0]["opening"] == 0
    assert all(after["opening"] == before["closing"] for before, after in pairwise(parts))
    whole = await rolled(busy.api, instants[0], instants[-1])
    assert closes(whole)
    for name in ("granted", "purchased", "spent", "refunded", "expired", "adjusted", "reversed"):
        assert whole[name] == sum(part[name] for part in parts), name
    assert min(part["spent"] for part in parts) >= 0 <= min(part["expired"] for part in parts)
    assert all(part["transferred"] == 0 for part in parts), "between accounts, and so nothing"
    # What it closes with is what the accounts have.
    names = {(await busy.api.account(name))["id"] for name in (*ACCOUNTS, "cus_1")}
    of_each = {name: await rolled(busy.api, NOW, busy.now, account_id=name) for name in names}
    for name, part in of_each.items():
        assert closes(part)
        assert part["closing"] == (await busy.api.account(name))["balance"]
    assert whole["closing"] == sum(part["closing"] for part in of_each.values())


async def test_each_kind_stands_in_its_own_place(api: Api) -> None:
    busy = BusyLedger(api, 0)
    await api.put("/api/v1/accounts/user-1", {})
    spent = (await api.spend("user-1", 2, "a")).json()
    await busy.post("accounts/user-1/grants", {"amount": 10, "reason": "a gift"})
    gift = busy.journals[-1]
    hold = (await busy.post("accounts/user-1/holds", {"amount": 4})).json()
    await busy.post(f"holds/{hold['id']}/capture", {"amount": 1})
    await busy.post("accounts/user-1/adjustments", {"amount": -1, "reason": "too much"})
    await busy.post("reversals", {"journal_id": spent["id"], "reason": "by mistake"})
    await busy.post("reversals", {"journal_id": gift, "reason": "not for them"})
    end = NOW + timedelta(hours=1)
    await api.set_clock(end)
    await complete(api, end)
    told = await rolled(api, NOW, end)
    assert (told["granted"], told["spent"], told["adjusted"]) == (15, 3, -1)
    assert (told["reversed"], told["expired"], told["closing"]) == (-8, 0, 3)
    after = await rolled(api, end, end)
    assert after["opening"] == after["closing"] == 3
    assert [after[name] for name in ("granted", "spent", "expired")] == [0, 0, 0]


async def test_a_range_up_to_now_is_whole_where_the_clock_stands(api: Api) -> None:
    complete_to = (await rolled(api, NOW, NOW))["complete_to"]
    assert datetime.fromisoformat(complete_to) == NOW - timedelta.resolution


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}, "beyond_horizon"),
        ({"from": "2026-01-01T00:00:00Z", "to": "2025-01-01T00:00:00Z"}, "range_reversed"),
    ],
)
async def test_a_range_that_cannot_be_told_is_refused(
    api: Api, query: dict[str, str], code: str
) -> None:
    answer = await asked(api, PATH, **query)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"from": "2026-01-01T00:00:00Z"},
        {"to": "2026-01-01T00:00:00Z"},
        {"from_": "2026-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"},
        {"from": "yesterday", "to": "2026-01-01T00:00:00Z"},
        {"from": "2026-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z", "state": "x"},
    ],
)
async def test_what_the_schema_does_not_say_is_no_request(api: Api, query: dict[str, str]) -> None:
    answer = await asked(api, PATH, **query)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


async def test_nobodys_roll_forward_is_unknown(api: Api) -> None:
    told = {"from": NOW.isoformat(), "to": NOW.isoformat(), "account_id": "nobody"}
    answer = await asked(api, PATH, **told)
    assert (answer.status_code, answer.json()["code"]) == (404, "account_unknown")


async def test_each_source_closes_and_all_of_them_are_the_whole(busy: BusyLedger) -> None:
    instants = [NOW - timedelta(days=1), *busy.instants, busy.now]
    for pair in pairwise(instants):
        whole = await rolled(busy.api, *pair, by="lot_source")
        parts = whole.pop("by_lot_source")
        names = ["daily", "carried", "promotional", "purchased", "debt"]
        assert [part.pop("lot_source") for part in parts] == names
        assert all(closes(part) for part in parts)
        for column in parts[0]:
            assert sum(part[column] for part in parts) == whole.get(column, 0), column
    assert (await rolled(busy.api, NOW, busy.now))["by_lot_source"] is None


async def test_each_tier_closes_and_all_of_them_are_the_whole(busy: BusyLedger) -> None:
    instants = [NOW - timedelta(days=1), *busy.instants, busy.now]
    seen: set[str] = set()
    for pair in pairwise(instants):
        whole = await rolled(busy.api, *pair, by="tier")
        parts = whole.pop("by_tier")
        seen |= {part.pop("tier") for part in parts}
        assert all(closes(part) for part in parts)
        for column in parts[0]:
            assert sum(part[column] for part in parts) == whole.get(column, 0), column
    assert {"FREE", "none", "debt"} <= seen
    assert (await rolled(busy.api, NOW, busy.now))["by_tier"] is None


async def test_a_tier_has_the_days_that_were_opened_under_it(api: Api, book: Book) -> None:
    """A day of PRO, from which 6 are carried; then one of FREE, whose account joins another."""
    await apply_tiers(book, default_text().replace("carry_over_max = 0\n", "carry_over_max = 6\n"))
    acts = Acts(api)
    await subscribe(acts, "PRO")  # the day was opened as FREE
    await api.set_clock(NOW + timedelta(days=1))
    await acts.done(await acts.spend(4))
    await acts.done(await acts.grant(10))
    await cancel(acts, 1)
    await api.set_clock(NOW + timedelta(days=2))
    hold = await acts.held(1)
    await acts.done(await acts.spend(8))  # 4 of the day, and 4 of the gift
    await api.put("/api/v1/accounts/user-2", {})
    body = {"into": "user-2", "reason": "one person"}
    assert (await acts.post("accounts/user-1/merge", body, scope="operator")).status_code == 200
    await acts.done(await acts.capture(hold, 9, over="debt"))  # 6 of the gift, and 2 are owed
    later = NOW + timedelta(days=2, hours=1)
    await api.set_clock(later)
    flows = ("granted", "spent", "expired", "transferred", "closing")
    for account_id in (None, "user-2"):
        told = await rolled(
            api, NOW - timedelta(days=1), later, by="tier", **of_account(account_id)
        )
        assert {one["tier"]: [one[name] for name in flows] for one in told["by_tier"]} == {
            "FREE": [30, 5, 19, -6, 0],
            "PRO": [20, 4, 22, 6, 0],
            "none": [10, 10, 0, 0, 0],
            "debt": [0, 2, 0, 0, -2],
        }


def of_account(account_id: str | None) -> dict[str, str]:
    return {} if account_id is None else {"account_id": account_id}


async def test_breakage_and_deferred_credits_stand_with_what_was_paid_for(api: Api) -> None:
    busy = BusyLedger(api, 0)
    await api.put("/api/v1/accounts/user-1", {})
    item = {"account_id": "user-1", "reason": "paid for elsewhere", "source": "purchased"}
    ends = (NOW + timedelta(days=1)).isoformat()
    bought = [
        {**item, "amount": 100, "idempotency_key": "kept"},
        {**item, "amount": 30, "idempotency_key": "lost", "expires_at": ends},
    ]
    sent = await api.client.post(
        "/api/v1/grants/batch", json={"grants": bought}, headers=api.headers("operator")
    )
    assert [one["status"] for one in sent.json()["results"]] == [201, 201]
    await api.spend("user-1", 12, "a")  # the day's 5, and 7 of those that end
    await api.set_clock(NOW + timedelta(days=1))
    hold = (await busy.post("accounts/user-1/holds", {"amount": 5})).json()
    await busy.post(f"holds/{hold['id']}/capture", {"amount": 109, "over": "debt"})
    await busy.post("accounts/user-1/grants", {"amount": 10, "reason": "a gift"})
    later = NOW + timedelta(days=1, hours=1)
    await api.set_clock(later)
    await complete(api, later)
    told = await rolled(api, NOW - timedelta(days=1), later, by="lot_source")
    by = {part["lot_source"]: part for part in told["by_lot_source"]}
    paid = by["purchased"]
    assert (paid["purchased"], paid["spent"], paid["expired"], paid["closing"]) == (130, 107, 23, 0)
    assert (by["daily"]["granted"], by["daily"]["spent"], by["daily"]["expired"]) == (10, 10, 0)
    assert (by["debt"]["spent"], by["debt"]["repaid"], by["debt"]["closing"]) == (4, 4, 0)
    gift = by["promotional"]
    assert (gift["granted"], gift["repaid"], gift["closing"]) == (10, -4, 6)


async def test_sums_as_large_as_amounts_may_be_are_told(api: Api) -> None:
    """PostgreSQL's numeric writes the trillion as 1E+12."""
    await api.put("/api/v1/accounts/user-1", {})
    await api.client.post(
        "/api/v1/accounts/user-1/adjustments",
        json={"amount": 10**12, "reason": "the largest there is"},
        headers=api.headers("operator", **{"Idempotency-Key": "k"}),
    )
    later = NOW + timedelta(hours=1)
    await api.set_clock(later)
    told = await rolled(api, NOW - timedelta(days=1), later, by="lot_source")
    assert (told["granted"], told["adjusted"], told["closing"]) == (5, 10**12, 10**12 + 5)
    assert closes(told)


async def test_a_date_alone_is_its_midnight_in_utc(api: Api) -> None:
    await api.put("/api/v1/accounts/user-1", {})
    await api.set_clock(NOW + timedelta(days=2))
    await api.spend("user-1", 2, "key-1")
    await api.set_clock(NOW + timedelta(days=3))
    by_date = await read(api, PATH, **{"from": "2026-01-01", "to": "2026-01-04"})
    assert by_date == await rolled(
        api, NOW.replace(hour=0), NOW.replace(hour=0) + timedelta(days=3)
    )
    assert (by_date["from"], by_date["spent"]) == ("2026-01-01T00:00:00.000000Z", 2)
    stood = await read(api, "/api/v1/accounts/user-1/balance", as_of="2026-01-03")
    assert (stood["as_of"], stood["balance"]) == ("2026-01-03T00:00:00.000000Z", 5)
