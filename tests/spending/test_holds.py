"""Holds: reserve, take at most that, give back the rest; past the deadline nothing is held."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from tests.acts import DAY, HOUR, Acts, cancel, journal_count, subscribe
from tests.conftest import NOW
from tests.invariants import differences


@pytest.fixture
async def pro(api) -> Acts:
    """A PRO account, user-1, with 20 credits a day."""
    acts = Acts(api)
    await subscribe(acts, "PRO")
    return acts


async def test_a_hold_reserves_and_a_capture_takes_at_most_that_and_gives_back_the_rest(
    pro, database
) -> None:
    hold_id = await pro.held(12)
    assert await pro.sides() == (8, 12, 0)
    answer = await pro.capture(hold_id, 5)
    assert answer.status_code == 200
    assert (answer.json()["state"], answer.json()["captured"]) == ("captured", 5)
    assert await pro.sides() == (15, 0, 0)
    assert await pro.entries(hold_id=hold_id) == [
        ("hold", "free", "held", 12),
        ("spend", "held", "spent", 5),
        ("release", "held", "free", 7),
    ]
    assert await differences(database) == []


async def test_a_release_gives_back_all_of_it(pro, database) -> None:
    hold_id = await pro.held(12)
    answer = await pro.release(hold_id)
    assert (answer.status_code, answer.json()["state"]) == (200, "released")
    assert await pro.sides() == (20, 0, 0)
    assert await differences(database) == []


async def test_a_hold_of_more_than_is_there_is_refused_and_stores_nothing(pro, book) -> None:
    before = await journal_count(book)
    answer = await pro.hold(21, key="the-key")
    assert (answer.status_code, answer.json()["code"]) == (402, "insufficient_credits")
    assert (answer.json()["available"], answer.json()["required"]) == (20, 21)
    assert await journal_count(book) == before
    assert await pro.sides() == (20, 0, 0)
    assert (await pro.hold(20, key="the-key")).status_code == 201


async def test_what_is_held_cannot_be_spent(pro) -> None:
    await pro.held(15)
    answer = await pro.spend(6)
    assert (answer.status_code, answer.json()["available"]) == (402, 5)


async def test_more_than_it_holds_is_never_captured(pro) -> None:
    hold_id = await pro.held(5)
    answer = await pro.capture(hold_id, 6)
    assert 400 <= answer.status_code < 500
    assert await pro.sides() == (15, 5, 0)
    assert (await pro.capture(hold_id, 5)).status_code == 200


async def test_past_its_deadline_a_hold_holds_nothing_though_nothing_is_posted(pro) -> None:
    hold_id = await pro.held(12, 60)
    await pro.api.set_clock(NOW + timedelta(seconds=60), tick=False)
    account = await pro.api.account("user-1")
    assert (account["free"], account["held"], account["available"]) == (8, 12, 20)
    assert (await pro.api.get(f"/api/v1/holds/{hold_id}")).json()["state"] == "expired"
    answer = await pro.spend(20)
    assert (answer.status_code, answer.json()["available"]) == (201, 0)
    assert await pro.sides() == (0, 0, 0)


async def test_the_instant_before_its_deadline_a_hold_still_holds(pro) -> None:
    hold_id = await pro.held(12, 60)
    await pro.api.set_clock(NOW + timedelta(seconds=60, microseconds=-1), tick=False)
    assert await pro.available() == 8
    assert (await pro.capture(hold_id, 12)).status_code == 200


@pytest.mark.parametrize("ticked", [True, False])
async def test_after_its_deadline_neither_capture_nor_release_is_possible(pro, ticked) -> None:
    hold_id = await pro.held(12, 60)
    await pro.api.set_clock(NOW + timedelta(seconds=120), tick=ticked)
    for answer in (await pro.capture(hold_id, 5), await pro.release(hold_id)):
        assert (answer.status_code, answer.json()["code"]) == (409, "hold_expired")
    assert await pro.sides() == (20, 0, 0)


async def test_a_refused_capture_posts_what_was_due_all_the_same(pro) -> None:
    hold_id = await pro.held(12, 60)
    await pro.api.set_clock(NOW + timedelta(seconds=120), tick=False)
    assert await pro.sides() == (8, 12, 0)
    assert (await pro.capture(hold_id, 5)).status_code == 409
    assert await pro.sides() == (20, 0, 0)


async def test_a_hold_that_was_captured_or_released_is_closed(pro) -> None:
    captured, released = await pro.held(3), await pro.held(4)
    await pro.capture(captured, 3)
    await pro.release(released)
    for hold_id in (captured, released):
        for answer in (await pro.capture(hold_id, 1), await pro.release(hold_id)):
            assert (answer.status_code, answer.json()["code"]) == (409, "hold_closed")
    assert await pro.sides() == (17, 0, 0)


async def test_a_closed_hold_stays_closed_after_its_deadline(pro) -> None:
    hold_id = await pro.held(3, 60)
    await pro.capture(hold_id, 2)
    await pro.api.set_clock(NOW + HOUR)
    assert (await pro.api.get(f"/api/v1/holds/{hold_id}")).json()["state"] == "captured"
    assert (await pro.release(hold_id)).json()["code"] == "hold_closed"


async def test_a_hold_taken_before_its_lot_ends_is_captured_after(pro, database) -> None:
    hold_id = await pro.held(12, 86_400)
    await pro.api.set_clock(NOW + 20 * HOUR)
    assert await pro.sides() == (20, 12, 0)
    assert (await pro.capture(hold_id, 12)).status_code == 200
    assert await pro.sides() == (20, 0, 0)
    assert await differences(database) == []


async def test_what_a_capture_leaves_of_an_ended_lot_returns_and_expires_in_one_journal(
    pro, database
) -> None:
    hold_id = await pro.held(12, 86_400)
    await pro.api.set_clock(NOW + 20 * HOUR)
    await pro.capture(hold_id, 5)
    assert await pro.sides() == (20, 0, 0)
    journal_id = await database.fetchval("SELECT max(id) FROM journals")
    rows = await database.fetch(
        "SELECT kind, amount FROM entries WHERE journal_id = $1 ORDER BY id", journal_id
    )
    assert [tuple(row) for row in rows] == [("spend", 5), ("release", 7), ("expiry", 7)]
    assert await differences(database) == []


async def test_a_release_after_the_lots_end_returns_and_expires_in_one_journal(
    pro, database
) -> None:
    await pro.grant(10, ends=NOW + HOUR, priority=0)
    hold_id = await pro.held(10, 86_400)
    await pro.api.set_clock(NOW + 2 * HOUR)
    await pro.release(hold_id)
    rows = await database.fetch(
        """SELECT kind, amount FROM entries
            WHERE journal_id = (SELECT max(id) FROM journals) ORDER BY id"""
    )
    assert [tuple(row) for row in rows] == [("release", 10), ("expiry", 10)]
    assert await pro.sides() == (20, 0, 0)
    assert await differences(database) == []


async def test_a_hold_over_several_lots_captures_them_in_drawing_order(pro, database) -> None:
    await pro.grant(10)
    hold_id = await pro.held(25)
    await pro.capture(hold_id, 22)
    lots = (await pro.api.account("user-1"))["lots"]
    left = {lot["source"]: (lot["free"], lot["held"]) for lot in lots}
    assert left == {"daily": (0, 0), "promotional": (8, 0)}
    assert await differences(database) == []


async def test_a_release_after_a_downgrade_is_trimmed_to_the_rule(pro, database) -> None:
    hold_id = await pro.held(18)
    await cancel(pro, 1)
    assert await pro.sides() == (0, 18, 0)
    await pro.release(hold_id)
    assert await pro.sides() == (5, 0, 0)
    assert await differences(database) == []


async def test_a_hold_that_lapses_after_a_downgrade_is_trimmed_as_well(pro, database) -> None:
    await pro.held(18, 60)
    await cancel(pro, 1)
    await pro.api.set_clock(NOW + timedelta(seconds=60), tick=False)
    assert await pro.available() == 5
    await pro.api.set_clock(NOW + timedelta(seconds=120))
    assert await pro.sides() == (5, 0, 0)
    assert await differences(database) == []


async def test_each_act_is_answered_the_same_under_its_key_for_ever(pro, book) -> None:
    placed = await pro.hold(5, key="hold")
    hold_id, other = placed.json()["id"], await pro.held(4)
    firsts = [
        placed,
        await pro.capture(hold_id, 3, key="capture"),
        await pro.release(other, key="release"),
    ]
    await pro.api.set_clock(NOW + 2 * DAY)
    count = await journal_count(book)
    again = [
        await pro.hold(5, key="hold"),
        await pro.capture(hold_id, 3, key="capture"),
        await pro.release(other, key="release"),
    ]
    for first, replay in zip(firsts, again, strict=True):
        assert (replay.status_code, replay.content) == (first.status_code, first.content)
        assert "Idempotency-Replayed" not in first.headers
        assert replay.headers["Idempotency-Replayed"] == "true"
    assert await journal_count(book) == count


async def test_other_content_under_a_used_key_is_refused(pro) -> None:
    hold_id = (await pro.hold(5, key="hold")).json()["id"]
    await pro.capture(hold_id, 3, key="capture")
    for answer in (
        await pro.hold(6, key="hold"),
        await pro.capture(hold_id, 2, key="capture"),
        await pro.release(hold_id, key="capture"),
        await pro.spend(3, key="hold"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert await pro.sides() == (17, 0, 0)


async def test_a_refused_capture_leaves_its_key_free(pro) -> None:
    hold_id = await pro.held(5)
    assert (await pro.capture(hold_id, 6, key="the-key")).status_code >= 400
    assert (await pro.capture(hold_id, 5, key="the-key")).status_code == 200


async def test_of_captures_and_releases_at_once_one_alone_happens(pro, database) -> None:
    hold_id = await pro.held(10)
    answers = await asyncio.gather(
        *(pro.capture(hold_id, 4) for _ in range(5)), *(pro.release(hold_id) for _ in range(5))
    )
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 9}
    assert (await pro.sides()) in ((16, 0, 0), (20, 0, 0))
    assert await differences(database) == []


async def test_one_key_ten_times_at_once_is_one_hold(pro, database) -> None:
    answers = await asyncio.gather(*(pro.hold(3, key="the-key") for _ in range(10)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert await database.fetchval("SELECT count(*) FROM holds") == 1
    assert await pro.sides() == (17, 3, 0)


async def test_a_hold_that_nobody_placed_is_unknown(pro) -> None:
    hold_id = "hld_0000000000zzz"
    for answer in (
        await pro.api.get(f"/api/v1/holds/{hold_id}"),
        await pro.capture(hold_id, 1),
        await pro.release(hold_id),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "hold_unknown")
