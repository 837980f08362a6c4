"""A long history is folded once: from a checkpoint the outcome is the same as from all facts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from app.subscriptions.derive import FOLD_FORM, Fold, checkpoint_of, derive
from app.subscriptions.facts import FactKind
from app.subscriptions.order import undecided
from tests.subscriptions.life_cycle_facts import (
    ENTERPRISE,
    IGNORED,
    PRICING,
    PRO,
    TRIALLESS,
    UNKNOWN,
    Made,
    Stored,
)

STATUSES = ("incomplete", "trialing", "active", "past_due", "unpaid", "paused", "canceled")
PRICES = (PRO, ENTERPRISE, TRIALLESS, IGNORED, UNKNOWN)
# Few seconds for many facts, so that seconds are shared.
acts = st.lists(
    st.tuples(
        st.sampled_from(["updated", "updated", "updated", "failed", "paid", "deleted", "copied"]),
        st.integers(0, 6),
        st.sampled_from(STATUSES[:-1]),
        st.sampled_from(PRICES),
        st.sampled_from([None, 0, 1, 2]),
    ),
    max_size=12,
)


def made_of(drawn: Sequence[tuple[str, int, str, str, int | None]], begins: bool) -> Made:
    made = Made()
    made.present = {"status": "incomplete", "price": PRO}
    if begins:
        made.created(0, "incomplete")
    for kind, second, status, price, invoice in sorted(drawn, key=lambda act: act[1]):
        if kind == "updated":
            made.updated(second, status=status, price=price)
        elif kind == "failed":
            made.payment_failed(second, invoice)
        elif kind == "paid":
            made.payment_succeeded(second, invoice)
        elif kind == "deleted":
            made.deleted(second)
        elif made.facts and made.facts[-1].kind is FactKind.UPDATED:
            made.copied(made.facts[-1].event_id, f"{made.facts[-1].event_id}_copy")
    return made


@settings(max_examples=400)
@given(
    drawn=acts,
    begins=st.booleans(),
    shuffle=st.randoms(use_true_random=False),
    late=st.integers(0, 100),
)
def test_from_a_checkpoint_all_is_derived_as_from_the_whole_history(
    drawn, begins, shuffle, late
) -> None:
    made = made_of(drawn, begins)
    if not made.facts:
        return
    order = list(made.facts)
    # From hardly shuffled, where checkpoints are used, to all mixed up.
    for at in range(len(order)):
        if shuffle.randrange(100) < late:
            other = shuffle.randrange(len(order))
            order[at], order[other] = order[other], order[at]
    stored = Stored(made)
    for fact in order:
        assert stored.take(fact) == stored.whole()
    assert stored.whole().derived == derive(
        made.facts, PRICING, {i: made.details[i] for i in undecided(made.facts)}
    )


def test_all_5040_orders_of_seven_events_end_the_same() -> None:
    """Begins, upgrades within the second, fails, pays, falls due, is canceled: in every order."""
    made = Made()
    made.created(0, "incomplete")
    made.updated(5, "z", status="active")
    made.updated(5, "a", price=ENTERPRISE)
    made.payment_failed(9)
    made.payment_succeeded(12)
    made.updated(20, status="past_due")
    made.deleted(20)
    ends = set()
    orders = 0
    for order in permutations(made.facts):
        stored = Stored(made)
        for fact in order:
            folded = stored.take(fact)
        ends.add((msgspec.json.encode(folded.derived), msgspec.json.encode(folded.settled)))
        orders += 1
    assert (orders, len(ends)) == (5_040, 1)


def test_a_newer_fact_reads_none_of_the_thousand_before_it() -> None:
    made = Made()
    made.created(0)
    for second in range(1, 1_000):
        made.updated(second, status=("past_due", "active")[second % 2])
    stored = Stored(made)
    reads = []
    for fact in made.facts:
        stored.take(fact)
        reads.append(stored.read_count)
    assert max(reads) == 2
    assert stored.take(made.facts[-1]) == stored.whole()


def test_a_checkpoint_of_another_form_is_left() -> None:
    assert checkpoint_of(msgspec.json.encode(Fold(form=FOLD_FORM))) is not None
    assert checkpoint_of(msgspec.json.encode(Fold(form=FOLD_FORM - 1))) is None
