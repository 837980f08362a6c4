"""A return is itself reversed: what it gave is spent again, and may come back again, once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.allowance.catalogue import default_text
from tests.acts import DAY, Acts
from tests.as_owner import apply_tiers
from tests.conftest import NOW
from tests.invariants import differences
from tests.money_events import make_dispute_event, make_session_event

CARRY = default_text().replace(
    "[tiers.FREE]\ndaily_credits = 5", "[tiers.FREE]\ncarry_over_max = 5\ndaily_credits = 5"
)


@pytest.fixture
async def acts(api) -> Acts:
    """A FREE account with a gift of 10 beside the day's 5."""
    await api.put("/api/v1/accounts/user-1", {})
    one = Acts(api)
    await one.done(await one.grant(10, ends=NOW + 30 * DAY))
    return one


def told(answer: dict[str, int]) -> tuple[int, ...]:
    """requested, clawed, held, shortfall, expired, carried."""
    names = ("requested", "clawed", "held", "shortfall", "expired", "carried")
    return tuple(answer[name] for name in names)


async def test_what_came_back_to_two_lots_is_spent_again_and_may_come_back_again(
    acts, database
) -> None:
    spent = await acts.journal(await acts.spend(12))
    back = await acts.journal(await acts.give_back(9, spend_id=spent))
    dry = (await acts.reverse(back, dry_run=True)).json()
    assert (told(dry), await acts.available()) == ((9, 9, 0, 0, 0, 0), 12)
    reversed_ = await acts.done(await acts.reverse(back))
    assert told(reversed_) == (9, 9, 0, 0, 0, 0)
    assert await acts.journal_entries(reversed_["journal_id"]) == [
        ("reversal", "free", "spent", 7),
        ("reversal", "free", "spent", 2),
    ]
    assert await acts.available() == 3
    assert (await acts.reverse(back)).json() == reversed_
    again = await acts.done(await acts.give_back(spend_id=spent))
    assert (again["amount"], again["returned"], again["available"]) == (12, 12, 15)
    assert (await acts.reverse(spent)).json()["code"] == "not_reversible"
    twice = await acts.done(await acts.reverse(again["id"]))
    assert told(twice) == (12, 12, 0, 0, 0, 0)
    assert told(await acts.done(await acts.reverse(spent))) == (12, 0, 0, 0, 0, 0)
    assert await acts.available() == 15
    assert await differences(database) == []


@pytest.mark.parametrize(
    ("policy", "sides", "later"),
    [("write_off", (1, 0, 0), (8, 0, 0)), ("debt", (0, 0, 4), (8, 0, 0))],
)
async def test_what_was_spent_since_follows_the_policy_and_comes_back_once(
    acts, database, policy, sides, later
) -> None:
    """The day's 5 of the 12 are gone. Another return does not give them a second time."""
    spent = await acts.journal(await acts.spend(12))
    back = await acts.journal(await acts.give_back(spend_id=spent))
    await acts.done(await acts.spend(7))
    refused = await acts.reverse(back, "reject")
    assert (refused.status_code, refused.json()["code"]) == (409, "shortfall")
    assert await acts.sides() == (8, 0, 0)
    assert told(await acts.done(await acts.reverse(back, policy))) == (12, 7, 0, 5, 0, 0)
    assert await acts.sides() == sides
    await acts.done(await acts.give_back(spend_id=spent))
    assert await acts.sides() == later
    assert await differences(database) == []


async def test_what_is_held_is_taken_at_its_release(acts, database) -> None:
    spent = await acts.journal(await acts.spend(12))
    back = await acts.journal(await acts.give_back(spend_id=spent))
    hold = await acts.held(6)
    answer = await acts.done(await acts.reverse(back))
    assert told(answer) == (12, 7, 5, 0, 0, 0)
    assert await acts.sides() == (2, 6, 0)
    await acts.done(await acts.release(hold))
    assert await acts.sides() == (3, 0, 0)
    found = await acts.api.get(f"/api/v1/reversals/{answer['id']}", scope="operator")
    assert told(found.json()) == (12, 12, 0, 0, 0, 0)
    listed = await acts.api.get("/api/v1/reversals", account_id="user-1", scope="operator")
    assert [one["id"] for one in listed.json()["data"]] == [answer["id"]]
    assert await differences(database) == []


async def test_a_debt_that_the_return_lowered_is_owed_again(acts, database) -> None:
    """Nothing repaid it between."""
    hold = await acts.held(15)
    await acts.done(await acts.capture(hold, 21, over="debt"))
    back = await acts.journal(await acts.give_back(8, hold_id=hold))
    assert await acts.sides() == (2, 0, 0)
    assert told(await acts.done(await acts.reverse(back))) == (8, 8, 0, 0, 0, 0)
    assert await acts.sides() == (0, 0, 6)
    again = await acts.done(await acts.give_back(hold_id=hold))
    assert (again["amount"], again["balance"]) == (21, 15)
    assert await differences(database) == []


@pytest.mark.parametrize(("spent_since", "owed"), [(0, 0), (3, 3)])
async def test_a_gift_that_repaid_it_repays_it_again(acts, database, spent_since, owed) -> None:
    hold = await acts.held(15)
    await acts.done(await acts.capture(hold, 21, over="debt"))
    await acts.done(await acts.grant(6, priority=1))
    back = await acts.journal(await acts.give_back(6, hold_id=hold))
    assert await acts.sides() == (6, 0, 0)
    if spent_since:
        await acts.done(await acts.spend(spent_since))
    assert told(await acts.done(await acts.reverse(back))) == (6, 6, 0, 0, 0, 0)
    assert await acts.sides() == (0, 0, owed)
    again = await acts.done(await acts.give_back(6, hold_id=hold))
    assert again["balance"] == 6 - spent_since
    assert await differences(database) == []


async def test_a_gift_that_ended_meanwhile_is_not_owed_again(acts, api, database) -> None:
    """Its 6 came back and expired; neither they nor the debt that they had repaid come again."""
    hold = await acts.held(15)
    await acts.done(await acts.capture(hold, 21, over="debt"))
    await acts.done(await acts.grant(6, ends=NOW + timedelta(hours=1)))
    back = await acts.journal(await acts.give_back(8, hold_id=hold))
    assert await acts.sides() == (8, 0, 0)
    await api.set_clock(NOW + timedelta(hours=2))
    assert await acts.sides() == (2, 0, 0)
    assert told(await acts.done(await acts.reverse(back))) == (8, 2, 0, 0, 6, 0)
    assert await acts.sides() == (0, 0, 0)
    again = await acts.done(await acts.give_back(hold_id=hold))
    assert (again["amount"], again["returned"], again["balance"]) == (15, 21, 15)
    assert await differences(database) == []


async def test_a_debt_that_the_lots_repaid_is_owed_again(acts, database) -> None:
    """What came back paid for another debt."""
    spent = await acts.journal(await acts.spend(15))
    hold = await acts.held(1) if await acts.available() else None
    assert hold is None
    await acts.done(await acts.grant(1))
    hold = await acts.held(1)
    await acts.done(await acts.capture(hold, 5, over="debt"))
    back = await acts.journal(await acts.give_back(7, spend_id=spent))
    assert await acts.sides() == (3, 0, 0)
    assert told(await acts.done(await acts.reverse(back))) == (7, 7, 0, 0, 0, 0)
    assert await acts.sides() == (0, 0, 4)
    await acts.done(await acts.give_back(7, spend_id=spent))
    assert await acts.sides() == (3, 0, 0)
    assert await differences(database) == []


@pytest.mark.parametrize("of_hold", [False, True])
async def test_what_a_midnight_carried_on_is_taken_there_and_may_be_carried_again(
    api, book, database, of_hold
) -> None:
    await apply_tiers(book, CARRY)
    await api.put("/api/v1/accounts/user-1", {})
    acts = Acts(api)
    if of_hold:
        hold = await acts.held(5)
        await acts.done(await acts.capture(hold, 5))
        what = {"hold_id": hold}
    else:
        what = {"spend_id": await acts.journal(await acts.spend(5))}
    await api.set_clock(NOW + DAY)
    for _ in range(2):
        back = await acts.done(await acts.give_back(**what))
        assert (back["carried"], back["available"]) == (5, 10)
        assert told(await acts.done(await acts.reverse(back["id"]))) == (5, 5, 0, 0, 0, 0)
        assert await acts.available() == 5
    await acts.done(await acts.give_back(**what))
    await acts.done(await acts.spend(8))
    assert await differences(database) == []


async def test_what_expired_at_once_is_taken_from_nobody(acts, api, database) -> None:
    spent = await acts.journal(await acts.spend(5))
    await api.set_clock(NOW + DAY)
    back = await acts.journal(await acts.give_back(spend_id=spent))
    assert told(await acts.done(await acts.reverse(back))) == (5, 0, 0, 0, 5, 0)
    assert await acts.sides() == (15, 0, 0)
    # Nothing was taken for it, so that it stays returned.
    assert (await acts.give_back(spend_id=spent)).json()["code"] == "return_exceeds_spend"
    assert await differences(database) == []


@pytest.mark.parametrize("policy", ["write_off", "debt"])
async def test_what_the_return_made_good_of_a_reversed_gift_falls_short_again(
    acts, database, policy
) -> None:
    gift = await acts.journal(await acts.grant(4, ends=NOW + timedelta(hours=1), priority=1))
    spent = await acts.journal(await acts.spend(4))
    await acts.done(await acts.spend(15))
    await acts.done(await acts.reverse(gift, policy))
    short = await acts.sides()
    assert short == (0, 0, 4 if policy == "debt" else 0)
    back = await acts.journal(await acts.give_back(spend_id=spent))
    assert await acts.sides() == (0, 0, 0)
    assert told(await acts.done(await acts.reverse(back))) == (4, 4, 0, 0, 0, 0)
    assert await acts.sides() == short
    await acts.done(await acts.give_back(spend_id=spent))
    assert await acts.sides() == (0, 0, 0)
    assert await differences(database) == []


async def test_what_a_dispute_froze_as_it_came_back_is_spent_again(api, database) -> None:
    assert await api.deliver(make_session_event("evt_1", NOW)) == "applied"
    acts = Acts(api, "cus_1")
    spent = await acts.journal(await acts.spend(45))
    dispute = make_dispute_event("evt_2", NOW, "needs_response", amount=1_000)
    assert await api.deliver(dispute) == "applied"
    assert await acts.sides() == (0, 60, 0)
    back = await acts.journal(await acts.give_back(40, spend_id=spent))
    assert await acts.sides() == (0, 100, 0)
    assert told(await acts.done(await acts.reverse(back))) == (40, 40, 0, 0, 0, 0)
    assert await acts.sides() == (0, 60, 0)
    won = make_dispute_event("evt_3", NOW + timedelta(seconds=1), "won", "closed", amount=1_000)
    assert await api.deliver(won) == "applied"
    assert await acts.sides() == (60, 0, 0)
    assert await differences(database) == []


@pytest.mark.parametrize("merged_first", [True, False])
async def test_after_a_merge_it_is_taken_from_the_account_that_has_everything(
    acts, api, database, merged_first
) -> None:
    await api.put("/api/v1/accounts/user-2", {})
    other = Acts(api, "user-2")
    spent = await acts.journal(await acts.spend(12))
    back = "" if merged_first else await acts.journal(await acts.give_back(9, spend_id=spent))
    body = {"into": "user-2", "reason": "one person"}
    assert (await acts.post("accounts/user-1/merge", body, scope="operator")).status_code == 200
    before = 3  # of the gift: 5 of the day are used, and two days are no two allowances
    if merged_first:
        assert await other.available() == before
        back = await other.journal(await other.give_back(9, spend_id=spent))
    assert await other.available() == before + 9
    answer = await other.done(await other.reverse(back))
    assert answer["requested"] == 9
    assert await other.available() == before
    assert (await other.done(await other.give_back(9, spend_id=spent)))["available"] == before + 9
    assert await differences(database) == []


async def test_the_reports_tell_what_was_spent_in_the_end(acts, api, database) -> None:
    spent = await acts.journal(await acts.spend(12, label="video"))
    back = await acts.journal(await acts.give_back(9, spend_id=spent))
    await acts.done(await acts.reverse(back))
    await api.set_clock(NOW + timedelta(minutes=1))
    query = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-01T12:00:30Z"}
    moved = (await api.get("/api/v1/ledger/roll-forward", **query)).json()
    flows = ("granted", "spent", "returned", "reversed", "closing")
    assert [moved[name] for name in flows] == [15, 12, 9, -9, 3]
    days = {"from": "2026-01-01", "to": "2026-01-02", "by": "label"}
    used = (await api.get("/api/v1/usage", **days)).json()["data"]
    assert [(row["spent"], row["returned"], row["reversed"]) for row in used] == [(12, 9, -9)]
    assert await differences(database) == []


async def test_debt_that_the_account_in_the_middle_repaid_comes_back_from_there(
    acts, api, database
) -> None:
    """user-1 was merged into user-2, whose gift repaid the debt, and that into user-3."""
    for name in ("user-2", "user-3"):
        await api.put(f"/api/v1/accounts/{name}", {})
    middle, last = Acts(api, "user-2"), Acts(api, "user-3")
    await middle.done(await middle.spend(5))
    hold = await acts.held(15)
    await acts.done(await acts.capture(hold, 21, over="debt"))
    for one, into in ((acts, "user-2"), (middle, "user-3")):
        if one is middle:
            await middle.done(await middle.grant(6, ends=NOW + 30 * DAY))
        body = {"into": into, "reason": "one person"}
        path = f"accounts/{one.account_id}/merge"
        assert (await one.post(path, body, scope="operator")).status_code == 200
    before = await last.available()
    back = await last.done(await last.give_back(6, hold_id=hold))
    assert (back["amount"], back["available"]) == (6, before + 6)
    assert told(await last.done(await last.reverse(back["id"]))) == (6, 6, 0, 0, 0, 0)
    assert await last.available() == before
    assert await differences(database) == []


async def test_a_hold_that_was_captured_before_and_after_a_merge_comes_back_whole(
    acts, api, database
) -> None:
    await api.put("/api/v1/accounts/user-2", {})
    other = Acts(api, "user-2")
    hold = await acts.held(12)
    await acts.done(await acts.capture(hold, 3, final=False))
    body = {"into": "user-2", "reason": "one person"}
    assert (await acts.post("accounts/user-1/merge", body, scope="operator")).status_code == 200
    await other.done(await other.capture(hold, 4, final=False))
    before = await other.sides()
    back = await other.done(await other.give_back(hold_id=hold))
    assert (back["amount"], back["balance"]) == (7, sum(before) + 7)
    assert told(await other.done(await other.reverse(back["id"])))[0] == 7
    assert await other.sides() == before
    assert await differences(database) == []
