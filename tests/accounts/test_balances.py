"""Balances of many accounts in one call are what each account says alone."""

from __future__ import annotations

from datetime import timedelta

from tests.acts import Acts, subscribe
from tests.conftest import NOW


async def asked(api, *ids: str, scope: str = "service"):
    return await api.client.post(
        "/api/v1/accounts/balances", json={"account_ids": list(ids)}, headers=api.headers(scope)
    )


async def test_each_is_told_as_it_is_alone_and_unknown_ones_are_named(api) -> None:
    pro = Acts(api, "user-2")
    await subscribe(pro, "PRO")
    await api.put("/api/v1/accounts/user-1", {})
    await pro.done(await pro.spend(7))
    await pro.held(3)
    plain = Acts(api, "user-3")
    await subscribe(plain, "PRO")
    await plain.done(await plain.spend(7))
    await api.set_clock(NOW + timedelta(days=1), tick=False)  # the day is not opened yet
    told = (await asked(api, "user-2", "nobody", "user-1", "cus_user-2", "user-3", "user-2")).json()
    assert told["unknown"] == ["nobody"]
    assert [one["account_id"] for one in told["data"]] == [
        "user-2",
        "user-1",
        "cus_user-2",
        "user-3",
    ]
    for one in told["data"]:
        alone = await api.account(one["account_id"])
        assert {name: alone[name] for name in ("tier", "balance", "available")} == {
            name: one[name] for name in ("tier", "balance", "available")
        }
    assert [one["available"] for one in told["data"]] == [20, 5, 20, 20]


async def test_a_thousand_are_asked_at_once_and_no_more(api) -> None:
    ids = [f"user-{number}" for number in range(1_001)]
    assert (await asked(api, *ids)).status_code == 400
    told = await asked(api, *ids[:1_000], scope="auditor")
    assert (told.status_code, len(told.json()["unknown"])) == (200, 1_000)
    assert (await asked(api)).status_code == 400
