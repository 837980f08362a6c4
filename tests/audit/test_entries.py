"""What an auditor is shown: each filter, every page once, past balances, one journal."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.api_client import Api
from tests.conftest import NOW
from tests.stripe_events import make_subscription_event

pytestmark = pytest.mark.usefixtures("patient_horizon")
ENTRIES = "/api/v1/ledger/entries"
INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")

Entry = dict[str, Any]


async def listed(api: Api, **query: object) -> list[Entry]:
    """Every page of a list; what is to be tried again is."""
    found: list[Entry] = []
    while True:
        answer = await api.get(ENTRIES, **query)
        if answer.status_code == 503:  # another test's transaction holds up the horizon
            continue
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert set(page) == {"data", "next_cursor", "complete_to"}
        found += page["data"]
        if page["next_cursor"] is None:
            return found
        query["cursor"] = page["next_cursor"]


@pytest.fixture
async def history(api: Api) -> list[Entry]:
    """Two accounts over three days: openings, an event's top-up, spends, expiries, two runs."""
    await api.put("/api/v1/accounts/user-1", {"time_zone": "UTC"})
    await api.put("/api/v1/accounts/user-2", {"stripe_customer_id": "cus_2"})
    await api.spend("user-1", 2, "key-1")
    await api.set_clock(NOW + timedelta(hours=1))
    event = make_subscription_event("evt_1", "created", NOW, customer="cus_2")
    assert await api.deliver(event) == "applied"
    await api.spend("user-2", 12, "key-2")
    await api.set_clock(NOW + timedelta(days=1))
    await api.spend("user-1", 1, "key-3")
    await api.spend("user-2", 20, "key-4")
    await api.set_clock(NOW + timedelta(days=2, minutes=5))
    await api.spend("user-2", 1, "key-5")
    return await listed(api)


FILTERS = ("account_id", "kind", "journal_id", "run_id", "event_id", "lot_id")


async def test_every_filter_lists_what_it_names_and_nothing_else(
    api: Api, history: list[Entry]
) -> None:
    assert {entry["kind"] for entry in history} == {"grant", "spend", "expiry"}
    for name in FILTERS:
        values = {entry[name] for entry in history if entry[name] is not None}
        assert values, f"there are entries with a {name}"
        for value in values:
            wanted = [entry for entry in history if entry[name] == value]
            assert await listed(api, **{name: value}) == wanted, (name, value)


async def test_filters_narrow_one_another(api: Api, history: list[Entry]) -> None:
    wanted = [e for e in history if e["account_id"] == "user-2" and e["kind"] == "spend"]
    assert len(wanted) == 3
    assert await listed(api, account_id="user-2", kind="spend") == wanted
    assert await listed(api, account_id="user-1", event_id="evt_1") == []


@pytest.mark.parametrize("side", ["effective", "recorded"])
async def test_a_range_of_time_is_half_open(api: Api, history: list[Entry], side: str) -> None:
    instants = sorted({entry[f"{side}_at"] for entry in history})
    assert len(instants) > 3
    for start in (instants[0], instants[2]):
        for end in (instants[2], instants[-1]):
            wanted = [entry for entry in history if start <= entry[f"{side}_at"] < end]
            query = {f"{side}_from": start, f"{side}_to": end}
            assert await listed(api, **query) == wanted


async def test_an_instant_may_come_with_an_offset(api: Api, history: list[Entry]) -> None:
    wanted = [e for e in history if e["recorded_at"] >= "2026-01-02T12:00:00.000000Z"]
    assert await listed(api, recorded_from="2026-01-02T14:00:00+02:00") == wanted
    assert wanted


FITTING_NOTHING = (
    {"account_id": "nobody"},
    {"event_id": "evt_none"},
    {"journal_id": "jrn_0000000000000"},
    {"journal_id": "jrn_zzzzzzzzzzzzz"},
    {"run_id": "run_00000000000zz"},
    {"lot_id": "lot_00000000000zz"},
    {"hold_id": "hld_0000000000001"},
    {"kind": "hold"},
    {"effective_from": "2030-01-01T00:00:00Z"},
    {"recorded_to": "2020-01-01T00:00:00Z"},
)


async def test_a_filter_that_fits_nothing_lists_nothing(api: Api, history: list[Entry]) -> None:
    assert [query for query in FITTING_NOTHING if await listed(api, **query) != []] == []


async def test_a_customers_id_lists_its_account(api: Api, history: list[Entry]) -> None:
    assert await listed(api, account_id="cus_2") == await listed(api, account_id="user-2") != []


async def test_pages_follow_one_another_both_ways(api: Api, history: list[Entry]) -> None:
    for limit in (1, 2, 7, 1000):
        assert await listed(api, limit=limit) == history
        assert await listed(api, limit=limit, order="desc") == history[::-1]


async def test_the_last_page_is_last_also_where_it_is_full(api: Api, history: list[Entry]) -> None:
    answer = await api.get(ENTRIES, limit=len(history))
    assert answer.json()["next_cursor"] is None
    answer = await api.get(ENTRIES, limit=len(history) - 1)
    assert answer.json()["next_cursor"] is not None


async def test_the_page_size_may_change_on_the_way(api: Api, history: list[Entry]) -> None:
    first = (await api.get(ENTRIES, limit=2)).json()
    rest = await listed(api, limit=3, cursor=first["next_cursor"])
    assert first["data"] + rest == history


async def test_a_cursor_belongs_to_its_filters_and_order(api: Api, history: list[Entry]) -> None:
    cursor = (await api.get(ENTRIES, limit=2)).json()["next_cursor"]
    for other in (
        {"order": "desc"},
        {"kind": "spend"},
        {"account_id": "user-1"},
        {"event_id": "evt_1"},
        {"recorded_to": history[-1]["recorded_at"]},
        {"effective_from": NOW.isoformat()},
    ):
        answer = await api.get(ENTRIES, cursor=cursor, **other)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_cursor"), other


async def test_what_is_no_cursor_is_refused(api: Api) -> None:
    for cursor in ("x", "AAAA", "A" * 11, "A" * 12, "-_-_", "A" * 512):
        answer = await api.get(ENTRIES, cursor=cursor)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_cursor"), cursor


async def test_an_entry_tells_all_of_itself(api: Api, history: list[Entry]) -> None:
    (spent,) = await listed(api, account_id="user-1", kind="spend", recorded_to="2026-01-02T00:00:00Z")  # fmt: skip # noqa: E501
    opening = (await listed(api, account_id="user-1"))[0]
    assert spent == {
        "id": spent["id"],
        "journal_id": spent["journal_id"],
        "kind": "spend",
        "account_id": "user-1",
        "debit": "free",
        "credit": "spent",
        "amount": 2,
        "change": -2,
        "balance_after": 3,
        "lot_id": opening["lot_id"],
        "lot_source": "daily",
        "hold_id": None,
        "event_id": None,
        "run_id": None,
        "reverses_entry_id": None,
        "idempotency_key": "key-1",
        "effective_at": "2026-01-01T12:00:00.000000Z",
        "recorded_at": "2026-01-01T12:00:00.000000Z",
        "source": "api",
        "actor": api.tokens["service"].split("_")[1],
        "reason": None,
        "label": None,
        "member": None,
    }
    assert (opening["kind"], opening["change"], opening["effective_at"]) == (
        "grant",
        5,
        "2026-01-01T00:00:00.000000Z",
    )


async def test_an_event_stands_behind_its_top_up_and_a_run_behind_its_opening(
    api: Api, history: list[Entry]
) -> None:
    (top_up,) = await listed(api, event_id="evt_1")
    assert (top_up["kind"], top_up["amount"], top_up["source"]) == ("grant", 15, "webhook")
    runs = {entry["run_id"] for entry in history if entry["run_id"]}
    assert len(runs) == 2
    for run in runs:
        opened = await listed(api, run_id=run, kind="grant")
        assert sorted(entry["account_id"] for entry in opened) == ["user-1", "user-2"]


async def test_each_balance_follows_from_the_one_before(api: Api, history: list[Entry]) -> None:
    for account in ("user-1", "user-2"):
        balance = 0
        for entry in await listed(api, account_id=account):
            balance += entry["change"]
            assert entry["balance_after"] == balance
        assert (await api.account(account))["balance"] == balance


async def balance(api: Api, account: str, **query: object) -> dict[str, Any]:
    while True:
        answer = await api.get(f"/api/v1/accounts/{account}/balance", **query)
        if answer.status_code != 503:
            assert answer.status_code == 200, answer.text
            return answer.json()


def shifted(text: str, by: timedelta) -> str:
    return (datetime.fromisoformat(text) + by).isoformat().replace("+00:00", "Z")


async def test_a_past_balance_is_the_sum_of_what_was_recorded_by_then(
    api: Api, history: list[Entry]
) -> None:
    await api.set_clock(NOW + timedelta(days=2, hours=1), tick=False)
    for account in ("user-1", "user-2"):
        mine = [entry for entry in history if entry["account_id"] == account]
        recorded = {entry["recorded_at"] for entry in mine}
        before = {shifted(at, -timedelta.resolution) for at in recorded}
        for at in recorded | before | {"1999-01-01T00:00:00Z"}:
            instant = datetime.fromisoformat(at)
            wanted = sum(
                e["change"] for e in mine if datetime.fromisoformat(e["recorded_at"]) <= instant
            )
            stood = await balance(api, account, as_of=at)
            assert stood["balance"] == stood["free"] == wanted, at
            assert datetime.fromisoformat(stood["as_of"]) == instant


async def test_the_present_balance_is_what_stands(api: Api, history: list[Entry]) -> None:
    stood = await balance(api, "user-2")
    assert stood["balance"] == (await api.account("user-2"))["balance"] == 19
    assert (stood["held"], stood["debt"]) == (0, 0)


async def test_a_balance_past_what_is_complete_is_refused(api: Api, history: list[Entry]) -> None:
    complete_to = (await balance(api, "user-1"))["complete_to"]
    at_its_end = await balance(api, "user-1", as_of=complete_to)
    assert at_its_end["as_of"] == complete_to
    later = shifted(complete_to, timedelta.resolution)
    answer = await api.get("/api/v1/accounts/user-1/balance", as_of=later)
    assert (answer.status_code, answer.json()["code"]) == (422, "beyond_horizon")


async def test_the_balance_of_nobody_is_unknown(api: Api) -> None:
    answer = await api.get("/api/v1/accounts/nobody/balance")
    assert (answer.status_code, answer.json()["code"]) == (404, "account_unknown")


async def test_a_journal_is_its_header_and_its_entries(api: Api) -> None:
    await api.put("/api/v1/accounts/user-1", {})
    spent = await api.client.post(
        "/api/v1/accounts/user-1/spends",
        json={
            "amount": 2,
            "reason": "a letter",
            "metadata": {"pages": "1, 2"},
            "label": "letters",
            "member": "ann",
        },
        headers=api.headers("service", **{"Idempotency-Key": "key 1"}),
    )
    told = spent.json()
    journal = (await api.get(f"/api/v1/ledger/journals/{told['id']}")).json()
    entries = await listed(api, journal_id=told["id"])
    assert journal == {
        "id": told["id"],
        "kind": "spend",
        "source": "api",
        "actor": api.tokens["service"].split("_")[1],
        "reason": "a letter",
        "metadata": {"pages": "1, 2"},
        "label": "letters",
        "member": "ann",
        "event_id": None,
        "run_id": None,
        "reverses_journal_id": None,
        "idempotency_key": "key 1",
        "effective_at": "2026-01-01T12:00:00.000000Z",
        "recorded_at": "2026-01-01T12:00:00.000000Z",
        "entries": entries,
    }
    assert [entry["id"] for entry in entries] == told["entries"]
    assert entries[0]["reason"] == "a letter"


async def test_a_journal_that_is_not_there_is_unknown(api: Api) -> None:
    for journal in ("jrn_0000000000000", "jrn_0000000000zzz", "jrn_zzzzzzzzzzzzz"):
        answer = await api.get(f"/api/v1/ledger/journals/{journal}")
        assert (answer.status_code, answer.json()["code"]) == (404, "journal_unknown")


async def test_every_instant_is_utc_with_microseconds(api: Api, history: list[Entry]) -> None:
    def instants(value: object, name: str = "") -> list[str]:
        if isinstance(value, dict):
            return [at for key, inner in value.items() for at in instants(inner, key)]
        if isinstance(value, list):
            return [at for inner in value for at in instants(inner, name)]
        named = name.endswith("_at") or name in ("as_of", "complete_to", "now")
        return [str(value)] if named and value is not None else []

    answers = [
        (await api.get(path)).json()
        for path in (
            ENTRIES,
            "/api/v1/accounts/user-2",
            "/api/v1/accounts/user-2/balance",
            f"/api/v1/ledger/journals/{history[0]['journal_id']}",
        )
    ]
    answers.append((await api.get("/api/v1/dev/clock", "operator")).json())
    answers.append((await api.spend("user-1", 5, "key-9")).json())
    told = [instants(answer) for answer in answers]
    assert all(told[:5]), "each of them tells an instant"
    assert [at for some in told for at in some if not INSTANT.fullmatch(at)] == []


async def test_entries_are_found_by_their_key_and_by_their_lots_source(api: Api) -> None:
    await api.put("/api/v1/accounts/user-1", {})
    await api.spend("user-1", 2, "job-7")
    await api.client.post(
        "/api/v1/accounts/user-1/grants",
        json={"amount": 3, "reason": "an apology"},
        headers=api.headers("operator", **{"Idempotency-Key": "job-7"}),
    )
    found = await listed(api, idempotency_key="job-7")
    assert [(one["kind"], one["amount"]) for one in found] == [("spend", 2), ("grant", 3)]
    assert await listed(api, idempotency_key="job-8") == []
    assert [one["amount"] for one in await listed(api, lot_source="promotional")] == [3]
    assert [one["kind"] for one in await listed(api, lot_source="daily")] == ["grant", "spend"]
