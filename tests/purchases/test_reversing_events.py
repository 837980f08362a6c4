"""An operator reverses what one event did to a purchase: once, and it stays reversed."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from tests.acts import Acts
from tests.conftest import NOW
from tests.invariants import differences
from tests.money_events import (
    make_charge_event,
    make_dispute_event,
    make_refund_event,
    make_session_event,
)

SECOND = timedelta(seconds=1)


async def reverse(acts: Acts, event_id: str, policy: str = "write_off", **more: Any):
    body = {"event_id": event_id, "reason": "a mistake", "shortfall": policy, **more}
    return await acts.post("reversals", body, scope="operator")


def numbers(answer: Any) -> tuple[int, ...]:
    assert answer.status_code in (200, 201), answer.text
    told = answer.json()
    return tuple(told[n] for n in ("requested", "clawed", "held", "shortfall", "expired"))


async def bought(api, *events: dict[str, Any]) -> Acts:
    """100 credits bought for 1,000 beside the 5 of the day, and what followed."""
    for event in (make_session_event("evt_1", NOW), *events):
        assert await api.deliver(event) == "applied"
    return Acts(api, "cus_1")


def refund(event_id: str, second: int, amount: int, **more: Any) -> dict[str, Any]:
    made_at = NOW + second * SECOND
    return make_refund_event(event_id, made_at, amount, refund=f"re_{event_id}", **more)


async def test_a_reversed_purchase_goes_whole_and_money_moves_it_no_more(api, database) -> None:
    acts = await bought(api, refund("evt_2", 1, 400))
    assert await acts.sides() == (65, 0, 0)
    answer = await reverse(acts, "evt_1")
    assert numbers(answer) == (60, 60, 0, 0, 0)
    assert await acts.sides() == (5, 0, 0)
    again = await reverse(acts, "evt_1", "debt")
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (again.json()["id"], numbers(again)) == (answer.json()["id"], numbers(answer))
    for event in (
        refund("evt_3", 2, 600),
        make_dispute_event("evt_4", NOW + 3 * SECOND, "lost"),
        refund("evt_5", 4, 400, kind="refund.failed", status="failed"),
    ):
        assert await api.deliver(event) == "ignored"
        assert await acts.sides() == (5, 0, 0)
    assert await differences(database) == []


async def test_a_purchase_reversed_by_its_journal_is_reversed_by_its_event_no_more(api) -> None:
    acts = await bought(api)
    entries = (await api.get("/api/v1/ledger/entries", event_id="evt_1", kind="purchase")).json()
    journal_id = entries["data"][0]["journal_id"]
    assert (await acts.reverse(journal_id)).status_code == 201
    again = await reverse(acts, "evt_1")
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.json()["of_journal_id"] == journal_id
    assert await acts.sides() == (5, 0, 0)


async def test_what_was_spent_of_a_reversed_purchase_follows_the_policy(api, database) -> None:
    acts = await bought(api)
    await acts.done(await acts.spend(65))  # 5 of the day, 60 of the pack
    assert (await reverse(acts, "evt_1", "reject")).json()["code"] == "shortfall"
    dry = await reverse(acts, "evt_1", "debt", dry_run=True)
    assert (dry.status_code, numbers(dry)) == (200, (100, 40, 0, 60, 0))
    assert await acts.sides() == (40, 0, 0)
    assert numbers(await reverse(acts, "evt_1", "debt")) == (100, 40, 0, 60, 0)
    assert await acts.sides() == (0, 0, 60)
    assert await differences(database) == []


async def test_a_reversed_purchase_frees_what_a_dispute_froze_and_takes_it(api, database) -> None:
    acts = await bought(api, make_dispute_event("evt_2", NOW + SECOND, "needs_response"))
    assert await acts.sides() == (5, 100, 0)
    assert numbers(await reverse(acts, "evt_1")) == (100, 100, 0, 0, 0)
    assert await acts.sides() == (5, 0, 0)
    won = make_dispute_event("evt_3", NOW + 2 * SECOND, "won")
    assert await api.deliver(won) == "ignored"
    assert await differences(database) == []


async def test_a_reversed_refund_stays_reversed_whatever_is_told_of_it(api, database) -> None:
    acts = await bought(api, refund("evt_2", 1, 400), refund("evt_3", 2, 300))
    assert await acts.sides() == (35, 0, 0)
    answer = await reverse(acts, "evt_2")
    assert numbers(answer) == (40, 0, 0, 0, 0)
    assert answer.json()["of_event_id"] == "evt_2"
    assert await acts.sides() == (75, 0, 0)
    for event in (
        make_charge_event("evt_4", NOW + 3 * SECOND, 700),
        make_refund_event(
            "evt_5",
            NOW + 4 * SECOND,
            400,
            "refund.updated",
            refund="re_evt_2",
            made_at=NOW + SECOND,
        ),
    ):
        await api.deliver(event)
        assert await acts.sides() == (75, 0, 0)
    failed = make_refund_event(
        "evt_6",
        NOW + 5 * SECOND,
        400,
        "refund.failed",
        refund="re_evt_2",
        made_at=NOW + SECOND,
        status="failed",
    )
    await api.deliver(failed)
    assert await acts.sides() == (75, 0, 0)
    await api.deliver(refund("evt_7", 6, 200))
    assert await acts.sides() == (55, 0, 0)
    kinds = {entry[0] for entry in await acts.journal_entries(answer.json()["journal_id"])}
    assert kinds == {"reversal"}
    assert await differences(database) == []


async def test_a_refund_or_a_dispute_is_reversed_once_whichever_key_asks(api, database) -> None:
    opened = make_dispute_event("evt_3", NOW + 2 * SECOND, "needs_response", amount=300)
    acts = await bought(api, refund("evt_2", 1, 400), opened)
    assert await acts.sides() == (35, 30, 0)
    for event_id, after in (("evt_2", (75, 30, 0)), ("evt_3", (105, 0, 0))):
        answers = await asyncio.gather(*(reverse(acts, event_id) for _ in range(4)))
        assert len({answer.json()["id"] for answer in answers}) == 1
        assert len({numbers(answer) for answer in answers}) == 1
        replayed = [answer.headers.get("Idempotency-Replayed") for answer in answers]
        assert replayed.count("true") == 3
        assert await acts.sides() == after
    assert await differences(database) == []


async def test_a_reversed_charge_event_stays_reversed_once_its_refund_is_known(
    api, database
) -> None:
    acts = await bought(api, make_charge_event("evt_2", NOW + 2 * SECOND, 400))
    assert await acts.sides() == (65, 0, 0)
    assert numbers(await reverse(acts, "evt_2")) == (40, 0, 0, 0, 0)
    await api.deliver(refund("evt_3", 1, 400))
    assert await acts.sides() == (105, 0, 0)
    await api.deliver(make_charge_event("evt_4", NOW + 3 * SECOND, 500))
    assert await acts.sides() == (95, 0, 0)
    assert await differences(database) == []


async def test_the_reversal_of_a_refund_undoes_the_debt_it_made(api, database) -> None:
    acts = await bought(api)
    await acts.done(await acts.spend(85))
    await api.deliver(refund("evt_2", 1, 1_000))
    assert await acts.sides() == (0, 0, 80)
    assert numbers(await reverse(acts, "evt_2")) == (100, 0, 0, 0, 0)
    assert await acts.sides() == (20, 0, 0)
    assert await differences(database) == []


async def test_the_reversal_of_what_gave_back_takes_it_again(api, database) -> None:
    failed = make_refund_event(
        "evt_3",
        NOW + 2 * SECOND,
        1_000,
        "refund.failed",
        refund="re_evt_2",
        made_at=NOW + SECOND,
        status="failed",
    )
    acts = await bought(api, refund("evt_2", 1, 1_000), failed)
    assert await acts.sides() == (105, 0, 0)
    await acts.done(await acts.spend(35))  # 30 of the pack
    assert (await reverse(acts, "evt_3", "reject")).json()["code"] == "shortfall"
    assert await acts.sides() == (70, 0, 0)
    assert numbers(await reverse(acts, "evt_3", "write_off")) == (100, 70, 0, 30, 0)
    assert await acts.sides() == (0, 0, 0)
    assert await differences(database) == []


async def test_a_reversed_dispute_freezes_and_takes_nothing(api, database) -> None:
    acts = await bought(api, make_dispute_event("evt_2", NOW + SECOND, "needs_response"))
    assert numbers(await reverse(acts, "evt_2")) == (100, 0, 0, 0, 0)
    assert await acts.sides() == (105, 0, 0)
    await api.deliver(make_dispute_event("evt_3", NOW + 2 * SECOND, "lost", "closed"))
    assert await acts.sides() == (105, 0, 0)
    assert await differences(database) == []


async def test_a_win_that_was_reversed_leaves_the_dispute_lost(api, database) -> None:
    lost = make_dispute_event("evt_2", NOW + SECOND, "lost", amount=500)
    won = make_dispute_event("evt_3", NOW + 2 * SECOND, "won", amount=500)
    acts = await bought(api, lost, won)
    assert await acts.sides() == (105, 0, 0)
    assert numbers(await reverse(acts, "evt_3", "debt")) == (50, 50, 0, 0, 0)
    assert await acts.sides() == (55, 0, 0)
    assert await differences(database) == []


async def test_an_event_that_moved_no_money_is_not_reversed(api) -> None:
    acts = await bought(api, refund("evt_2", 1, 400))
    await api.deliver(make_charge_event("evt_3", NOW + 2 * SECOND, 400))
    answer = await reverse(acts, "evt_3")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_reversible")
    unknown = await reverse(acts, "evt_9")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "event_unknown")


async def test_an_events_reversal_is_read_as_it_was_answered(api) -> None:
    acts = await bought(api, refund("evt_2", 1, 400))
    made = (await reverse(acts, "evt_2")).json()
    read = (await api.get(f"/api/v1/reversals/{made['id']}", "operator")).json()
    assert made.pop("dry_run") is False
    assert {name: read[name] for name in made} == made
    assert (read["account_id"], read["reason"]) == ("cus_1", "a mistake")
