"""The ledger's closed lists: sides, house accounts, kinds of entries and journals, lot sources."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

AMOUNT_MAX: Final = 10**12
BALANCE_MAX: Final = 2**53 - 1


class Side(StrEnum):
    """The three sides of an account; balance = free + held - debt."""

    FREE = "free"
    HELD = "held"
    DEBT = "debt"


class House(StrEnum):
    """The other side of what enters or leaves an account; house accounts have no stored balance."""

    ISSUED = "issued"
    SPENT = "spent"
    EXPIRED = "expired"
    PURCHASED = "purchased"
    REFUNDED = "refunded"
    ADJUSTED = "adjusted"
    TRANSFERRED = "transferred"
    WRITTEN_OFF = "written_off"


class Kind(StrEnum):
    """The kind of an entry."""

    GRANT = "grant"
    SPEND = "spend"
    EXPIRY = "expiry"
    HOLD = "hold"
    RELEASE = "release"
    PURCHASE = "purchase"
    REFUND = "refund"
    FREEZE = "freeze"
    UNFREEZE = "unfreeze"
    REPAYMENT = "repayment"
    ADJUSTMENT = "adjustment"
    TRANSFER = "transfer"
    RETURN = "return"
    REVERSAL = "reversal"
    WRITE_OFF = "write_off"


class Act(StrEnum):
    """The kind of a journal."""

    OPENING = "opening"
    TOP_UP = "top_up"
    TRIM = "trim"
    EXPIRY = "expiry"
    GRANT = "grant"
    SPEND = "spend"
    HOLD = "hold"
    EXTEND = "extend"
    CAPTURE = "capture"
    PART_CAPTURE = "part_capture"  # the hold goes on
    RELEASE = "release"
    PURCHASE = "purchase"
    REFUND = "refund"
    FREEZE = "freeze"
    UNFREEZE = "unfreeze"
    ADJUSTMENT = "adjustment"
    TRANSFER = "transfer"
    RETURN = "return"
    REVERSAL = "reversal"


class LotSource(StrEnum):
    """The source of a lot; its priority says how early the lot burns."""

    DAILY = "daily"
    CARRIED = "carried"
    PROMOTIONAL = "promotional"
    PURCHASED = "purchased"


# Low numbers burn first: credits that expire tonight before purchased ones; credits carried over
# before the day's own, because what is left of the day's own can be carried over in turn.
PRIORITY: Final = {
    LotSource.CARRIED: 100,
    LotSource.DAILY: 200,
    LotSource.PROMOTIONAL: 300,
    LotSource.PURCHASED: 400,
}

# The acts that use an account. An account without any for long is dormant.
USES: Final = frozenset({Act.SPEND, Act.HOLD, Act.CAPTURE, Act.PART_CAPTURE})
