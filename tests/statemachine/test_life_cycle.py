"""The life cycle, pair by pair and in any order."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine import TABLE, State, Trigger, advance, possible_triggers, trigger_of_status
from statemachine.diagram import mermaid

ROOT = Path(__file__).resolve().parents[2]

# Written by hand from the design, one row a state; not derived from TABLE.
EXPECTED = """
            begin     activate  fall_due  cancel    payment_failed  payment_succeeded
created     created   active    past_due  canceled  created         created
active      created   active    past_due  canceled  past_due        active
past_due    created   active    past_due  canceled  past_due        active
canceled    canceled  canceled  canceled  canceled  canceled        canceled
"""


def expected_pairs() -> dict[tuple[str, str], str]:
    header, *rows = (line.split() for line in EXPECTED.strip().splitlines())
    return {
        (source, trigger): target
        for source, *targets in rows
        for trigger, target in zip(header, targets, strict=True)
    }


def test_the_expected_table_names_all_24_pairs() -> None:
    assert len(expected_pairs()) == 24 == len(State) * len(Trigger)


@pytest.mark.parametrize(("pair", "target"), expected_pairs().items(), ids=str)
def test_every_pair_leads_where_the_design_says(pair: tuple[str, str], target: str) -> None:
    source, trigger = State(pair[0]), Trigger(pair[1])
    assert advance(source, trigger) is State(target)
    rows = [row for row in TABLE if row[0] is trigger and source in row[1]]
    assert [row[2] or source for row in rows] == [target]


@given(st.lists(st.sampled_from(Trigger), max_size=40))
def test_any_sequence_of_triggers_ends_where_the_table_says(triggers: list[Trigger]) -> None:
    by_engine = by_table = State.CREATED
    for trigger in triggers:
        by_engine = advance(by_engine, trigger)
        by_table = State(expected_pairs()[by_table, trigger])
        assert by_engine is by_table


@given(st.lists(st.sampled_from(Trigger)), st.lists(st.sampled_from(Trigger)))
def test_nothing_revives_a_canceled_subscription(
    before: list[Trigger], after: list[Trigger]
) -> None:
    state = State.CREATED
    for trigger in [*before, Trigger.CANCEL, *after]:
        state = advance(state, trigger)
    assert state is State.CANCELED


@given(st.sampled_from(State), st.sampled_from(Trigger))
def test_a_trigger_that_comes_twice_moves_once(state: State, trigger: Trigger) -> None:
    once = advance(state, trigger)
    assert advance(once, trigger) is once


def test_advance_leaves_nothing_behind_in_the_engine() -> None:
    assert advance(State.ACTIVE, Trigger.CANCEL) is State.CANCELED
    assert advance(State.ACTIVE, Trigger.PAYMENT_FAILED) is State.PAST_DUE


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
def test_each_status_of_stripe_has_its_state(status: str, state: State) -> None:
    trigger = trigger_of_status(status)
    assert trigger is not None
    for source in (State.CREATED, State.ACTIVE, State.PAST_DUE):
        assert advance(source, trigger) is state


@pytest.mark.parametrize("status", ["", "Active", "ended", "activate", "suspended"])
def test_a_status_that_nobody_knows_has_no_trigger(status: str) -> None:
    assert trigger_of_status(status) is None


# Written by hand: which triggers move a subscription on, by state and Stripe's status.
@pytest.mark.parametrize(
    ("state", "status", "possible"),
    [
        ("created", "incomplete", "activate fall_due cancel"),
        ("active", "active", "begin fall_due cancel payment_failed"),
        ("active", "trialing", "begin fall_due cancel"),
        ("past_due", "past_due", "begin activate cancel payment_succeeded"),
        ("past_due", "unpaid", "begin activate cancel"),
        ("past_due", "paused", "begin activate cancel"),
        ("canceled", "canceled", ""),
        ("canceled", None, ""),
    ],
)
def test_the_machine_tells_which_triggers_move_a_subscription_on(
    state: str, status: str | None, possible: str
) -> None:
    triggers = possible_triggers(State(state), status)
    assert " ".join(triggers) == possible
    assert all(advance(State(state), trigger) != state for trigger in triggers)


def test_the_diagram_holds_exactly_the_moves() -> None:
    drawn = {
        (source, trigger): target
        for source, target, labels in re.findall(r"^ +(\w+) --> (\w+): (.+)$", mermaid(), re.M)
        for trigger in labels.split(" | ")
    }
    moves = {pair: target for pair, target in expected_pairs().items() if pair[0] != target}
    assert drawn == moves


def test_the_diagram_draws_each_arrow_once_and_marks_the_final_state() -> None:
    lines = [line.strip() for line in mermaid().splitlines()]
    arrows = [line.split(":")[0] for line in lines if "-->" in line]
    assert len(arrows) == len(set(arrows))
    assert "[*] --> created" in arrows
    assert "Class canceled s_final" in lines


def test_the_readme_shows_the_diagram_of_this_table() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"```mermaid\n{mermaid()}\n```" in readme
