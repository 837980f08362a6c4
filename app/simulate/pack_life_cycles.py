"""The life cycles of credit packs: bought, refunded, disputed."""

from __future__ import annotations

from typing import Final

from app.simulate.life import Life, Story
from app.simulate.life_cycles import LifeCycle
from app.simulate.wares import Wares


def _bought(life: Life) -> Story:
    yield life.pack().is_bought()


def _refunded_partially(life: Life) -> Story:
    pack = life.pack()
    yield pack.is_bought()
    life.wait(days=3)
    yield pack.is_refunded(0.25)
    life.wait(days=1)
    yield pack.is_refunded(0.1)


def _disputed_won(life: Life) -> Story:
    pack = life.pack()
    yield pack.is_bought()
    life.wait(days=6)
    yield pack.is_disputed()
    life.wait(days=20)
    yield pack.is_won()


def _disputed_lost(life: Life) -> Story:
    pack = life.pack()
    yield pack.is_bought()
    life.wait(days=6)
    yield pack.is_disputed()
    life.wait(days=20)
    yield pack.is_lost()


def _packs(wares: Wares) -> bool:
    return bool(wares.packs)


_NEEDS: Final = "a pack with a price"

PACKS: Final = (
    LifeCycle("pack_bought", "Buys a credit pack.", _bought, _packs, _NEEDS),
    LifeCycle(
        "pack_refunded_partially", "Buys a pack, is given back a quarter, then a tenth.",
        _refunded_partially, _packs, _NEEDS,
    ),
    LifeCycle(
        "pack_disputed_won", "The bank takes the money back, and returns it: so do the credits.",
        _disputed_won, _packs, _NEEDS,
    ),
    LifeCycle(
        "pack_disputed_lost", "The bank takes the money back, and keeps it.",
        _disputed_lost, _packs, _NEEDS,
    ),
)  # fmt: skip
