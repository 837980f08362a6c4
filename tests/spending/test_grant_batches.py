"""Grants of many accounts at once: each once for its key, and each refused for itself."""

from __future__ import annotations

import asyncio

import pytest

from tests.acts import Acts
from tests.invariants import differences


def item(name: str, amount: int = 10, **more: object) -> dict[str, object]:
    return {
        "account_id": name,
        "amount": amount,
        "idempotency_key": f"campaign:{name}",
        "reason": "the campaign",
        **more,
    }


@pytest.fixture
async def acts(api) -> Acts:
    """Three FREE accounts."""
    for number in (1, 2, 3):
        await api.put(f"/api/v1/accounts/user-{number}", {})
    return Acts(api)


async def granted(acts: Acts, *items: dict[str, object]) -> list[dict[str, object]]:
    answer = await acts.post("grants/batch", {"grants": list(items)}, scope="operator")
    return (await acts.done(answer))["results"]


async def test_each_has_its_result_and_one_refusal_stops_no_other(acts, api, database) -> None:
    await acts.done(await acts.post("accounts/user-3/close", {"reason": "left"}, scope="operator"))
    results = await granted(
        acts,
        item("user-1"),
        item("nobody"),
        item("user-2", 7, expires_at="2026-01-02T00:00:00Z"),
        item("user-3"),
        item("user-2", 1, idempotency_key="late", expires_at="2020-01-01T00:00:00Z"),
    )
    assert [one["status"] for one in results] == [201, 404, 201, 409, 422]
    codes = [one["problem"] and one["problem"]["code"] for one in results]
    assert codes == [
        *(None, "account_unknown", None),
        *("account_closed", "expires_in_the_past"),
    ]
    first = results[0]["grant"]
    assert (first["account_id"], first["amount"], first["available"]) == ("user-1", 10, 15)
    assert await acts.journal_entries(first["id"]) == [("grant", "issued", "free", 10)]
    assert (await api.account("user-2"))["available"] == 12
    told = (await api.get("/api/v1/operator-acts", "operator")).json()["data"]
    made = [one["journal_id"] for one in told if one["act"] == "grant"]
    assert made == [results[0]["grant"]["id"], results[2]["grant"]["id"]]
    assert await differences(database) == []


async def test_the_same_again_changes_nothing_and_other_content_is_refused(acts, api) -> None:
    first = await granted(acts, item("user-1"), item("user-2"))
    again = await granted(acts, item("user-2"), item("user-1"), item("user-3"))
    assert [one["replayed"] for one in again] == [True, True, False]
    assert [one["grant"]["id"] for one in again[:2]] == [
        first[1]["grant"]["id"],
        first[0]["grant"]["id"],
    ]
    (other,) = await granted(acts, item("user-1", 11))
    assert (other["status"], other["problem"]["code"]) == (422, "idempotency_key_reused")
    twice = await granted(acts, *[item("user-1", idempotency_key="twice")] * 2)
    assert twice[0]["grant"] == twice[1]["grant"]
    assert (await api.account("user-1"))["available"] == 5 + 10 + 10


async def test_what_was_paid_for_elsewhere_is_purchased_and_names_its_reference(
    acts, api, database
) -> None:
    (told,) = await granted(acts, item("user-1", 100, source="purchased", reference="INV-7"))
    journal = (await api.get(f"/api/v1/ledger/journals/{told['grant']['id']}")).json()
    assert journal["metadata"] == {"reference": "INV-7"}
    (entry,) = journal["entries"]
    assert (entry["kind"], entry["debit"], entry["lot_source"]) == (
        *("purchase", "purchased"),
        "purchased",
    )
    await acts.done(await acts.spend(15))
    assert await differences(database) == []
    await acts.done(await acts.reverse(told["grant"]["id"]))
    assert await acts.sides() == (0, 0, 0)
    assert await differences(database) == []


async def test_batches_at_once_grant_once(acts, api, database) -> None:
    items = [item(f"user-{number}") for number in (1, 2, 3)]
    answers = await asyncio.gather(
        *(granted(acts, *(items if n % 2 else items[::-1])) for n in range(6))
    )
    assert sum(not one["replayed"] for results in answers for one in results) == 3
    assert [(await api.account(f"user-{n}"))["available"] for n in (1, 2, 3)] == [15] * 3
    assert await differences(database) == []


async def test_a_thousand_in_one_call(acts, api, database) -> None:
    for number in range(4, 24):
        await api.put(f"/api/v1/accounts/user-{number}", {})
    many = [item(f"user-{n % 23 + 1}", 1, idempotency_key=f"many-{n}") for n in range(1_000)]
    results = await granted(acts, *many)
    assert {one["status"] for one in results} == {201}
    assert await database.fetchval("SELECT count(*) FROM operator_acts WHERE act = 'grant'") == 1000
    refused = await acts.post("grants/batch", {"grants": [*many, many[0]]}, scope="operator")
    assert refused.status_code == 400
    assert (await acts.post("grants/batch", {"grants": many[:1]})).status_code == 403
    assert await differences(database) == []
