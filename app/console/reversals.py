"""Reversals: what one would come to, then the act, then how far it has come."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.params import PathParameter

from app.audit import life_cycle
from app.console import forms
from app.console.access import HOME, corrects, reads
from app.console.frame import address, done, show
from app.errors import RefusedError
from app.html.filters import day
from app.infrastructure import ids
from app.infrastructure.db import Database
from app.ledger.clawbacks import Policy
from app.reversals import journal, run
from app.reversals.event import reverse_event
from app.reversals.record import ReversalOrder, Reversed, find
from app.web.http.access import caller
from app.web.http.acts import within_patience
from app.web.http.forms import form
from app.web.http.patterns import STRIPE_ID, id_pattern

PATH: Final = f"{HOME}/reversals"
WITHIN_S: Final = 4.0  # the tick goes on with what is left
REFRESH_S: Final = 3
# What becomes of credits that are spent already, as forms offer it.
POLICIES: Final = (
    (str(Policy.WRITE_OFF), "is written off"),
    (str(Policy.DEBT), "is owed by the account"),
    (str(Policy.REJECT), "forbids it"),
)
ReversalId = Annotated[str, PathParameter(pattern=id_pattern(ids.REVERSAL))]


class ReversalForm(forms.ActForm, frozen=True, kw_only=True):
    """One of the three ids says what is reversed."""

    journal_id: Annotated[str, msgspec.Meta(pattern=id_pattern(ids.JOURNAL))] | None = None
    event_id: Annotated[str, msgspec.Meta(pattern=STRIPE_ID)] | None = None
    run_id: Annotated[str, msgspec.Meta(pattern=id_pattern(ids.RUN))] | None = None
    shortfall: Policy = Policy.WRITE_OFF


@post(PATH, status_code=200, **corrects())
async def reverse(request: Request[Any, Any, Any], state: State) -> Response[Any]:
    """Show what a reversal would come to; agreed to, do it."""
    act = await form(request, ReversalForm)
    if [act.journal_id, act.event_id, act.run_id].count(None) != 2:
        raise RefusedError("Name one journal, event or run.")
    order = ReversalOrder(
        reason=act.reason,
        policy=act.shortfall,
        actor=caller(request).id,
        key=forms.keyed(request, act),
    )
    came = await within_patience(_reverse(state, act, order, dry_run=not act.confirmed))
    if not act.confirmed and came.dry_run:
        return show(
            request,
            "confirm.html",
            here=f"{HOME}/corrections",
            heading=f"Take back {await _what(state, act)}",
            facts=facts(came),
            told=sentence(came),
            reason=act.reason,
            kept=act.kept,
            path=PATH,
            back=_place(act),
            button="Take it back",
        )
    assert came.number is not None
    already = " It was reversed before: this is what that came to." if came.replayed else ""
    place = f"{PATH}/{ids.public(ids.REVERSAL, came.number)}"
    return await done(request, place, sentence(came) + already)


@get(f"{PATH}/{{reversal_id:str}}", **reads())
async def reversal(
    reversal_id: ReversalId, request: Request[Any, Any, Any], state: State
) -> Response[Any]:
    """A reversal as far as it has come; while it goes on the page loads itself again."""
    database: Database = state.book.database
    number = ids.number(ids.REVERSAL, reversal_id)
    came = await find(database, number)
    row = await database.fetchrow(
        "SELECT actor, reason, created_at, finished_at FROM reversals WHERE id = $1", number
    )
    going = came.state == "going"
    return show(
        request,
        "reversal.html",
        here=f"{HOME}/corrections",
        reversal_id=reversal_id,
        came=came,
        row=row,
        going=going,
        facts=facts(came),
        told=sentence(came),
        refresh_s=REFRESH_S if going else None,
    )


async def _reverse(
    state: State, act: ReversalForm, order: ReversalOrder, *, dry_run: bool
) -> Reversed:
    if act.journal_id is not None:
        journal_id = ids.number(ids.JOURNAL, act.journal_id)
        return await journal.reverse_journal(state.book, journal_id, order, dry_run=dry_run)
    if act.event_id is not None:
        return await reverse_event(state.book, act.event_id, order, dry_run=dry_run)
    run_id = ids.number(ids.RUN, act.run_id or "")
    return await run.reverse_run(state.book, run_id, order, dry_run=dry_run, within_s=WITHIN_S)


async def _what(state: State, act: ReversalForm) -> str:
    if act.run_id is not None:
        number = ids.number(ids.RUN, act.run_id)
        row = await life_cycle.run(state.book.database, number, act.run_id)
        return f"the run of {day(row['day_on'])}"
    return f"the journal {act.journal_id}" if act.journal_id else f"the event {act.event_id}"


def _place(act: ReversalForm) -> str:
    if act.journal_id:
        return f"{HOME}/ledger/journals/{act.journal_id}"
    if act.event_id:
        return address(f"{HOME}/inbox/{act.event_id}")
    return f"{HOME}/runs/{act.run_id}"


def facts(came: Reversed) -> list[tuple[str, int]]:
    """The figures of a reversal, in words."""
    told = (
        ("Asked for", came.requested),
        ("Taken from what is left", came.clawed),
        ("Held, and taken at its release", came.held),
        ("Had expired already", came.expired),
        ("Goes on into the running day", came.carried),
        ("Falls short", came.shortfall),
        ("Journals", came.journal_count),
        ("Accounts skipped, since they would fall short", came.skipped),
    )
    return [(name, value) for name, value in told if value or name in ("Asked for", "Journals")]


def sentence(came: Reversed) -> str:
    """A reversal in a sentence."""
    would = "would be " if came.dry_run else ""
    policy = {"write_off": "written off", "debt": "owed by the account", "reject": "refused"}
    told = [f"{came.requested:,} credits {would}reversed"]
    if came.clawed:
        told.append(f"{came.clawed:,} of them taken from what is left")
    elif came.expired == came.requested > 0:
        told.append("all of which had expired already, so that nobody's balance changes")
    if came.shortfall:
        told.append(f"{came.shortfall:,} {would}{policy.get(came.policy, came.policy)}")
    return ", ".join(told) + ("; it goes on." if came.state == "going" else ".")
