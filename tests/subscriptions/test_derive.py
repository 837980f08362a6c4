"""What a subscription comes to, and what it gives, from the set of what was heard of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.subscriptions.facts import FactKind
from statemachine import State
from tests.subscriptions.life_cycle_facts import (
    ENTERPRISE,
    IGNORED,
    PRO,
    TRIALLESS,
    UNKNOWN,
    Made,
    at,
    derive_asked,
)

PRO_GRACE = timedelta(days=7)
ENTERPRISE_GRACE = timedelta(days=3)


def gives(made: Made) -> tuple[str | None, str | None]:
    """(tier, grace tier)."""
    derived = made.derived()
    return derived.tier, derived.grace_tier


# States


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("incomplete", State.CREATED),
        ("trialing", State.ACTIVE),
        ("active", State.ACTIVE),
        ("past_due", State.PAST_DUE),
        ("unpaid", State.PAST_DUE),
        ("paused", State.PAST_DUE),
        ("canceled", State.CANCELED),
        ("incomplete_expired", State.CANCELED),
    ],
)
def test_stripes_status_leads_to_our_state(status, state) -> None:
    made = Made()
    made.created(0, status)
    assert made.derived().state is state


def test_an_incomplete_subscription_gives_nothing_yet() -> None:
    made = Made()
    made.created(0, "incomplete")
    assert gives(made) == (None, None)


def test_a_first_invoices_failure_leaves_it_created() -> None:
    made = Made()
    made.created(0, "incomplete")
    made.payment_failed(1)
    made.payment_succeeded(2)
    assert (made.derived().state, *gives(made)) == (State.CREATED, None, None)


@pytest.mark.parametrize("status", ["active", "trialing", "past_due", "incomplete", "paused"])
def test_canceled_is_final_whatever_comes_later(status) -> None:
    made = Made()
    made.created(0)
    canceled = made.deleted(10)
    made.updated(11, status=status, price=ENTERPRISE)
    made.payment_succeeded(12)
    derived = made.derived()
    assert (derived.state, derived.tier, derived.grace_tier) == (State.CANCELED, None, None)
    assert derived.decided_by.event_id == canceled


def test_what_is_told_of_it_stays_as_the_cancellation_left_it() -> None:
    """No alert rises for a price that nobody knows where nothing is given any more."""
    made = Made()
    made.created(0)
    canceled = made.deleted(10)
    made.updated(11, status="active", price=UNKNOWN)
    derived = made.derived()
    assert derived.snapshot is not None
    assert (derived.snapshot.event_id, derived.prices_unknown) == (canceled, False)


def test_a_late_event_never_revives() -> None:
    made = Made()
    made.created(0)
    made.updated(5, price=ENTERPRISE)
    made.deleted(10)
    late = made.without("evt_01").derived()
    assert made.derived() == late


def test_a_deletion_cancels_whatever_status_it_carries() -> None:
    made = Made()
    made.created(0)
    event_id = made.deleted(10)
    made.facts = [
        fact if fact.event_id != event_id else type(fact)(**{**fields(fact), "status": "active"})
        for fact in made.facts
    ]
    assert made.derived().state is State.CANCELED


def fields(fact) -> dict[str, object]:
    return {name: getattr(fact, name) for name in fact.__struct_fields__}


def test_invoices_move_only_between_active_and_past_due() -> None:
    made = Made()
    made.created(0)
    made.payment_failed(10)
    assert (made.derived().state, *gives(made)) == (State.PAST_DUE, None, "PRO")
    made.payment_succeeded(20)
    assert (made.derived().state, *gives(made)) == (State.ACTIVE, "PRO", None)


def test_a_snapshot_outranks_the_invoice_events_of_its_second() -> None:
    made = Made()
    made.created(0)
    made.payment_failed(10)
    made.updated(10, status="active")
    assert made.derived().state is State.ACTIVE
    made.updated(20, status="past_due")
    made.payment_succeeded(20)
    assert made.derived().state is State.PAST_DUE


def test_an_invoice_event_older_than_the_newest_snapshot_says_nothing() -> None:
    made = Made()
    made.created(0)
    made.updated(20, status="active", period=2)
    made.payment_failed(10)
    assert made.derived().state is State.ACTIVE


# What it gives


@pytest.mark.parametrize("status", ["unpaid", "paused"])
def test_unpaid_and_paused_give_nothing(status) -> None:
    made = Made()
    made.created(0)
    made.updated(10, status=status)
    assert (made.derived().state, *gives(made)) == (State.PAST_DUE, None, None)


def test_the_best_of_the_known_items_counts_once() -> None:
    made = Made()
    made.created(0)
    fact = made.facts[0]
    items = (UNKNOWN, PRO, ENTERPRISE, ENTERPRISE)
    made.facts[0] = type(fact)(**{**fields(fact), "prices": items})
    assert gives(made) == ("ENTERPRISE", None)
    assert not made.derived().prices_unknown


def test_an_unknown_price_keeps_the_tier_it_had() -> None:
    made = Made()
    made.created(0)
    made.updated(10, price=UNKNOWN)
    assert (made.derived().prices_unknown, *gives(made)) == (True, "PRO", None)
    made.updated(20, status="past_due")
    assert gives(made) == (None, "PRO")


def test_an_unknown_price_from_the_start_gives_nothing() -> None:
    made = Made()
    made.created(0, price=UNKNOWN)
    assert (made.derived().prices_unknown, *gives(made)) == (True, None, None)


def test_ignored_prices_give_nothing_silently() -> None:
    made = Made()
    made.created(0)
    made.updated(10, price=IGNORED)
    assert (made.derived().prices_unknown, *gives(made)) == (False, None, None)


def test_the_state_moves_whatever_the_price() -> None:
    made = Made()
    made.created(0, "incomplete", price=UNKNOWN)
    made.updated(10, status="active")
    assert made.derived().state is State.ACTIVE
    made.deleted(20)
    assert made.derived().state is State.CANCELED


# Grace


def test_grace_keeps_the_tier_for_so_many_days_from_the_failure() -> None:
    made = Made()
    made.created(0)
    made.updated(10, status="past_due")
    assert gives(made) == (None, "PRO")
    assert made.derived().grace_ends_at == at(10) + PRO_GRACE


@pytest.mark.parametrize(("invoice", "snapshot"), [(10, 15), (15, 10)])
def test_grace_starts_at_the_earliest_failure(invoice, snapshot) -> None:
    made = Made()
    made.created(0)
    made.payment_failed(invoice)
    made.updated(snapshot, status="past_due")
    made.payment_failed(30)
    assert made.derived().grace_ends_at == at(10) + PRO_GRACE


def test_grace_starts_anew_only_after_it_was_in_order_again() -> None:
    made = Made()
    made.created(0)
    made.updated(10, status="past_due")
    made.updated(20, status="past_due", tries=2)
    assert made.derived().grace_ends_at == at(10) + PRO_GRACE
    made.updated(30, status="active")
    made.updated(40, status="past_due")
    assert made.derived().grace_ends_at == at(40) + PRO_GRACE


def test_an_upgrade_while_past_due_gives_no_more() -> None:
    made = Made()
    made.created(0)
    made.updated(10, status="past_due")
    made.updated(20, price=ENTERPRISE)
    assert gives(made) == (None, "PRO")
    assert made.derived().grace_ends_at == at(10) + PRO_GRACE


def test_a_downgrade_while_past_due_gives_less() -> None:
    made = Made()
    made.created(0, price=ENTERPRISE)
    made.updated(10, status="past_due")
    assert made.derived().grace_ends_at == at(10) + ENTERPRISE_GRACE
    made.updated(20, price=PRO)
    assert gives(made) == (None, "PRO")


@pytest.mark.parametrize("first", ["past_due", "incomplete"])
def test_what_was_never_active_has_no_grace(first) -> None:
    made = Made()
    made.created(0, first)
    made.updated(10, status="past_due", note="again")
    assert gives(made) == (None, None)
    assert made.derived().grace_ends_at is None


def test_an_unpaid_subscription_has_no_grace_left() -> None:
    made = Made()
    made.created(0)
    made.updated(10, status="past_due")
    made.updated(20, status="unpaid")
    assert gives(made) == (None, None)


# Trials


def test_a_trial_gives_its_tier_where_trials_grant() -> None:
    made = Made()
    made.created(0, "trialing")
    assert gives(made) == ("PRO", None)


def test_a_trial_gives_nothing_where_trials_do_not_grant() -> None:
    made = Made()
    made.created(0, "trialing", price=TRIALLESS)
    assert (made.derived().state, *gives(made)) == (State.ACTIVE, None, None)
    made.updated(10, status="past_due")
    assert gives(made) == (None, None)


def test_a_trial_added_to_what_was_active_before_goes_on_giving() -> None:
    made = Made()
    made.created(0, price=TRIALLESS)
    made.updated(10, status="trialing")
    assert gives(made) == ("TRIALLESS", None)


# The set, not the order


def life_cycles(change: st.SearchStrategy[dict[str, object]]) -> st.SearchStrategy[Made]:
    """Life cycles with ties, copies, invoices and an end; versions make the chains whole."""

    @st.composite
    def draw_one(draw: st.DrawFn) -> Made:
        made = Made()
        second = 0
        names = draw(st.permutations([f"evt_{letter}" for letter in "abcdefgh"]))
        made.created(0, draw(st.sampled_from(["incomplete", "trialing", "active"])), version=0)
        for version, name in enumerate(names[: draw(st.integers(1, 6))], start=1):
            second += draw(st.sampled_from([0, 0, 0, 1, 60]))
            act = draw(st.sampled_from(["update", "update", "update", "copy", "fail", "pay"]))
            in_second = [fact for fact in made.facts if fact.occurred_at == at(second)]
            if act in ("fail", "pay"):
                # Invoice facts of a second count as before its snapshots: so they are made.
                second += 1 if in_second else 0
                (made.payment_failed if act == "fail" else made.payment_succeeded)(second)
            else:
                made.updated(second, name, version=version, **draw(change))
                if act == "copy":
                    made.copied(name, draw(st.sampled_from(["evt_0", "evt_z"])) + name[-1])
        if draw(st.booleans()):
            made.deleted(second + draw(st.sampled_from([0, 1])))
        return made

    return draw_one()


CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(
            ["active", "active", "past_due", "past_due", "unpaid", "trialing", "paused"]
        ),
        "price": st.sampled_from([PRO, ENTERPRISE, UNKNOWN, IGNORED]),
    },
)


@given(life_cycles(CHANGES), st.data())
def test_any_order_of_arrival_comes_to_the_same(made, data) -> None:
    expected = made.derived()
    shuffled = data.draw(st.permutations(made.facts))
    assert derive_asked(shuffled, made.details) == expected


@given(life_cycles(CHANGES))
def test_the_end_is_where_stripe_left_it(made) -> None:
    derived = made.derived()
    canceled = [fact for fact in made.facts if fact.kind is FactKind.DELETED]
    snapshots = [fact for fact in made.facts if fact.status is not None]
    assert not derived.tied
    if canceled:
        assert derived.state is State.CANCELED
        return
    assert derived.snapshot is not None
    assert made.objects[derived.snapshot.event_id] == made.present
    if made.facts[-1] in snapshots:
        expected = {"incomplete": "created", "trialing": "active", "active": "active"}
        assert derived.state == expected.get(str(made.present["status"]), "past_due")


@given(life_cycles(CHANGES), st.data())
def test_copies_of_events_change_nothing(made, data) -> None:
    """A second Event object in the same second, under another id, is no second change."""
    snapshots = [fact for fact in made.facts if fact.kind is FactKind.UPDATED]
    if not snapshots:
        return
    before = made.derived()
    made.copied(data.draw(st.sampled_from(snapshots)).event_id, data.draw(st.sampled_from("0z")))
    after = made.derived()
    assert (after.state, after.tier, after.grace_tier, after.grace_ends_at, after.tied) == (
        before.state,
        before.tier,
        before.grace_tier,
        before.grace_ends_at,
        before.tied,
    )


@given(life_cycles(CHANGES))
def test_grace_never_gives_more_than_a_tier_that_was_given(made) -> None:
    """No event that arrives while it is past due raises what it gives."""
    derived = made.derived()
    if derived.grace_tier is None:
        return
    given_before = set()
    for count in range(1, len(made.facts) + 1):
        given_before.add(derive_asked(made.facts[:count], made.details).tier)
    best = max((credits(tier) for tier in given_before if tier), default=0)
    assert credits(derived.grace_tier) <= best


def credits(tier: str) -> int:
    return {"FREE": 5, "PRO": 20, "TRIALLESS": 30, "ENTERPRISE": 50}[tier]


def test_a_renewal_that_is_paid_late_gives_throughout() -> None:
    """Past due, recovered, past due again: each grace counts from its own failure."""
    made = Made()
    made.created(0, "incomplete")
    made.updated(1, status="active")
    made.payment_failed(100)
    made.updated(101, status="past_due")
    made.payment_succeeded(200)
    made.updated(201, status="active")
    made.payment_failed(300)
    derived = made.derived()
    assert (derived.state, derived.grace_ends_at) == (State.PAST_DUE, at(300) + PRO_GRACE)
