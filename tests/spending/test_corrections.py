"""Grants, adjustments, closing, and spends in batches: each once, a refusal leaving nothing."""

from __future__ import annotations

import pytest

from tests.acts import DAY, HOUR, Acts, fill, journal_count, ledger_differences
from tests.conftest import NOW
from tests.invariants import differences


@pytest.fixture
async def acts(api) -> Acts:
    """A FREE account, user-1, with 5 credits a day."""
    await api.put("/api/v1/accounts/user-1", {})
    return Acts(api)


async def test_a_grant_lasts_until_its_end_and_burns_by_its_priority(acts, database) -> None:
    await acts.grant(10, ends=NOW + HOUR, priority=0)
    await acts.spend(4)
    lots = {lot["source"]: lot["free"] for lot in (await acts.api.account("user-1"))["lots"]}
    assert lots == {"promotional": 6, "daily": 5}
    await acts.api.set_clock(NOW + HOUR, tick=False)
    assert await acts.available() == 5
    assert (await acts.spend(6)).status_code == 402
    assert await acts.sides() == (5, 0, 0)
    assert await differences(database) == []


async def test_without_an_end_or_a_priority_a_grant_burns_last_and_stays(acts) -> None:
    await acts.grant(10)
    await acts.spend(7)
    await acts.api.set_clock(NOW + 30 * DAY)
    assert await acts.sides() == (13, 0, 0)


async def test_a_grant_that_has_ended_already_is_refused(acts, book) -> None:
    count = await journal_count(book)
    answer = await acts.grant(10, ends=NOW, key="the-key")
    assert answer.status_code == 422
    assert await journal_count(book) == count
    assert (await acts.grant(10, key="the-key")).status_code == 201


async def test_an_adjustment_gives_credits_that_stay_or_takes_them_in_burn_order(
    acts, database
) -> None:
    more = await acts.adjust(8)
    assert (more.status_code, more.json()["amount"], more.json()["balance"]) == (201, 8, 13)
    less = await acts.adjust(-6)
    assert (less.status_code, less.json()["amount"], less.json()["available"]) == (201, -6, 7)
    assert await acts.journal_entries(less.json()["id"]) == [
        ("adjustment", "free", "adjusted", 5),
        ("adjustment", "free", "adjusted", 1),
    ]
    assert await differences(database) == []


async def test_an_adjustment_takes_all_or_nothing(acts, book) -> None:
    count = await journal_count(book)
    answer = await acts.adjust(-6, key="the-key")
    assert (answer.status_code, answer.json()["code"]) == (402, "insufficient_credits")
    assert await journal_count(book) == count
    assert await acts.sides() == (5, 0, 0)


async def test_an_adjustment_by_nothing_is_refused(acts) -> None:
    assert (await acts.adjust(0)).status_code == 422


async def test_each_correction_is_answered_the_same_under_its_key(acts, book) -> None:
    firsts = [await acts.grant(10, key="grant"), await acts.adjust(-2, key="adjustment")]
    await acts.spend(9)
    count = await journal_count(book)
    again = [await acts.grant(10, key="grant"), await acts.adjust(-2, key="adjustment")]
    for first, replay in zip(firsts, again, strict=True):
        assert (replay.status_code, replay.content) == (201, first.content)
        assert replay.headers["Idempotency-Replayed"] == "true"
    for answer in (await acts.grant(11, key="grant"), await acts.adjust(-2, key="grant")):
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert await journal_count(book) == count


async def test_a_balance_beyond_what_a_number_holds_is_refused_and_stores_nothing(
    acts, database, book
) -> None:
    most = 2**53 - 1
    await fill(database, "user-1", most)
    count = await journal_count(book)
    lots = await database.fetchval("SELECT count(*) FROM lots")
    for answer in (await acts.grant(1, key="the-key"), await acts.adjust(1, key="the-key")):
        assert answer.status_code == 422, answer.text
    assert await journal_count(book) == count
    assert await database.fetchval("SELECT count(*) FROM lots") == lots
    await acts.spend(1)
    assert (await acts.grant(1, key="the-key")).status_code == 201
    assert await acts.sides() == (most, 0, 0)
    assert await differences(database) == []


async def test_next_to_the_greatest_balance_days_give_what_there_is_room_for(
    acts, database
) -> None:
    """Nothing that is due may stop an account: it spends, and its days come again."""
    most = 2**53 - 1
    await fill(database, "user-1", most)
    await acts.api.set_clock(NOW + DAY)
    assert await acts.sides() == (most, 0, 0)
    await acts.done(await acts.spend(3))  # of the day's 5, which took the place of the last
    spent = (await acts.done(await acts.spend(7)))["id"]  # the last 2 of them and 5 others
    assert await acts.sides() == (most - 10, 0, 0)
    await acts.api.set_clock(NOW + 2 * DAY)
    assert await acts.sides() == (most - 5, 0, 0)
    await acts.done(await acts.grant(3))
    answer = await acts.reverse(spent)
    assert (answer.status_code, answer.json()["code"]) == (422, "refused")
    await acts.done(await acts.spend(10))
    await acts.done(await acts.reverse(spent))  # 5 come back, and 2 of a day that is over
    assert await acts.sides() == (most - 7, 0, 0)
    # A day without any room is opened with nothing.
    await acts.done(await acts.adjust(7))
    await acts.api.set_clock(NOW + 3 * DAY)
    assert await acts.sides() == (most, 0, 0)
    await acts.done(await acts.spend(50))
    await acts.api.set_clock(NOW + 4 * DAY)
    assert await acts.sides() == (most - 45, 0, 0)
    assert await ledger_differences(database) == []


async def test_a_closed_account_gets_no_more_days_and_spends_what_it_has(acts, database) -> None:
    await acts.grant(10)
    path = "/api/v1/accounts/user-1/close"
    for _ in range(2):
        answer = await acts.api.client.post(path, headers=acts.api.headers("operator"))
        assert (answer.status_code, answer.json()["next_grant_at"]) == (200, None)
    assert await acts.available() == 15
    await acts.api.set_clock(NOW + DAY)
    assert await acts.sides() == (10, 0, 0)
    assert (await acts.spend(10)).status_code == 201
    assert await ledger_differences(database) == []


async def test_a_day_that_began_before_the_close_is_not_lost_with_it(acts) -> None:
    """A cron that is down costs nobody anything: available said so until the close."""
    await acts.api.set_clock(NOW + DAY, tick=False)
    await acts.spend(5)
    await acts.api.set_clock(NOW + 2 * DAY, tick=False)
    assert await acts.available() == 5
    await acts.api.client.post(
        "/api/v1/accounts/user-1/close", headers=acts.api.headers("operator")
    )
    assert await acts.available() == 5


async def batch(acts: Acts, items: list[tuple[str, int, str]]):
    spends = [
        {"account_id": account_id, "amount": amount, "idempotency_key": key}
        for account_id, amount, key in items
    ]
    return await acts.api.client.post(
        "/api/v1/spends/batch", json={"spends": spends}, headers=acts.api.headers("service")
    )


async def test_each_spend_of_a_batch_has_its_own_result(acts, database) -> None:
    answer = await batch(
        acts,
        [("user-1", 3, "one"), ("user-1", 3, "two"), ("nobody", 1, "three"), ("user-1", 2, "four")],
    )
    results = answer.json()["results"]
    assert answer.status_code == 200
    assert [one["status"] for one in results] == [201, 402, 404, 201]
    assert results[1]["problem"]["available"] == 2
    assert results[2]["problem"]["code"] == "account_unknown"
    assert await acts.sides() == (0, 0, 0)
    assert await differences(database) == []


async def test_one_key_twice_in_a_batch_is_one_spend(acts, database) -> None:
    answer = await batch(
        acts, [("user-1", 2, "same"), ("user-1", 2, "same"), ("user-1", 3, "same")]
    )
    first, second, third = answer.json()["results"]
    assert first == second
    assert (third["status"], third["problem"]["code"]) == (422, "idempotency_key_reused")
    assert await acts.sides() == (3, 0, 0)
    assert await database.fetchval("SELECT count(*) FROM journals WHERE kind = 'spend'") == 1


async def test_a_batchs_spend_and_a_single_one_are_the_same_request(acts) -> None:
    (result,) = (await batch(acts, [("user-1", 2, "same")])).json()["results"]
    again = await acts.spend(2, key="same")
    assert (again.json(), again.headers["Idempotency-Replayed"]) == (result["spend"], "true")


async def test_a_thousand_spends_are_a_batch_and_one_more_is_too_many(acts) -> None:
    items = [("user-1", 1, f"key-{n}") for n in range(1_001)]
    assert (await batch(acts, items)).status_code == 400
    assert await acts.sides() == (5, 0, 0)
    results = (await batch(acts, items[:1_000])).json()["results"]
    assert [one["status"] for one in results] == [201] * 5 + [402] * 995


async def test_a_closed_account_gets_no_grants(api) -> None:
    await api.put("/api/v1/accounts/ada", {})
    headers = api.headers("operator")
    assert (await api.client.post("/api/v1/accounts/ada/close", headers=headers)).status_code == 200
    refused = await api.client.post(
        "/api/v1/accounts/ada/grants",
        json={"amount": 5, "reason": "sorry"},
        headers=api.headers("operator", **{"Idempotency-Key": "grant-1"}),
    )
    assert (refused.status_code, refused.json()["code"]) == (409, "account_closed")
    assert (await api.account("ada"))["available"] == 5
