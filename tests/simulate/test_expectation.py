"""The expectation, on cases small enough to work out by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.allowance.catalogue import default_text, parse
from app.simulate.expectation import Expected, ExpectedAccount, TierRules
from app.simulate.expected_jobs import ExpectedHold
from app.simulate.price_list import PriceList
from app.simulate.stripe_objects import ENTERPRISE_MONTHLY, PRO_MONTHLY

OPENED = datetime(2026, 1, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
TIERS = {
    "FREE": TierRules(daily_credits=5),
    "PRO": TierRules(daily_credits=20),
    "ENTERPRISE": TierRules(daily_credits=50),
}
GRACE = TIERS["PRO"].grace
SUB = "sub_1"


@pytest.fixture
def account() -> ExpectedAccount:
    return ExpectedAccount(OPENED, TIERS)


def expected(
    tier: str, state: str | None, available: int, *, granted: int, spent: int, expired: int
) -> Expected:
    return Expected(
        tier=tier,
        state=state,
        available=available,
        granted=granted,
        spent=spent,
        expired=expired,
        subscriptions={} if state is None else {SUB: state},
    )


def test_it_reads_the_shipped_catalogue() -> None:
    catalogue = parse(default_text(), "tiers.toml")
    prices = PriceList(catalogue)
    assert prices.rules == TIERS
    assert not prices.carries_over
    assert (prices.low.price, prices.high.price) == (PRO_MONTHLY, ENTERPRISE_MONTHLY)
    assert (prices.low.tier, prices.high.tier) == ("PRO", "ENTERPRISE")


def test_what_is_not_spent_expires_at_midnight(account: ExpectedAccount) -> None:
    assert account.spend(OPENED, 2)
    assert account.end(OPENED + 2 * DAY) == expected(
        "FREE", None, 5, granted=15, spent=2, expired=8
    )


def test_a_day_begins_at_the_account_s_own_midnight() -> None:
    account = ExpectedAccount(OPENED, TIERS, timedelta(hours=9))  # nine in the evening
    assert account.end(OPENED + 2 * HOUR).granted == 5
    assert account.end(OPENED + 3 * HOUR).granted == 10


def test_a_spend_is_all_or_nothing(account: ExpectedAccount) -> None:
    assert not account.spend(OPENED, 6)
    assert account.spend(OPENED, 5)
    assert not account.spend(OPENED, 1)
    assert account.end(OPENED) == expected("FREE", None, 0, granted=5, spent=5, expired=0)


def test_an_upgrade_grants_the_difference_at_once(account: ExpectedAccount) -> None:
    account.spend(OPENED, 3)
    account.activate(OPENED, SUB, "PRO")
    assert account.end(OPENED) == expected("PRO", "active", 17, granted=20, spent=3, expired=0)


def test_flipping_tiers_gains_nothing(account: ExpectedAccount) -> None:
    account.activate(OPENED, SUB, "PRO")
    account.spend(OPENED, 15)
    account.cancel(OPENED, SUB)
    account.activate(OPENED, SUB, "PRO")
    assert account.end(OPENED) == expected("PRO", "active", 5, granted=25, spent=15, expired=5)


def test_a_cancellation_trims_to_what_free_has_left(account: ExpectedAccount) -> None:
    account.activate(OPENED, SUB, "PRO")
    account.spend(OPENED, 2)
    account.cancel(OPENED, SUB)
    assert account.end(OPENED) == expected("FREE", "canceled", 3, granted=20, spent=2, expired=15)


def test_grace_keeps_the_tier_and_a_second_failure_does_not_stretch_it(
    account: ExpectedAccount,
) -> None:
    account.activate(OPENED, SUB, "PRO")
    account.fail(OPENED + HOUR, SUB)
    account.fail(OPENED + 3 * DAY, SUB)
    assert account.end(OPENED + HOUR + GRACE - HOUR).tier == "PRO"
    after = account.end(OPENED + HOUR + GRACE)
    assert (after.tier, after.state, after.available) == ("FREE", "past_due", 5)
    assert (after.granted, after.expired) == (20 * 8, 20 * 7 + 15)


def test_a_recovery_within_grace_changes_nothing(account: ExpectedAccount) -> None:
    account.activate(OPENED, SUB, "PRO")
    account.fail(OPENED + HOUR, SUB)
    account.activate(OPENED + DAY, SUB, "PRO")
    after = account.end(OPENED + 10 * DAY)
    assert (after.tier, after.state, after.granted) == ("PRO", "active", 20 * 11)


def test_the_best_of_several_subscriptions_counts_and_each_keeps_its_state(
    account: ExpectedAccount,
) -> None:
    account.activate(OPENED, "sub_1", "ENTERPRISE")
    account.activate(OPENED, "sub_2", "PRO")
    account.cancel(OPENED + HOUR, "sub_1")
    end = account.end(OPENED + HOUR)
    assert (end.tier, end.state, end.available) == ("PRO", "active", 20)
    assert end.subscriptions == {"sub_1": "canceled", "sub_2": "active"}


def test_two_graces_end_one_after_the_other(account: ExpectedAccount) -> None:
    account.activate(OPENED, "sub_1", "PRO")
    account.activate(OPENED, "sub_2", "ENTERPRISE")
    account.fail(OPENED + HOUR, "sub_2")
    account.fail(OPENED + 2 * DAY, "sub_1")
    tiers = [account.end(OPENED + days * DAY).tier for days in (6, 8, 10)]
    assert tiers == ["ENTERPRISE", "PRO", "FREE"]


def test_a_pause_has_no_grace_and_a_first_payment_is_waited_for(account: ExpectedAccount) -> None:
    account.begin(OPENED, SUB)
    assert account.end(OPENED).state == "created"
    account.activate(OPENED, SUB, "PRO")
    account.stop(OPENED + HOUR, SUB)
    end = account.end(OPENED + HOUR)
    assert (end.tier, end.state, end.available) == ("FREE", "past_due", 5)


def test_a_trial_gives_what_its_tier_says() -> None:
    tiers = {**TIERS, "PRO": TierRules(daily_credits=20, trial_grants=False)}
    account = ExpectedAccount(OPENED, tiers)
    account.begin_trial(OPENED, SUB, "PRO")
    assert (account.end(OPENED).tier, account.end(OPENED).state) == ("FREE", "active")


def test_a_grace_runs_still_at_an_instant_before_the_last_event(account: ExpectedAccount) -> None:
    account.activate(OPENED, SUB, "PRO")
    account.fail(OPENED + DAY, SUB)
    account.fail(OPENED + 20 * DAY, SUB)
    assert account.end(OPENED + 3 * DAY).tier == "PRO"


def test_what_was_bought_stays_when_the_day_ends(account: ExpectedAccount) -> None:
    account.buy(100)
    account.buy(-25)
    assert account.end(OPENED + 3 * DAY).available == 80


def test_a_closed_account_keeps_its_day_and_is_granted_again_once_it_is_open(
    account: ExpectedAccount,
) -> None:
    account.spend(OPENED, 2)
    account.close(OPENED)
    account.activate(OPENED + HOUR, SUB, "PRO")
    assert account.end(OPENED + HOUR).available == 3
    assert account.end(OPENED + DAY).available == 0
    account.reopen(OPENED + 3 * DAY)
    assert account.end(OPENED + 3 * DAY) == expected(
        "PRO", "active", 20, granted=25, spent=2, expired=3
    )


@pytest.mark.parametrize(("rule", "tier"), [("keep", "PRO"), ("none", "FREE")])
def test_a_paused_collection_gives_what_its_tier_says(rule: str, tier: str) -> None:
    tiers = {**TIERS, "PRO": TierRules(daily_credits=20, pause_collection=rule)}
    account = ExpectedAccount(OPENED, tiers)
    account.activate(OPENED, SUB, "PRO")
    account.pause_collection(OPENED + HOUR, SUB)
    end = account.end(OPENED + HOUR)
    assert (end.tier, end.state, end.available) == (tier, "active", tiers[tier].daily_credits)
    account.resume_collection(OPENED + 2 * HOUR, SUB)
    assert account.end(OPENED + 2 * HOUR).tier == "PRO"


def test_a_planned_end_changes_nothing_until_it_comes(account: ExpectedAccount) -> None:
    account.activate(OPENED, SUB, "PRO")
    account.schedule_end(SUB, OPENED + 2 * DAY)
    end = account.end(OPENED + DAY)
    assert (end.tier, end.ends) == ("PRO", {SUB: OPENED + 2 * DAY})
    account.cancel(OPENED + 2 * DAY, SUB)
    end = account.end(OPENED + 2 * DAY)
    assert (end.tier, end.ends) == ("FREE", {})


def test_a_return_is_free_again_today_and_expires_tomorrow(account: ExpectedAccount) -> None:
    spent = account.spend(OPENED, 5)
    assert spent
    assert account.give_back(OPENED, [spent], 2) is None
    assert account.end(OPENED) == expected("FREE", None, 2, granted=5, spent=5, expired=0)
    assert account.give_back(OPENED, [spent], 4) == "return_exceeds_spend"
    assert account.give_back(OPENED + DAY, [spent], 3) is None
    assert account.end(OPENED + DAY) == expected("FREE", None, 5, granted=10, spent=5, expired=5)


def test_what_a_hold_does_not_cover_is_taken_owed_and_repaid(account: ExpectedAccount) -> None:
    hold = account.hold(OPENED, 3, HOUR)
    assert hold
    assert account.capture(OPENED, hold, 9, "refuse", final=True) == "refused"
    assert account.capture(OPENED, hold, 9, "debt", final=True) is None
    assert account.capture(OPENED, hold, 1, "debt", final=True) == "hold_closed"
    assert account.end(OPENED + DAY) == expected("FREE", None, 1, granted=10, spent=9, expired=0)
    # 5 of it come back: the 4 that were owed are free again where they were repaid.
    assert account.give_back(OPENED + DAY, hold.captures, 5) is None
    assert account.end(OPENED + DAY) == expected("FREE", None, 5, granted=10, spent=9, expired=1)


def test_a_hold_over_midnight_is_extended_and_its_rest_expires(account: ExpectedAccount) -> None:
    hold = account.hold(OPENED, 4, HOUR)
    assert hold
    assert account.extend(OPENED, hold, DAY) is None
    assert account.capture(OPENED + DAY - HOUR, hold, 1, "refuse", final=False) is None
    assert account.end(OPENED + DAY) == expected("FREE", None, 5, granted=10, spent=1, expired=4)
    assert account.extend(OPENED + DAY, hold, DAY) == "hold_expired"
    assert account.extend(OPENED, ExpectedHold(0, 1, OPENED - 7 * DAY, OPENED + HOUR), HOUR) == (
        "hold_too_long"
    )


def test_a_hold_beyond_the_tier_that_is_left_is_trimmed_at_its_release(
    account: ExpectedAccount,
) -> None:
    account.activate(OPENED, SUB, "PRO")
    hold = account.hold(OPENED, 15, HOUR)
    assert hold
    account.cancel(OPENED, SUB)
    assert account.release(OPENED, hold) is None
    assert account.end(OPENED) == expected("FREE", "canceled", 5, granted=20, spent=0, expired=15)
