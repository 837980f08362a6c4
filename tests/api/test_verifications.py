"""Verifications over HTTP: one at a time, its progress and result for auditors."""

from __future__ import annotations

from app.infrastructure.db import Database
from app.verify.asked import Verifier
from tests.api_client import Api

PATH = "/api/v1/verifications"


async def begin(api: Api, by: str = "auditor") -> tuple[int, dict[str, object]]:
    answer = await api.client.post(PATH, headers=api.headers(by))
    return answer.status_code, answer.json()


def verifier(api: Api) -> Verifier:
    found: Verifier = api.client._transport.app.state.verifier  # type: ignore[attr-defined]
    return found


async def test_a_verification_begins_and_tells_what_each_check_found(
    api: Api, database: Database
) -> None:
    await api.put("/api/v1/accounts/user-1", {})
    status, begun = await begin(api)
    assert (status, begun["state"], begun["finished_at"]) == (202, "going", None)
    assert begun["asked_by"] == api.tokens["auditor"].split("_")[1]
    await verifier(api).wait()
    found = (await api.get(f"{PATH}/{begun['id']}")).json()
    assert (found["state"], found["difference_count"]) == ("clean", 0)
    assert found["done_count"] == found["check_count"] == len(found["checks"])
    accounts = "every account's sides are the sum of its entries"
    assert {"name": accounts, "rows": 1, "differences": []} in found["checks"]
    assert await database.fetchval("SELECT difference_count FROM verifications") == 0
    listed = (await api.get(PATH)).json()
    assert (listed["data"], listed["next_cursor"]) == ([found], None)


async def test_who_asks_while_one_goes_on_is_told_of_that_one(api: Api, database: Database) -> None:
    await database.execute(
        """INSERT INTO asked_verifications (asked_by, started_at, beat_at, check_count)
           VALUES ('elsewhere', clock_timestamp(), clock_timestamp(), 10)"""
    )
    status, told = await begin(api)
    assert (status, told["asked_by"], told["state"]) == (200, "elsewhere", "going")
    assert await database.fetchval("SELECT count(*) FROM asked_verifications") == 1
    await database.execute(
        "UPDATE asked_verifications SET beat_at = beat_at - interval '31 seconds'"
    )
    dead = (await api.get(f"{PATH}/{told['id']}")).json()
    assert (dead["state"], dead["error"]) == ("broken_off", "Its server died.")
    status, begun = await begin(api)
    assert status == 202
    await verifier(api).wait()
    page = (await api.get(PATH, limit=1)).json()
    assert [one["id"] for one in page["data"]] == [begun["id"]]
    page = (await api.get(PATH, limit=1, cursor=page["next_cursor"])).json()
    assert ([one["id"] for one in page["data"]], page["next_cursor"]) == ([told["id"]], None)


async def test_an_unknown_verification_is_said_to_be_unknown(api: Api) -> None:
    answer = await api.get(f"{PATH}/ver_0000000000009")
    assert (answer.status_code, answer.json()["code"]) == (404, "verification_unknown")
