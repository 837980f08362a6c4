"""Of several failed invoices the latest decides, as with Stripe; from any order and checkpoint."""

from __future__ import annotations

from itertools import permutations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.subscriptions.derive import FOLD_FORM, checkpoint_of
from app.subscriptions.facts import Fact
from app.subscriptions.invoices import FAILED_MAX
from statemachine import State
from tests.subscriptions.life_cycle_facts import Made, Stored, at

OLDER, NEWER = 10, 20  # the seconds in which two invoices were made


def state_of(made: Made) -> State:
    return made.derived().state


@pytest.fixture
def made() -> Made:
    """Active, and then two renewals fail."""
    made = Made()
    made.created(0)
    made.payment_failed(11, OLDER)
    made.payment_failed(21, NEWER)
    return made


def test_the_older_paid_first_leaves_it_past_due_in_its_first_grace(made) -> None:
    made.payment_succeeded(30, OLDER)
    derived = made.derived()
    assert (derived.state, derived.failing_since) == (State.PAST_DUE, at(11))
    made.payment_succeeded(31, NEWER)
    assert (state_of(made), made.derived().failing_since) == (State.ACTIVE, None)


def test_the_newer_paid_makes_it_active_whatever_becomes_of_the_older(made) -> None:
    made.payment_succeeded(30, NEWER)
    assert state_of(made) is State.ACTIVE
    made.payment_failed(31, OLDER)  # Stripe tries it again
    assert state_of(made) is State.ACTIVE
    made.payment_succeeded(32, OLDER)
    assert state_of(made) is State.ACTIVE


def test_a_payment_told_twice_counts_once(made) -> None:
    made.payment_succeeded(30, OLDER)
    made.payment_succeeded(30, OLDER)
    assert state_of(made) is State.PAST_DUE


def test_a_later_invoice_that_never_failed_makes_it_active(made) -> None:
    made.payment_succeeded(41, 40)
    assert state_of(made) is State.ACTIVE


def test_the_renewals_snapshot_leaves_what_failed_before_it_standing(made) -> None:
    made.updated(25, status="past_due")
    made.payment_succeeded(30, OLDER)
    assert state_of(made) is State.PAST_DUE
    made.payment_succeeded(31, NEWER)
    assert state_of(made) is State.ACTIVE


@pytest.mark.parametrize("status", ["active", "trialing"])
def test_once_a_snapshot_says_active_the_payment_of_what_had_failed_changes_nothing(
    made, status
) -> None:
    """So ends a failure whose invoice was voided or marked uncollectible, which is not read."""
    made.updated(25, status=status)
    before = made.derived()
    made.payment_succeeded(30, OLDER)
    made.payment_succeeded(31, NEWER)
    after = made.derived()
    assert (after.state, after.tier, after.decided_by) == (State.ACTIVE, "PRO", before.decided_by)
    made.payment_failed(41, 40)
    # An invoice moves between Stripe's own active and past_due, and out of no other status.
    moved = State.PAST_DUE if status == "active" else State.ACTIVE
    assert state_of(made) is moved


def test_of_two_made_in_one_second_both_are_to_be_paid() -> None:
    made = Made()
    made.created(0)
    one, other = made.payment_failed(11, OLDER), made.payment_failed(12, OLDER)
    made.facts = [renamed(fact, "in_b") if fact.event_id == other else fact for fact in made.facts]
    paid = made.payment_succeeded(20, OLDER)
    assert (one, state_of(made)) == ("evt_01", State.PAST_DUE)
    made.payment_succeeded(21, OLDER)
    made.facts[-1] = renamed(made.facts[-1], "in_b")
    assert (paid, state_of(made)) == ("evt_03", State.ACTIVE)


def renamed(fact: Fact, invoice: str) -> Fact:
    assert fact.invoice is not None
    return msgspec.structs.replace(fact, invoice=msgspec.structs.replace(fact.invoice, id=invoice))


def test_facts_that_were_stored_without_their_invoice_count_as_they_did() -> None:
    made = Made()
    made.created(0)
    made.payment_failed(11)
    made.payment_failed(21)
    made.payment_succeeded(30)
    assert state_of(made) is State.ACTIVE


def test_where_an_invoice_does_not_tell_when_it_was_made_its_first_event_does() -> None:
    made = Made()
    made.created(0)
    for second, invoice in ((11, OLDER), (21, NEWER)):
        made.payment_failed(second, invoice)
    made.payment_succeeded(30, OLDER)
    made.facts = [undated(fact) for fact in made.facts]
    assert state_of(made) is State.PAST_DUE
    made.payment_succeeded(31, NEWER)
    made.facts = [undated(fact) for fact in made.facts]
    assert state_of(made) is State.ACTIVE


def undated(fact: Fact) -> Fact:
    if fact.invoice is None:
        return fact
    undated_invoice = msgspec.structs.replace(fact.invoice, made_at=None)
    return msgspec.structs.replace(fact, invoice=undated_invoice)


def test_in_all_720_orders_the_end_is_the_same(made) -> None:
    made.payment_succeeded(30, OLDER)
    made.payment_failed(35, NEWER)
    made.payment_succeeded(40, NEWER)
    ends = set()
    for order in permutations(made.facts):
        stored = Stored(made)
        for fact in order:
            folded = stored.take(fact)
        ends.add((msgspec.json.encode(folded.derived), msgspec.json.encode(folded.settled)))
    assert len(ends) == 1
    assert folded.derived.state is State.ACTIVE


tries = st.lists(st.tuples(st.booleans(), st.integers(1, 4)), max_size=10)


@settings(max_examples=200)
@given(drawn=tries, shuffle=st.randoms(use_true_random=False))
def test_it_stands_as_the_latest_invoices_last_try_says(drawn, shuffle) -> None:
    """Another reading of the rule: of the latest made so far, its last event decides."""
    made = Made()
    made.created(0)
    tried: dict[int, bool] = {}
    for second, (paid, invoice) in enumerate(drawn, 10):
        (made.payment_succeeded if paid else made.payment_failed)(second, invoice)
        tried[invoice] = paid
    expected = State.ACTIVE if not tried or tried[max(tried)] else State.PAST_DUE
    order = list(made.facts)
    shuffle.shuffle(order)
    stored = Stored(made)
    for fact in order:
        folded = stored.take(fact)
        assert folded == stored.whole()
    assert folded.derived.state is expected


def test_only_so_many_failures_are_carried_along() -> None:
    made = Made()
    made.created(0)
    for second in range(1, 3 * FAILED_MAX):
        made.payment_failed(second, second)
    stored = Stored(made)
    for fact in made.facts:
        folded = stored.take(fact)
    assert folded.settled is not None
    assert len(folded.settled.invoices.failed) == FAILED_MAX
    made.payment_succeeded(100, 1)
    assert stored.take(made.facts[-1]).derived.state is State.PAST_DUE


def test_a_checkpoint_of_another_form_is_left(made) -> None:
    stored = Stored(made)
    for fact in made.facts:
        stored.take(fact)
    assert stored.settled is not None
    kept = msgspec.json.decode(stored.settled)
    assert (kept["form"], checkpoint_of(stored.settled) is None) == (FOLD_FORM, False)
    # As it was stored before it knew of invoices.
    old = {name: value for name, value in kept.items() if name not in ("form", "invoices")}
    assert checkpoint_of(msgspec.json.encode(old)) is None
    stored.settled = msgspec.json.encode(old)
    made.payment_succeeded(30, OLDER)
    assert stored.take(made.facts[-1]).derived.state is State.PAST_DUE
