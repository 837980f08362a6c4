"""A balance explained: lot by lot, with the journals and events behind it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from app.audit import explain
from tests.api_client import Api
from tests.audit.busy_ledger import ACCOUNTS, BusyLedger
from tests.conftest import NOW
from tests.stripe_events import make_subscription_event


async def explained(api: Api, account: str, scope: str = "auditor", **query: str) -> dict[str, Any]:
    answer = await api.get(f"/api/v1/accounts/{account}/balance/explain", scope, **query)
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


def summed(entries: list[dict[str, Any]], side: str) -> int:
    """What these entries left on a side."""
    return sum(
        entry["amount"] * ((entry["credit"] == side) - (entry["debit"] == side))
        for entry in entries
    )


async def test_every_credit_of_a_busy_ledger_is_told_by_its_lots_entries(busy: BusyLedger) -> None:
    for name in (*ACCOUNTS, "cus_1"):
        told, account = await explained(busy.api, name), await busy.api.account(name)
        for side in ("balance", "free", "held", "debt"):
            assert told[side] == account[side]
        for side in ("free", "held"):
            assert told[side] == sum(lot[side] for lot in told["lots"])
            assert all(lot[side] == summed(lot["entries"], side) for lot in told["lots"])
        assert told["debt"] == -summed(told["debt_entries"], "debt")
        assert all(lot["free"] + lot["held"] > 0 for lot in told["lots"])
        assert not any(lot["truncated"] for lot in told["lots"])


async def test_as_of_an_instant_it_tells_what_the_entries_until_then_left(busy: BusyLedger) -> None:
    told = (await busy.api.get("/api/v1/ledger/entries", limit=1000)).json()["data"]
    assert len(busy.instants) > 5
    for at in busy.instants:
        then = at.isoformat()
        for name in (*ACCOUNTS, "cus_1"):
            stood = await explained(busy.api, name, as_of=then)
            balance = await busy.api.get(f"/api/v1/accounts/{name}/balance", as_of=then)
            for side in ("balance", "free", "held", "debt"):
                assert stood[side] == balance.json()[side]
            for side in ("free", "held"):
                assert stood[side] == sum(lot[side] for lot in stood["lots"])
                assert all(lot[side] == summed(lot["entries"], side) for lot in stood["lots"])
            assert stood["debt"] == -summed(stood["debt_entries"], "debt")
            for lot in stood["lots"]:
                behind = {entry["entry_id"] for entry in lot["entries"]}
                assert behind == {
                    entry["id"]
                    for entry in told
                    if entry["lot_id"] == lot["id"]
                    and datetime.fromisoformat(entry["recorded_at"]) <= at
                }


async def test_as_of_what_is_not_complete_is_refused(api: Api) -> None:
    await api.put("/api/v1/accounts/user-1", {})
    answer = await api.get("/api/v1/accounts/user-1/balance/explain", as_of="2126-01-01T00:00:00Z")
    assert (answer.status_code, answer.json()["code"]) == (422, "beyond_horizon")
    assert "complete_to" in answer.json()


async def test_an_event_and_a_reason_stand_behind_their_credits(api: Api) -> None:
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    busy = BusyLedger(api, 0)
    await busy.post("accounts/cus_1/grants", {"amount": 3, "reason": "a gift"})
    await busy.post("accounts/cus_1/holds", {"amount": 4})
    told = await explained(api, "cus_1", "service")
    daily, gift = told["lots"]
    assert (daily["source"], daily["free"], daily["held"]) == ("daily", 16, 4)
    assert daily["entries"][0]["kind"] == "hold"
    assert "evt_1" in {entry["event_id"] for entry in daily["entries"]}
    (entry,) = gift["entries"]
    assert (entry["journal_kind"], entry["reason"], entry["change"]) == ("grant", "a gift", 3)
    assert entry["journal_id"] == busy.journals[0]
    assert gift["expires_at"] is None


async def test_debt_is_told_by_what_made_it(api: Api) -> None:
    busy = BusyLedger(api, 0)
    await api.put("/api/v1/accounts/user-1", {})
    await busy.post("accounts/user-1/grants", {"amount": 10, "reason": "a gift"})
    await api.spend("user-1", 15, "all")
    body = {"journal_id": busy.journals[0], "reason": "not for them", "shortfall": "debt"}
    await busy.post("reversals", body)
    told = await explained(api, "user-1")
    assert (told["balance"], told["debt"], told["lots"]) == (-10, 10, [])
    (entry,) = told["debt_entries"]
    assert (entry["kind"], entry["debit"], entry["reason"]) == ("reversal", "debt", "not for them")


async def test_a_long_history_is_cut_and_says_so(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explain, "ENTRIES_PER_LOT_MAX", 2)
    await api.put("/api/v1/accounts/user-1", {})
    for number in range(2):
        await api.spend("user-1", 1, f"key-{number}")
    (lot,) = (await explained(api, "user-1"))["lots"]
    assert lot["truncated"]
    assert [entry["kind"] for entry in lot["entries"]] == ["spend", "spend"]
    ids = [entry["entry_id"] for entry in lot["entries"]]
    assert ids == sorted(ids, reverse=True)


async def test_nobodys_balance_is_not_explained(api: Api) -> None:
    answer = await api.get("/api/v1/accounts/nobody/balance/explain")
    assert (answer.status_code, answer.json()["code"]) == (404, "account_unknown")
    assert (await api.get("/api/v1/accounts/x/balance/explain", "operator")).status_code == 404
