"""Labels: spends, holds and captures say what they were for and who did them."""

from __future__ import annotations

import pytest

from tests.acts import Acts, subscribe

A_JOB = {"label": "model/large", "member": "auth0|7", "metadata": {"tokens": "812"}}


@pytest.fixture
async def pro(api) -> Acts:
    """A PRO account, user-1, with 20 credits a day."""
    acts = Acts(api)
    await subscribe(acts, "PRO")
    return acts


async def said(api, journal_id: str) -> tuple[object, object, object]:
    journal = (await api.get(f"/api/v1/ledger/journals/{journal_id}")).json()
    return journal["label"], journal["member"], journal["metadata"]


async def listed(api, **filters: str) -> list[tuple[str, int, object, object]]:
    page = (await api.get("/api/v1/ledger/entries", **filters)).json()
    return [(one["kind"], one["amount"], one["label"], one["member"]) for one in page["data"]]


async def test_a_spend_says_what_it_was_for_and_who_did_it(pro, api) -> None:
    told = await pro.done(await pro.spend(3, **A_JOB))
    assert await said(api, told["id"]) == ("model/large", "auth0|7", {"tokens": "812"})
    await pro.done(await pro.spend(4, label="model/small"))
    assert await listed(api, label="model/large") == [("spend", 3, "model/large", "auth0|7")]
    assert await listed(api, label="model/small", account_id="user-1") == [
        ("spend", 4, "model/small", None)
    ]
    assert await listed(api, member="auth0|7", kind="spend") == [
        ("spend", 3, "model/large", "auth0|7")
    ]
    assert await listed(api, label="other") == []


async def test_a_batch_keeps_the_labels_of_each_spend(pro, api) -> None:
    spends = [
        {"account_id": "user-1", "amount": 1, "idempotency_key": f"k{n}", "label": f"job-{n}"}
        for n in range(3)
    ]
    told = await pro.done(await pro.post("spends/batch", {"spends": spends}))
    assert [one["status"] for one in told["results"]] == [201, 201, 201]
    assert await listed(api, label="job-1") == [("spend", 1, "job-1", None)]


async def test_a_capture_is_for_what_its_hold_was_for_unless_it_says_more(pro, api) -> None:
    hold_id = await pro.held(5, **A_JOB)
    told = (await pro.capture(hold_id, 4, metadata={"tokens": "900"})).json()
    assert await said(api, told["spend_id"]) == ("model/large", "auth0|7", {"tokens": "900"})
    other = await pro.held(5, **A_JOB)
    told = (await pro.capture(other, 4, label="model/small", member="ann")).json()
    assert await said(api, told["spend_id"]) == ("model/small", "ann", None)
    kinds = [kind for kind, *_ in await listed(api, label="model/large")]
    assert kinds == ["hold", "spend", "release", "hold"]


async def test_a_return_is_for_what_came_back(pro, api) -> None:
    spend = (await pro.spend(5, **A_JOB)).json()
    returning = await pro.give_back(2, spend_id=spend["id"], metadata={"why": "half done"})
    told = await pro.done(returning)
    assert await said(api, told["id"]) == ("model/large", "auth0|7", {"why": "half done"})


async def test_a_grant_keeps_its_metadata(pro, api) -> None:
    told = await pro.done(await pro.grant(5, metadata={"ticket": "T-1"}))
    assert await said(api, told["id"]) == (None, None, {"ticket": "T-1"})


@pytest.mark.parametrize("bad", ["", "two words", "x" * 129, "new\nline", "größe"])
async def test_a_label_is_of_few_characters(pro, bad) -> None:
    refused = await pro.spend(1, label=bad)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_request")
    assert await pro.sides() == (20, 0, 0)


async def test_another_label_is_another_request(pro) -> None:
    await pro.done(await pro.spend(1, key="one", label="a"))
    again = await pro.spend(1, key="one", label="b")
    assert (again.status_code, again.json()["code"]) == (422, "idempotency_key_reused")
