"""Which of a subscription's events came last, where Stripe's seconds do not tell."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.subscriptions.order import CHAIN_LENGTH_MAX, in_order, undecided
from statemachine import State
from tests.subscriptions.life_cycle_facts import Made


def order_of(made: Made) -> tuple[list[str], bool]:
    asked = {event_id: made.details[event_id] for event_id in undecided(made.facts)}
    ordered, tied = in_order(made.facts, asked)
    return [fact.event_id for fact in ordered], tied


@pytest.mark.parametrize("names", list(permutations("abc")), ids="".join)
def test_the_chain_of_previous_values_orders_the_updates_of_one_second(names) -> None:
    made = Made()
    made.created(0, "incomplete")
    made.updated(5, names[0], status="active")
    made.updated(5, names[1], status="past_due")
    made.updated(5, names[2], status="active", price="price_enterprise")
    assert order_of(made) == (["evt_00", *names], False)


def test_a_chain_follows_the_created_event_of_its_own_second() -> None:
    made = Made()
    made.created(5, "incomplete")
    made.updated(5, "z", status="active")
    made.updated(5, "a", status="past_due")
    assert order_of(made) == (["evt_00", "z", "a"], False)


def test_a_chain_whose_first_link_never_arrived_still_orders_itself() -> None:
    made = Made()
    made.created(0, "incomplete")
    lost = made.updated(3, "lost", status="active")
    made.updated(5, "z", status="past_due")
    made.updated(5, "a", price="price_enterprise")
    assert order_of(made.without(lost)) == (["evt_00", "z", "a"], False)


def test_a_chain_in_two_seconds_starts_at_the_end_of_the_one_before() -> None:
    made = Made()
    made.created(0)
    made.updated(5, "d", status="past_due")
    made.updated(5, "c", status="active")
    made.updated(6, "b", status="past_due")
    made.updated(6, "a", status="active")
    assert order_of(made) == (["evt_00", "d", "c", "b", "a"], False)


def test_two_event_objects_of_one_change_count_once() -> None:
    made = Made()
    made.created(0)
    made.updated(5, "m", status="past_due")
    made.updated(5, "k", status="active")
    made.copied("m", "z")
    made.copied("k", "a")
    assert order_of(made) == (["evt_00", "m", "a"], False)
    assert made.derived().state is State.ACTIVE


def test_a_copy_does_not_lend_its_price_to_the_changes_before_it() -> None:
    made = Made()
    made.created(0, "incomplete")
    made.updated(0, "b", status="active", price="price_nobody_knows")
    made.updated(0, "c", status="past_due", price="price_enterprise")
    made.copied("c", "z")
    assert made.derived().grace_tier == "PRO"


def test_two_event_objects_of_the_only_change_are_no_tie() -> None:
    made = Made()
    made.created(0)
    made.updated(5, "m", status="past_due")
    made.copied("m", "a")
    assert not made.derived().tied
    assert made.derived().state is State.PAST_DUE


def test_a_missing_link_leaves_a_tie_and_its_arrival_resolves_it() -> None:
    made = Made()
    made.created(0)
    made.updated(5, "c", status="past_due")
    made.updated(5, "b", status="unpaid")
    made.updated(5, "a", status="trialing")
    torn = made.without("b").derived()
    assert (torn.tied, torn.state) == (True, State.PAST_DUE)
    whole = made.derived()
    assert (whole.tied, whole.state) == (False, State.ACTIVE)


@pytest.mark.parametrize(
    ("statuses", "state"),
    [
        (("canceled", "past_due", "active", "incomplete"), State.CANCELED),
        (("past_due", "active", "incomplete"), State.PAST_DUE),
        (("active", "incomplete"), State.ACTIVE),
        (("unpaid", "trialing"), State.PAST_DUE),
        (("incomplete_expired", "active"), State.CANCELED),
    ],
)
def test_a_tie_goes_to_the_state_that_grants_least_among_the_living(statuses, state) -> None:
    for names in permutations("abcd"[: len(statuses)]):
        made = Made()
        made.created(0, "incomplete")
        for name, status in zip(names, statuses, strict=True):
            made.updated(5, name, status=status)
            made.details[name].previous.clear()  # nothing tells
            made.details[name].previous["unheard"] = name
        assert (made.derived().state, made.derived().tied) == (state, True)


def test_a_tie_of_equal_states_goes_to_the_later_event_id() -> None:
    made = Made()
    made.created(0)
    for name, price in (("b", "price_pro"), ("a", "price_enterprise")):
        made.updated(5, name, price=price)
        made.details[name].previous["unheard"] = name
    assert made.derived().tier == "PRO"
    assert made.derived().last.event_id == "b"


def test_back_and_forth_within_one_second_is_a_tie_only_where_its_start_is_unknown() -> None:
    made = Made()
    made.created(0)
    made.updated(5, "b", status="past_due")
    made.updated(5, "a", status="active")
    assert (made.derived().state, made.derived().tied) == (State.ACTIVE, False)
    unstarted = made.without("evt_00").derived()
    assert (unstarted.state, unstarted.tied) == (State.PAST_DUE, True)


def test_more_updates_in_one_second_than_are_searched_are_a_tie() -> None:
    made = Made()
    made.created(0, version=0)
    for version in range(1, CHAIN_LENGTH_MAX + 2):
        made.updated(5, f"e{version}", version=version)
    assert made.derived().tied


def test_a_tie_that_later_events_leave_behind_is_none() -> None:
    made = Made()
    made.created(0)
    for name, status in (("b", "past_due"), ("a", "active")):
        made.updated(5, name, status=status)
        made.details[name].previous["unheard"] = name
    made.updated(6, status="active")
    assert not made.derived().tied


def test_a_deletion_within_the_second_is_a_single_end_and_no_tie() -> None:
    made = Made()
    made.created(0)
    for name, status in (("b", "past_due"), ("a", "active")):
        made.updated(5, name, status=status)
        made.details[name].previous["unheard"] = name
    made.deleted(5)
    assert (made.derived().state, made.derived().tied) == (State.CANCELED, False)


def test_raw_objects_are_asked_for_only_where_updates_share_a_second() -> None:
    made = Made()
    made.created(0)
    made.updated(3, status="past_due")
    made.updated(4, status="active")
    assert undecided(made.facts) == set()
    made.updated(7, "y", status="past_due")
    made.updated(7, "x", status="active")
    assert undecided(made.facts) == {"evt_02", "y", "x"}


@given(names=st.permutations("abcdefg"), shuffle=st.randoms(use_true_random=False))
def test_however_a_chain_is_named_and_delivered_its_end_is_found(names, shuffle) -> None:
    made = Made()
    made.created(0, version=0)
    for version, name in enumerate(names, start=1):
        made.updated(5, name, version=version)
    shuffle.shuffle(made.facts)
    assert order_of(made) == (["evt_00", *names], False)
