"""Tell where an account's credits of a day or a month went, in sums and in sentences."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Final

import msgspec
from litestar import get
from litestar.datastructures import State
from litestar.params import QueryParameter

from app.audit.why import why
from app.infrastructure import ids
from app.web.http import problems
from app.web.http.access import Access, access
from app.web.http.instants import Instant, instant
from app.web.http.parameters import AccountId
from app.web.http.patterns import MONTH
from app.web.http.views import View, public_or_none, view_of

On = Annotated[date | None, QueryParameter(name="on", description="A date of the account's own.")]
Month = Annotated[str | None, QueryParameter(pattern=MONTH, description="Or a month: 2026-01.")]

FLOWS: Final = (
    *("opening", "granted", "purchased", "spent", "returned", "refunded", "expired"),
    *("adjusted", "transferred", "reversed", "closing"),
)


class SpentForAnswer(View, frozen=True, kw_only=True):
    """The credits spent for a label, null for none, and those of them that came back since."""

    label: str | None
    spent: int
    came_back: int


class MoveAnswer(View, frozen=True, kw_only=True):
    """One act that moved the balance, but for spends."""

    journal_id: str
    kind: str
    change: int
    at: Instant
    actor: str
    reason: str | None
    event_id: str | None
    reverses_journal_id: str | None


class WhyAnswer(View, frozen=True, kw_only=True):
    """A day or a month by the account's own clock, in the sums of a roll-forward.

    `sentences` say it in English; `truncated` leaves out later moves.
    """

    account_id: str
    time_zone: str
    on: date
    days: int
    going_on: bool
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
    spent_for: list[SpentForAnswer]
    moves: list[MoveAnswer]
    truncated: bool
    sentences: list[str]


@get(
    "/api/v1/accounts/{account_id:str}/why",
    responses=problems.declared(400, 401, 403, 404, 422),
    tags=["Accounts"],
    **access(Access.ACCOUNTS_READ),
)
async def explain_why(
    account_id: AccountId, state: State, on: On = None, month: Month = None
) -> WhyAnswer:
    """Return where an account's credits went: on a date, in a month, or today."""
    first = None if month is None else date.fromisoformat(f"{month}-01")
    async with state.reports.room():
        told = await state.readings.ask(why, account_id, on, first)
    flows = told.flows
    return view_of(
        WhyAnswer,
        told,
        **{name: getattr(flows, name) for name in FLOWS},
        from_=instant(flows.start),
        to=instant(flows.end),
        complete_to=instant(flows.complete_to),
        spent_for=[view_of(SpentForAnswer, one) for one in told.spent_for],
        moves=[
            view_of(
                MoveAnswer,
                one,
                journal_id=ids.public(ids.JOURNAL, one.journal_id),
                reverses_journal_id=public_or_none(ids.JOURNAL, one.reverses_journal_id),
            )
            for one in told.moves
        ],
    )
