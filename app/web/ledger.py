"""Reports on the whole ledger: trial balance and roll-forward."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from litestar import get
from litestar.datastructures import State
from litestar.params import FromQuery, QueryParameter

from app.audit.roll_forward import SourceForward, TierForward, roll_forward
from app.audit.trial_balance import TrialBalanceLine, trial_balance
from app.web.http import problems
from app.web.http.access import Access, access
from app.web.http.instants import MOMENT_PATTERN, Instant, instant
from app.web.http.parameters import AccountFilter, At, instant_if_given, parse_instant
from app.web.http.views import View, view_of

From = Annotated[
    str,
    QueryParameter(
        name="from", pattern=MOMENT_PATTERN, description="The first instant within, or a date."
    ),
]
To = Annotated[
    str, QueryParameter(pattern=MOMENT_PATTERN, description="The first instant after, or a date.")
]


class TrialBalanceAnswer(View, frozen=True, kw_only=True):
    """Debits and credits as the ledger stood at ``as_of``; their totals are equal."""

    as_of: Instant
    complete_to: Instant
    accounts: list[TrialBalanceLine]
    debits: int
    credits: int


class RollForwardAnswer(View, frozen=True, kw_only=True):
    """opening + granted + purchased - spent + returned - refunded - expired + adjusted
    + transferred + reversed = closing.

    Spent (captures included, and what was returned since), refunded (net of what came back) and
    expired are what left; adjusted, transferred and reversed are signed. `by_lot_source`, where it
    is asked for, tells the same of each source, and of what is owed: expired of purchased lots is
    breakage, and their closing is deferred. `by_tier` tells it of the days of each tier, of the
    lots that are of no day (`none`), and of what is owed.
    """

    from_: Instant = msgspec.field(name="from")
    to: Instant
    complete_to: Instant
    opening: int
    granted: int
    purchased: int
    spent: int
    returned: int
    refunded: int
    expired: int
    adjusted: int
    transferred: int
    reversed: int
    closing: int
    by_lot_source: list[SourceForward] | None
    by_tier: list[TierForward] | None


@get(
    "/api/v1/ledger/trial-balance",
    responses=problems.declared(400, 401, 403, 422),
    tags=["Ledger"],
    **access(Access.AUDITOR),
)
async def get_trial_balance(state: State, as_of: At = None) -> TrialBalanceAnswer:
    """Sum up the debits and credits of each kind of balance, at `complete_to` or `as_of`."""
    at = instant_if_given(as_of, "as_of")
    async with state.reports.room():
        stood = await state.readings.ask(trial_balance, at)
    return view_of(TrialBalanceAnswer, stood, accounts=stood.lines)


@get(
    "/api/v1/ledger/roll-forward",
    responses=problems.declared(400, 401, 403, 404, 422),
    tags=["Ledger"],
    **access(Access.AUDITOR),
)
async def get_roll_forward(
    state: State,
    from_: From,
    to: To,
    account_id: AccountFilter = None,
    by: FromQuery[Literal["lot_source", "tier"] | None] = None,
) -> RollForwardAnswer:
    """Sum up all that came and went in `[from, to)` by `recorded_at`; it closes to the credit."""
    start, end = parse_instant(from_, "from"), parse_instant(to, "to")
    async with state.reports.room():
        moved = await state.readings.ask(
            roll_forward,
            start,
            end,
            account_id,
            by_lot_source=by == "lot_source",
            by_tier=by == "tier",
        )
    return view_of(RollForwardAnswer, moved, from_=instant(moved.start), to=instant(moved.end))
