"""The life cycles of credit packs: bought, refunded, disputed."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from app.simulate.life import Bought, Life
from app.simulate.life_cycles import LifeCycle, story
from app.simulate.wares import Wares


def _packs(wares: Wares) -> bool:
    return bool(wares.packs)


_DAY: Final = timedelta(days=1)
_P: Final = Bought  # whose acts the stories name
_NEEDS: Final = "a pack with a price"

PACKS: Final = (
    LifeCycle("pack_bought", "Buys a credit pack.", story(Life.pack, _P.is_bought), _packs, _NEEDS),
    LifeCycle(
        "pack_refunded_partially", "Buys a pack, is given back a quarter, then a tenth.",
        story(
            Life.pack, _P.is_bought, 3 * _DAY, lambda pack: pack.is_refunded(0.25),
            _DAY, lambda pack: pack.is_refunded(0.1),
        ), _packs, _NEEDS,
    ),
    LifeCycle(
        "pack_disputed_won", "The bank takes the money back, and returns it: so do the credits.",
        story(Life.pack, _P.is_bought, 6 * _DAY, _P.is_disputed, 20 * _DAY, _P.is_won),
        _packs, _NEEDS,
    ),
    LifeCycle(
        "pack_disputed_lost", "The bank takes the money back, and keeps it.",
        story(Life.pack, _P.is_bought, 6 * _DAY, _P.is_disputed, 20 * _DAY, _P.is_lost),
        _packs, _NEEDS,
    ),
)  # fmt: skip
