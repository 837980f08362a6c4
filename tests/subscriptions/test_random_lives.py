"""Lives drawn at random: no order, copy or unreadable part breaks an invariant."""

from __future__ import annotations

import random

from tests.subscriptions.random_lives import broken, life


def test_random_lives_break_no_invariant_in_any_order() -> None:
    """A sample; 100,000 are folded by hand."""
    wrong = {}
    for seed in range(400):
        rng = random.Random(seed)
        made = life(rng)
        if made.facts and (found := broken(made, rng)):
            wrong[seed] = found
    assert wrong == {}
