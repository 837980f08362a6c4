"""The trial balance: equal totals at every instant, whatever happened."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from tests.api_client import Api
from tests.audit.busy_ledger import BusyLedger, asked, read
from tests.audit.test_entries import listed
from tests.conftest import NOW

PATH = "/api/v1/ledger/trial-balance"
ACCOUNTS = [
    "free",
    "held",
    "debt",
    "issued",
    "spent",
    "expired",
    "purchased",
    "refunded",
    "adjusted",
    "transferred",
    "written_off",
]


async def trial_balance(api: Api, **query: object) -> dict[str, Any]:
    return await read(api, PATH, **query)


async def test_its_lines_are_the_sums_of_the_entries_at_every_instant(busy: BusyLedger) -> None:
    entries = await listed(busy.api)
    for at in [*busy.instants, None]:
        query = {} if at is None else {"as_of": at.isoformat()}
        stood = await trial_balance(busy.api, **query)
        until = datetime.fromisoformat(stood["as_of"])
        debits, credits = Counter[str](), Counter[str]()
        for entry in entries:
            if datetime.fromisoformat(entry["recorded_at"]) <= until:
                debits[entry["debit"]] += entry["amount"]
                credits[entry["credit"]] += entry["amount"]
        assert [line["account"] for line in stood["accounts"]] == ACCOUNTS
        for line in stood["accounts"]:
            name = line["account"]
            assert (line["debits"], line["credits"]) == (debits[name], credits[name])
            assert line["balance"] == line["credits"] - line["debits"]
        assert stood["debits"] == stood["credits"] == debits.total()
    # The last of them is all there is: its sides are the accounts' balances.
    lines = {line["account"]: line["balance"] for line in stood["accounts"]}
    rows = {
        (await busy.api.account(name))["id"]: await busy.api.account(name)
        for name in ("user-1", "user-2", "user-3", "cus_1")
    }
    for side, sign in (("free", 1), ("held", 1), ("debt", -1)):
        assert lines[side] == sign * sum(row[side] for row in rows.values())


async def test_an_empty_ledger_balances(api: Api) -> None:
    stood = await trial_balance(api)
    assert (stood["debits"], stood["credits"]) == (0, 0)
    assert stood["as_of"] == stood["complete_to"]


async def test_what_is_not_complete_yet_is_refused(api: Api) -> None:
    answer = await asked(api, PATH, as_of=(NOW + timedelta(hours=1)).isoformat())
    assert (answer.status_code, answer.json()["code"]) == (422, "beyond_horizon")
    assert "complete_to" in answer.json()


async def test_a_service_key_does_not_read_it(api: Api) -> None:
    assert (await api.get(PATH, scope="service")).status_code == 403
