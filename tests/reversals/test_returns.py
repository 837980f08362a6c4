"""Returns: part of a spend comes back to where it came from, and never more than was spent."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.acts import DAY, Acts, ledger_differences, subscribe
from tests.conftest import NOW
from tests.invariants import differences
from tests.money_events import make_refund_event, make_session_event


@pytest.fixture
async def acts(api) -> Acts:
    """A FREE account with a gift of 10 beside the day's 5."""
    await api.put("/api/v1/accounts/user-1", {})
    one = Acts(api)
    await one.done(await one.grant(10, ends=NOW + 30 * DAY))
    return one


def code(answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_a_job_that_did_half_gives_back_half_in_parts(acts, database) -> None:
    spent = await acts.journal(await acts.spend(12))
    first = await acts.done(await acts.give_back(4, spend_id=spent))
    assert first == {
        "id": first["id"],
        "account_id": "user-1",
        "spend_ids": [spent],
        "amount": 4,
        "returned": 4,
        "carried": 0,
        "balance": 7,
        "available": 7,
    }
    # The last that was drawn comes back first: the gift's 7, and the day's 5 after them.
    assert await acts.journal_entries(first["id"]) == [("return", "spent", "free", 4)]
    rest = await acts.done(await acts.give_back(spend_id=spent))
    assert (rest["amount"], rest["returned"], rest["available"]) == (8, 12, 15)
    assert await acts.journal_entries(rest["id"]) == [
        ("return", "spent", "free", 3),
        ("return", "spent", "free", 5),
    ]
    assert code(await acts.give_back(1, spend_id=spent)) == (409, "return_exceeds_spend")
    assert await differences(database) == []


async def test_more_than_was_spent_never_comes_back_and_a_refusal_changes_nothing(
    acts, database
) -> None:
    spent = await acts.journal(await acts.spend(6))
    refused = await acts.give_back(7, spend_id=spent)
    assert code(refused) == (409, "return_exceeds_spend")
    assert refused.json()["returnable"] == 6
    assert await acts.available() == 9
    assert await differences(database) == []


async def test_one_key_returns_once(acts, database) -> None:
    spent = await acts.journal(await acts.spend(6))
    answers = await asyncio.gather(
        *(acts.give_back(2, spend_id=spent, key="job-1-failed") for _ in range(5))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert await acts.available() == 11
    other = await acts.give_back(3, spend_id=spent, key="job-1-failed")
    assert code(other) == (422, "idempotency_key_reused")
    assert await differences(database) == []


async def test_many_returns_at_once_come_to_no_more_than_the_spend(acts, database) -> None:
    spent = await acts.journal(await acts.spend(10))
    answers = await asyncio.gather(*(acts.give_back(3, spend_id=spent) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [409] * 3
    assert await acts.available() == 14
    assert await differences(database) == []


async def test_it_is_named_by_the_spends_own_key_or_by_the_hold(acts, database) -> None:
    await acts.done(await acts.spend(3, key="render-1"))
    by_key = await acts.done(await acts.give_back(of_idempotency_key="render-1"))
    assert (by_key["amount"], by_key["available"]) == (3, 15)
    hold = await acts.held(8)
    assert code(await acts.give_back(hold_id=hold)) == (409, "return_exceeds_spend")
    await acts.done(await acts.capture(hold, 6))
    by_hold = await acts.done(await acts.give_back(2, hold_id=hold))
    assert (by_hold["amount"], by_hold["returned"], by_hold["available"]) == (2, 2, 11)
    assert await differences(database) == []


async def test_what_is_not_the_accounts_is_not_returned(acts, api, database) -> None:
    spent = await acts.journal(await acts.spend(3, key="render-1"))
    hold = await acts.held(2)
    await api.put("/api/v1/accounts/user-2", {})
    other = Acts(api, "user-2")
    assert code(await other.give_back(spend_id=spent)) == (404, "journal_unknown")
    assert code(await other.give_back(hold_id=hold)) == (404, "hold_unknown")
    assert code(await other.give_back(of_idempotency_key="render-1")) == (404, "journal_unknown")
    granted = await acts.journal(await acts.grant(1))
    assert code(await acts.give_back(spend_id=granted)) == (404, "journal_unknown")
    assert code(await acts.give_back()) == (422, "refused")
    assert code(await acts.give_back(spend_id=spent, hold_id=hold)) == (422, "refused")
    assert await differences(database) == []


async def test_a_reversal_and_returns_of_one_spend_come_to_the_spend(acts, database) -> None:
    spent = await acts.journal(await acts.spend(12))
    await acts.done(await acts.give_back(5, spend_id=spent))
    told = await acts.done(await acts.reverse(spent))
    assert told["requested"] == 7
    assert await acts.available() == 15
    assert code(await acts.give_back(1, spend_id=spent)) == (409, "return_exceeds_spend")
    again = await acts.journal(await acts.spend(2))
    await acts.done(await acts.give_back(spend_id=again))
    assert code(await acts.reverse(again)) == (409, "not_reversible")
    assert await differences(database) == []


@pytest.mark.parametrize(("policy", "sides"), [("write_off", (0, 0, 0)), ("debt", (0, 0, 4))])
async def test_a_return_can_be_reversed(acts, database, policy, sides) -> None:
    """Of the 6 that came back by mistake 4 were spent since."""
    spent = await acts.journal(await acts.spend(6))
    back = await acts.journal(await acts.give_back(1, spend_id=spent))
    assert (await acts.done(await acts.reverse(back)))["clawed"] == 1
    more = await acts.journal(await acts.spend(9))
    back = await acts.journal(await acts.give_back(6, spend_id=more))
    await acts.done(await acts.spend(4))
    told = await acts.done(await acts.reverse(back, policy))
    assert (told["clawed"], told["shortfall"]) == (2, 4)
    assert await acts.sides() == sides
    assert await differences(database) == []


async def test_what_comes_back_after_the_day_lapses_with_it(acts, api, database) -> None:
    spent = await acts.journal(await acts.spend(5))
    await api.set_clock(NOW + DAY)
    told = await acts.done(await acts.give_back(spend_id=spent))
    assert (told["amount"], told["carried"], told["available"]) == (5, 0, 15)
    assert await differences(database) == []


async def test_into_a_lot_whose_grant_was_reversed_it_comes_as_a_reversal_restores(
    acts, database
) -> None:
    gift = await acts.journal(await acts.grant(20, ends=NOW + timedelta(days=1), priority=1))
    spent = await acts.journal(await acts.spend(20))
    assert (await acts.done(await acts.reverse(gift, "debt")))["shortfall"] == 20
    assert await acts.sides() == (0, 0, 5)
    told = await acts.done(await acts.give_back(spend_id=spent))
    # 15 of the debt were repaid by what the account had: so much stays with it.
    assert (told["amount"], told["balance"]) == (20, 15)
    assert await differences(database) == []


async def test_after_a_refund_it_comes_back_as_what_is_no_longer_owed(api, database) -> None:
    assert await api.deliver(make_session_event("evt_1", NOW)) == "applied"
    acts = Acts(api, "cus_1")
    spent = await acts.journal(await acts.spend(105))
    assert await api.deliver(make_refund_event("evt_2", NOW, 1_000)) == "applied"
    assert await acts.sides() == (0, 0, 100)
    await acts.done(await acts.give_back(spend_id=spent))
    assert await acts.sides() == (5, 0, 0)
    assert await differences(database) == []


async def test_a_closed_or_suspended_account_is_given_back_too(acts, api, database) -> None:
    spent = await acts.journal(await acts.spend(10))
    for act, sides in (("suspend", (7, 0, 0)), ("resume", None), ("close", (9, 0, 0))):
        body = {"reason": "of the test"}
        done = await acts.post(f"accounts/user-1/{act}", body, scope="operator")
        assert done.status_code == 200, done.text
        if sides is not None:
            assert (await acts.give_back(2, spend_id=spent)).status_code == 201
            assert await acts.sides() == sides
    assert await ledger_differences(database) == []


async def test_after_a_join_it_comes_back_to_the_account_that_has_everything(api, database) -> None:
    await api.put("/api/v1/accounts/user-1", {})
    await subscribe(Acts(api, "user-2"), "PRO")
    left, joined = Acts(api, "user-2"), Acts(api, "user-1")
    spent = await left.journal(await left.spend(8))
    body = {"into": "user-1", "reason": "one person"}
    merged = await left.post("accounts/user-2/merge", body, scope="operator")
    assert merged.status_code == 200, merged.text
    before = await joined.available()
    told = await joined.done(await joined.give_back(3, spend_id=spent))
    assert (told["account_id"], told["amount"]) == ("user-1", 3)
    assert await joined.available() == before + 3
    by_old_name = await left.done(await left.give_back(1, spend_id=spent))
    assert by_old_name["returned"] == 4
    assert await differences(database) == []


async def test_the_roll_forward_tells_what_was_returned(acts, api, database) -> None:
    spent = await acts.journal(await acts.spend(12))
    await acts.done(await acts.give_back(5, spend_id=spent))
    await api.set_clock(NOW + timedelta(minutes=1))
    query = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-01T12:00:30Z"}
    told = (await api.get("/api/v1/ledger/roll-forward", **query)).json()
    assert (told["granted"], told["spent"], told["returned"], told["closing"]) == (15, 12, 5, 8)


@settings(max_examples=15, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["spend", "return", "reverse", "capture"]), st.integers(1, 9)),
        max_size=8,
    )
)
async def test_spends_less_returns_are_what_is_gone(two_accounts, steps) -> None:
    acts, database = await two_accounts()
    gone, spends = 0, []
    for step, amount in steps:
        if step in ("spend", "capture"):
            if step == "spend":
                answer = await acts.spend(amount)
            else:
                held = await acts.hold(amount)
                if held.status_code != 201:
                    continue
                answer = await acts.capture(held.json()["id"], amount)
            if answer.status_code not in (200, 201):
                continue
            what = "spend_id" if step == "spend" else "hold_id"
            spends.append([what, answer.json()["id"], amount])
            gone += amount
        elif spends:
            one = spends[amount % len(spends)]
            if step == "return":
                answer = await acts.give_back(amount, **{one[0]: one[1]})
                assert (answer.status_code == 201) == (amount <= one[2])
                back = amount if answer.status_code == 201 else 0
            elif one[0] == "spend_id":
                answer = await acts.reverse(one[1])
                back = one[2] if answer.status_code == 201 else 0
            else:
                continue
            one[2] -= back
            gone -= back
    assert await acts.available() == 15 - gone
    assert await differences(database) == []


@pytest.fixture
async def two_accounts(api, database):
    """Makes an account of 15 credits, a new one for each example."""
    made = []

    async def make():
        name = f"user-{len(made)}"
        made.append(name)
        await api.put(f"/api/v1/accounts/{name}", {})
        acts = Acts(api, name)
        await acts.done(await acts.grant(10))
        return acts, database

    return make


@pytest.mark.parametrize("left", [0, 3])
async def test_what_was_owed_and_repaid_comes_back_after_a_merge(api, database, left) -> None:
    """The gift that repaid it was used up by that, or in part, before the accounts were merged."""
    acts, other = Acts(api, "user-1"), Acts(api, "user-2")
    for one in (acts, other):
        await api.put(f"/api/v1/accounts/{one.account_id}", {})
    hold_id = await acts.held(5)
    await acts.done(await acts.capture(hold_id, 9, over="debt"))
    await acts.done(await acts.grant(4 + left))
    body = {"into": "user-2", "reason": "one person"}
    merged = await acts.post("accounts/user-1/merge", body, scope="operator")
    assert merged.status_code == 200, merged.text
    # Two days do not make two allowances: 5 of the day are used.
    assert await other.sides() == (left, 0, 0)
    told = await other.done(await other.give_back(6, hold_id=hold_id))
    assert (told["amount"], told["balance"]) == (6, left + 4 + 2)
    assert await other.sides() == (left + 6, 0, 0)
    assert await differences(database) == []


@pytest.mark.parametrize("merges", [False, True])
async def test_a_spend_comes_back_to_a_pack_whose_refund_failed_after_another_had_repaid_it(
    api, database, merges
) -> None:
    assert await api.deliver(make_session_event("evt_1", NOW)) == "applied"
    acts = Acts(api, "cus_1")
    spent = await acts.journal(await acts.spend(29))
    assert await api.deliver(make_refund_event("evt_2", NOW, 1_000)) == "applied"
    assert await acts.sides() == (0, 0, 24)
    second = make_session_event("evt_3", NOW, session="cs_2", intent="pi_2")
    assert await api.deliver(second) == "applied"
    failed = make_refund_event(
        "evt_4", NOW + timedelta(seconds=1), 1_000, "refund.failed", status="failed"
    )
    assert await api.deliver(failed) == "applied"
    assert await acts.sides() == (176, 0, 0)
    if not merges:
        await acts.done(await acts.give_back(29, spend_id=spent))
        assert await acts.sides() == (205, 0, 0)
        assert await differences(database) == []
    await api.put("/api/v1/accounts/user-1", {"stripe_customer_id": "cus_1"})
    one = Acts(api, "user-1")
    if merges:
        await one.done(await one.give_back(29, spend_id=spent))
    assert await one.sides() == (205, 0, 0)
    assert await ledger_differences(database) == []
