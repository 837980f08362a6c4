"""What was taken back, from whom and why, as auditors read it: reversals, and runs by account."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from tests.acts import DAY, Acts
from tests.api_client import Api
from tests.audit.test_life_cycle_lists import listed, refused
from tests.conftest import NOW

SUMS = ("requested", "clawed", "held", "shortfall", "expired")


@pytest.fixture
async def people(api: Api) -> list[Acts]:
    """Five accounts whose second day a run has opened: one spent, one holds, one did both."""
    found = [Acts(api, f"user-{number}") for number in range(5)]
    for one in found:
        await api.put(f"/api/v1/accounts/{one.account_id}", {})
    await api.set_clock(NOW + DAY)
    await found[1].done(await found[1].spend(3))
    await found[2].held(2)
    await found[3].done(await found[3].spend(1))
    await found[3].held(2)
    return found


async def run_of(api: Api) -> str:
    return str((await api.get("/api/v1/runs", order="desc")).json()["data"][0]["id"])


def sums(rows: list[dict[str, Any]]) -> dict[str, tuple[int, ...]]:
    return {row["account_id"]: tuple(row[name] for name in SUMS) for row in rows}


WHOLE = {
    "user-0": (5, 5, 0, 0, 0),
    "user-1": (5, 2, 0, 3, 0),
    "user-2": (5, 3, 2, 0, 0),
    "user-3": (5, 2, 2, 1, 0),
    "user-4": (5, 5, 0, 0, 0),
}


async def test_a_run_tells_whom_its_reversal_would_take_from_and_whom_it_took_from(
    api: Api, people: list[Acts]
) -> None:
    run_id = await run_of(api)
    before = await listed(api, f"runs/{run_id}/taken-back", limit=2)
    assert sums(before) == WHOLE
    assert {row["reversal_id"] for row in before} == {None}
    body = {"run_id": run_id, "reason": "the wrong catalogue"}
    planned = await people[0].post("reversals", {**body, "dry_run": True}, scope="operator")
    done = await people[0].done(await people[0].post("reversals", body, scope="operator"))
    for answer in (planned.json(), done):
        of_all = [sum(column) for column in zip(*WHOLE.values(), strict=True)]
        assert [answer[name] for name in SUMS] == of_all
    after = await listed(api, f"runs/{run_id}/taken-back", limit=2)
    assert sums(after) == WHOLE
    parts = {row["reversal_id"] for row in after}
    assert len(parts) == 5
    short = await listed(api, f"runs/{run_id}/taken-back", short="true", limit=1)
    assert [row["account_id"] for row in short] == ["user-1", "user-3"]
    (told,) = (await api.get("/api/v1/runs", order="desc", limit=1)).json()["data"]
    assert (told["taken_back_credits"], told["shortfall_credits"]) == (17, 4)
    assert told["reversed_by"] == done["id"]


async def test_a_skipped_account_stays_as_what_could_be_taken(api: Api, people: list[Acts]) -> None:
    run_id = await run_of(api)
    body = {"run_id": run_id, "reason": "wrong", "shortfall": "reject"}
    await people[0].done(await people[0].post("reversals", body, scope="operator"))
    rows = await listed(api, f"runs/{run_id}/taken-back")
    assert sums(rows) == WHOLE
    left = {row["account_id"] for row in rows if row["reversal_id"] is None}
    assert left == {"user-1", "user-3"}


async def test_reversals_are_listed_with_their_reasons_and_by_account(
    api: Api, people: list[Acts]
) -> None:
    run_id = await run_of(api)
    gift = await people[4].journal(await people[4].grant(7))
    await people[4].done(await people[4].reverse(gift))
    body = {"run_id": run_id, "reason": "the wrong catalogue"}
    whole = await people[0].done(await people[0].post("reversals", body, scope="operator"))
    first, second = await listed(api, "reversals", limit=1)
    assert (first["of_journal_id"], first["account_id"], first["reason"]) == (
        *(gift, "user-4"),
        "a mistake",
    )
    assert (second["id"], second["of_run_id"], second["account_id"]) == (whole["id"], run_id, None)
    assert (second["reason"], second["journal_count"]) == ("the wrong catalogue", 5)
    acts = (await api.get("/api/v1/operator-acts", act="reversal")).json()["data"]
    assert [row["actor"] for row in acts] == [first["actor"], second["actor"]]
    assert datetime.fromisoformat(second["created_at"]) == NOW + DAY
    assert (await api.get(f"/api/v1/reversals/{whole['id']}")).json() == second
    assert await listed(api, "reversals", run_id=run_id) == [second]
    assert await listed(api, "reversals", run_id="run_zzzzzzzzzzzzz") == []
    assert await listed(api, "reversals", order="desc", limit=1) == [second, first]
    mine = await listed(api, "reversals", account_id="user-4")
    assert [row["part_of"] for row in mine] == [None, whole["id"]]
    assert [row["clawed"] for row in mine] == [7, 5]
    assert await listed(api, "reversals", account_id="nobody") == []


async def test_a_cursor_is_bound_to_its_list_and_what_is_not_there_is_unknown(
    api: Api, people: list[Acts]
) -> None:
    run_id = await run_of(api)
    page = (await api.get(f"/api/v1/runs/{run_id}/taken-back", limit=1)).json()
    for path, query in (
        ("reversals", {}),
        (f"runs/{run_id}/taken-back", {"short": "true"}),
    ):
        told = await refused(api, path, cursor=page["next_cursor"], **query)
        assert told == (422, "invalid_cursor")
    assert await refused(api, "runs/run_zzzzzzzzzzzzz/taken-back") == (404, "run_unknown")
    assert await refused(api, "reversals/rev_zzzzzzzzzzzzz") == (404, "reversal_unknown")
