"""The life cycle as auditors list it: subscriptions, transitions, the inbox, the runs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.api_client import Api
from tests.conftest import NOW
from tests.stripe_events import make_subscription_event

Rows = list[dict[str, Any]]


async def listed(api: Api, path: str, **query: object) -> Rows:
    """Every page of a list."""
    found: Rows = []
    while True:
        answer = await api.get(f"/api/v1/{path}", **query)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert set(page) == {"data", "next_cursor"}
        found += page["data"]
        if page["next_cursor"] is None:
            return found
        query["cursor"] = page["next_cursor"]


async def refused(api: Api, path: str, **query: object) -> tuple[int, str]:
    answer = await api.get(f"/api/v1/{path}", **query)
    return answer.status_code, answer.json()["code"]


@pytest.fixture
async def book(api: Api) -> Api:
    """Three customers: one past due, one canceled; a stray event, a copy; two days."""
    for number in (1, 2, 3):
        names = {"subscription": f"sub_{number}", "customer": f"cus_{number}"}
        event = make_subscription_event(f"evt_{number}", "created", NOW, **names)
        assert await api.deliver(event) == "applied"
    await api.set_clock(NOW + timedelta(minutes=1))
    later = {"subscription": "sub_1", "customer": "cus_1", "status": "past_due"}
    event = make_subscription_event("evt_4", "updated", NOW + timedelta(minutes=1), **later)
    assert await api.deliver(event) == "applied"
    assert await api.deliver(event) == "duplicate"
    gone = {"subscription": "sub_2", "customer": "cus_2", "status": "canceled"}
    await api.deliver(make_subscription_event("evt_5", "deleted", NOW, **gone))
    stray = make_subscription_event("evt_6", "created", NOW) | {"type": "charge.updated"}
    assert await api.deliver(stray) == "ignored"
    await api.set_clock(NOW + timedelta(days=2))
    return api


async def test_subscriptions_are_listed_by_account_and_by_state(book: Api) -> None:
    rows = await listed(book, "subscriptions")
    assert [row["id"] for row in rows] == ["sub_1", "sub_2", "sub_3"]
    assert [row["state"] for row in rows] == ["past_due", "canceled", "active"]
    assert [row["account_id"] for row in rows] == ["cus_1", "cus_2", "cus_3"]
    for limit in (1, 2, 3):
        assert await listed(book, "subscriptions", limit=limit) == rows
    assert await listed(book, "subscriptions", state="active") == rows[2:]
    assert await listed(book, "subscriptions", account_id="cus_2") == rows[1:2]
    assert await listed(book, "subscriptions", account_id="nobody") == []
    assert (await book.get("/api/v1/subscriptions/sub_1")).json() == rows[0]
    assert rows[0]["last_event_id"] == "evt_4"


async def test_a_subscription_tells_which_triggers_would_move_it(book: Api) -> None:
    past_due, canceled, active = await listed(book, "subscriptions")
    assert past_due["possible_triggers"] == ["begin", "activate", "cancel", "payment_succeeded"]
    assert canceled["possible_triggers"] == []
    assert active["possible_triggers"] == ["begin", "fall_due", "cancel", "payment_failed"]
    account = (await book.get("/api/v1/accounts/cus_1")).json()
    assert account["subscriptions"][0]["possible_triggers"] == past_due["possible_triggers"]


async def test_transitions_name_their_events_in_order(book: Api) -> None:
    steps = await listed(book, "subscriptions/sub_1/transitions")
    assert [(step["from_state"], step["to_state"]) for step in steps][-1] == ("active", "past_due")
    assert [step["event_id"] for step in steps] == ["evt_1", "evt_4"]
    assert steps[-1]["effective_at"] == "2026-01-01T12:01:00.000000Z"
    assert await listed(book, "subscriptions/sub_1/transitions", limit=1) == steps


async def test_the_inbox_is_listed_by_receipt_and_by_each_filter(book: Api) -> None:
    rows = await listed(book, "events")
    assert [row["id"] for row in rows] == [f"evt_{number}" for number in range(1, 7)]
    for limit in (1, 2, 5, 6):
        assert await listed(book, "events", limit=limit) == rows
        assert await listed(book, "events", limit=limit, order="desc") == rows[::-1]
    assert [row["id"] for row in await listed(book, "events", verdict="ignored")] == ["evt_6"]
    of_one = await listed(book, "events", subscription_id="sub_1", limit=1)
    assert [row["id"] for row in of_one] == ["evt_1", "evt_4"]
    deleted = await listed(book, "events", type="customer.subscription.deleted")
    assert [row["id"] for row in deleted] == ["evt_5"]
    assert await listed(book, "events", verdict="duplicate") == []


async def test_an_event_tells_what_stripe_sent_and_what_became_of_it(book: Api) -> None:
    told = (await book.get("/api/v1/events/evt_4")).json()
    assert (told["verdict"], told["delivery_count"], told["error"]) == ("applied", 2, None)
    assert told["payload"]["data"]["object"]["status"] == "past_due"
    assert (told["subscription_id"], told["stripe_customer_id"]) == ("sub_1", "cus_1")
    (same,) = [row for row in await listed(book, "events") if row["id"] == "evt_4"]
    assert {name: told[name] for name in same} == same


async def test_runs_tell_whom_they_opened(book: Api) -> None:
    rows = await listed(book, "runs")
    assert [row["on"] for row in rows] == ["2026-01-02", "2026-01-03"]
    assert [(row["state"], row["expected"], row["issued"]) for row in rows] == [("done", 3, 3)] * 2
    assert await listed(book, "runs", limit=1) == rows
    assert await listed(book, "runs", limit=1, order="desc") == rows[::-1]
    assert (await book.get(f"/api/v1/runs/{rows[0]['id']}")).json() == rows[0]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("subscriptions/sub_none", "subscription_unknown"),
        ("subscriptions/sub_none/transitions", "subscription_unknown"),
        ("events/evt_none", "event_unknown"),
        ("runs/run_00000000000zz", "run_unknown"),
        ("runs/run_zzzzzzzzzzzzz", "run_unknown"),
    ],
)
async def test_what_is_not_there_is_unknown(api: Api, path: str, code: str) -> None:
    assert await refused(api, path) == (404, code)


LISTS = ("subscriptions", "events", "runs", "subscriptions/sub_1/transitions")


async def test_a_cursor_belongs_to_its_list(book: Api) -> None:
    cursors = {}
    for path in LISTS:
        cursors[path] = (await book.get(f"/api/v1/{path}", limit=1)).json()["next_cursor"]
        assert cursors[path] is not None
    for path in LISTS:
        for other in LISTS:
            if other != path:
                wanted = (422, "invalid_cursor")
                assert await refused(book, path, cursor=cursors[other]) == wanted, (path, other)
        assert await refused(book, path, cursor="AAAA") == (422, "invalid_cursor")
    assert await refused(book, "events", cursor=cursors["events"], verdict="applied") == (
        422,
        "invalid_cursor",
    )


@pytest.mark.parametrize("path", LISTS)
async def test_only_auditors_and_operators_read_them(api: Api, path: str) -> None:
    assert (await api.get(f"/api/v1/{path}", "service")).status_code == 403
    assert (await api.get(f"/api/v1/{path}", "operator")).status_code in (200, 404)
    assert (await api.client.get(f"/api/v1/{path}")).status_code == 401


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 1001},
        {"subscription_state": "active"},
        {"event_type": "x"},
        {"verdict": "lost"},
        {"state": "lost"},
        {"order": "up"},
    ],
)
async def test_what_the_schema_does_not_say_is_no_request(
    api: Api, query: dict[str, object]
) -> None:
    for path in LISTS[:3]:
        assert await refused(api, path, **query) == (400, "invalid_request")
