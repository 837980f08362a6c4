"""Ids of one kind are not those of another: at run time by their prefix, for mypy by their type."""

from __future__ import annotations

from app.infrastructure import ids


def test_a_number_comes_back_from_its_own_prefix_alone() -> None:
    told = ids.public(ids.LOT, ids.LotNumber(42))
    assert told == "lot_000000000001a"
    assert ids.number(ids.LOT, told) == ids.row_number(ids.LOT, told) == 42
    assert ids.number(ids.JOURNAL, told) is None
    assert ids.row_number(ids.JOURNAL, told) == ids.NO_ROW
