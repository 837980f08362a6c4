"""Which movements raise low, depleted and recovered: held to rules that are said once more here."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from app.usage.crossings import Movement, Raised, Standing, crossings
from tests.conftest import NOW

LOW = 3
NOTHING = Standing(low=False, depleted=False)
# (change, index of the movement that it takes back or None); a balance may fall below zero.
steps = st.lists(
    st.tuples(st.integers(-6, 6).filter(bool), st.none() | st.integers(0, 20)), max_size=20
)


def movements(start: int, changes: list[tuple[int, int | None]]) -> Iterator[Movement]:
    """One journal each; what takes back gives as much as its spend took, once."""
    balance = start
    taken_back: set[int] = set()
    for number, (wanted, undoes) in enumerate(changes):
        spend, change = None, wanted
        if undoes is not None and undoes < number and undoes not in taken_back:
            took = changes[undoes][0]
            if took < 0 and changes[undoes][1] is None:
                spend, change = undoes, -took
                taken_back.add(undoes)
        balance += change
        yield Movement(number, change, balance, spend, NOW, None, "FREE")


def judged(start: int, changes: list[tuple[int, int | None]], low: int) -> list[Raised]:
    moved = movements(start, changes)
    return list(crossings(NOTHING, moved, {"FREE": low} if low else {})) if changes else []


@given(st.integers(-3, 12), steps, st.sampled_from([0, LOW]))
@example(5, [(-5, None), (1, None), (-1, None), (2, None), (-1, None), (9, None)], LOW)
def test_between_two_recoveries_each_kind_rises_once(
    start: int, changes: list[tuple[int, int | None]], low: int
) -> None:
    kinds = [raised.kind for raised in judged(start, changes, low)]
    assert all((one, other) != ("recovered", "recovered") for one, other in pairwise(kinds))
    assert not kinds or kinds[0] != "recovered"
    for episode in " ".join(kinds).split("recovered"):
        assert episode.split().count("low") <= (1 if low else 0)
        assert episode.split().count("depleted") <= 1


@given(st.integers(-3, 12), steps, st.sampled_from([0, LOW]))
def test_the_end_is_told_as_it_stands(
    start: int, changes: list[tuple[int, int | None]], low: int
) -> None:
    """Above the level nothing stands any more; who fell from above it is told so."""
    if not changes:
        return
    kinds = [raised.kind for raised in judged(start, changes, low)]
    end = list(movements(start, changes))[-1].balance
    level = max(low, 1)
    if end >= level:
        assert not kinds or kinds[-1] == "recovered"
    elif start >= level:
        assert kinds
        assert kinds[-1] != "recovered"


@given(st.integers(-3, 12), steps, st.integers(0, 20), st.sampled_from([0, LOW]))
def test_where_a_chunk_ends_does_not_matter_if_nothing_is_taken_back(
    start: int, changes: list[tuple[int, int | None]], cut: int, low: int
) -> None:
    moved = list(movements(start, [(change, None) for change, _ in changes]))
    thresholds = {"FREE": low} if low else {}
    whole = list(crossings(NOTHING, moved, thresholds)) if moved else []
    first = list(crossings(NOTHING, moved[:cut], thresholds)) if moved[:cut] else []
    since = [raised.kind for raised in first]
    if "recovered" in since:
        since = since[len(since) - since[::-1].index("recovered") :]
    standing = Standing("low" in since, "depleted" in since)
    rest = list(crossings(standing, moved[cut:], thresholds)) if moved[cut:] else []
    assert first + rest == whole


@given(st.integers(1, 12), st.lists(st.integers(1, 6), min_size=1, max_size=10))
def test_spends_that_all_came_back_raise_nothing(start: int, amounts: list[int]) -> None:
    spends = [(-amount, None) for amount in amounts]
    returns = [(1, number) for number in reversed(range(len(amounts)))]
    assert judged(start, [*spends, *returns], LOW) == []
