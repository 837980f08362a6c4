"""Corrections of one account by operators: each is shown first as a rehearsal, then confirmed.

A rehearsal is the act itself in a transaction that is rolled back, so that what is shown is what
would be.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final

import msgspec
from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from app.accounts import names, standing
from app.accounts.names import NameOrder
from app.accounts.view import AccountView, view
from app.console import forms
from app.console.access import corrects
from app.console.accounts import PATH
from app.console.frame import address, done, reader_zone, show
from app.errors import RefusedError
from app.infrastructure import ids
from app.infrastructure.db import Database
from app.ledger.kinds import AMOUNT_MAX
from app.reversals.returns import ReturnOrder, give_back
from app.spending import corrections
from app.web.http.acts import Amount, within_patience
from app.web.http.forms import form
from app.web.http.parameters import AccountId
from app.web.http.patterns import id_pattern

SignedAmount = Annotated[int, msgspec.Meta(ge=-AMOUNT_MAX, le=AMOUNT_MAX)]
Priority = Annotated[int, msgspec.Meta(ge=0, le=1000)]


class GrantForm(forms.ActForm, frozen=True, kw_only=True):
    """Promotional credits; without an end they never expire."""

    amount: Amount
    expires_at: Annotated[str, msgspec.Meta(max_length=40)] | None = None
    priority: Priority | None = None


class AdjustForm(forms.ActForm, frozen=True, kw_only=True):
    """Signed: positive adds credits that never end, negative takes in burn order."""

    amount: SignedAmount


class ReturnForm(forms.ActForm, frozen=True, kw_only=True):
    """Part of a spend; without an amount all that is left."""

    spend_id: Annotated[str, msgspec.Meta(pattern=id_pattern(ids.JOURNAL))]
    amount: Amount | None = None


class NameForm(forms.ActForm, frozen=True, kw_only=True):
    """The id that the account has from now on, or the account that has everything."""

    to: forms.AccountText


@dataclass(frozen=True, slots=True)
class Asked:
    """One act as it is asked for; ``real`` is False in a rehearsal."""

    request: Request[Any, Any, Any]
    state: State
    account_id: str
    act: Any
    real: bool


# Each does its act and returns the id under which the account is found since.
Doing = Callable[[Asked], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class AccountAct:
    """An act on an account: its form, what its button says, and how it is done."""

    heading: str
    button: str
    done: str
    form: type[forms.ActForm]
    do: Doing


async def _grant(asked: Asked) -> str:
    act: GrantForm = asked.act
    ends: datetime | None = forms.instant(act.expires_at, reader_zone(asked.request), "expires_at")
    await corrections.grant(
        asked.state.book,
        asked.account_id,
        act.amount,
        forms.order(asked.request, act),
        expires_at=ends,
        priority=act.priority,
    )
    return asked.account_id


async def _adjust(asked: Asked) -> str:
    act: AdjustForm = asked.act
    if act.amount == 0:
        raise RefusedError("An adjustment by 0 changes nothing.")
    order = forms.order(asked.request, act)
    await corrections.adjust(asked.state.book, asked.account_id, act.amount, order)
    return asked.account_id


async def _return(asked: Asked) -> str:
    act: ReturnForm = asked.act
    wanted = ReturnOrder(spend=ids.number(ids.JOURNAL, act.spend_id), amount=act.amount)
    order = forms.order(asked.request, act)
    state = asked.state
    if asked.real:  # in turn with the account's spends, on their connections
        returning = partial(give_back, state.spending, asked.account_id, wanted, order)
        await state.turns.act(asked.account_id, returning)
    else:
        await give_back(state.book, asked.account_id, wanted, order)
    return asked.account_id


async def _rename(asked: Asked) -> str:
    act: NameForm = asked.act
    await names.rename(asked.state.book, asked.account_id, act.to, _named(asked))
    return act.to


async def _merge(asked: Asked) -> str:
    act: NameForm = asked.act
    await names.merge(asked.state.book, asked.account_id, act.to, _named(asked))
    return act.to


def _named(asked: Asked) -> NameOrder:
    return NameOrder(
        by=forms.operator(asked.request, asked.act), key=forms.keyed(asked.request, asked.act)
    )


def _standing(change: Callable[..., Awaitable[None]]) -> Doing:
    async def do(asked: Asked) -> str:
        change_it = partial(change, asked.state.book, asked.account_id)
        await forms.once(asked.request, asked.act, change_it)
        return asked.account_id

    return do


ACTS: Final = {
    "grant": AccountAct("Grant credits", "Grant them", "Granted.", GrantForm, _grant),
    "adjust": AccountAct("Adjust the balance", "Adjust it", "Adjusted.", AdjustForm, _adjust),
    "return": AccountAct("Return part of a spend", "Return it", "Returned.", ReturnForm, _return),
    "rename": AccountAct("Rename the account", "Rename it", "Renamed.", NameForm, _rename),
    "merge": AccountAct("Merge into another", "Merge it", "Merged.", NameForm, _merge),
    "suspend": AccountAct(
        "Suspend the account",
        "Suspend it",
        "Suspended.",
        forms.ActForm,
        _standing(standing.suspend),
    ),
    "resume": AccountAct(
        "Resume the account", "Resume it", "Resumed.", forms.ActForm, _standing(standing.resume)
    ),
    "close": AccountAct(
        "Close the account", "Close it", "Closed.", forms.ActForm, _standing(standing.close)
    ),
    "reopen": AccountAct(
        "Reopen the account", "Reopen it", "Reopened.", forms.ActForm, _standing(standing.reopen)
    ),
}


@get(f"{PATH}/{{account_id:str}}/correct", **corrects())
async def correct(
    account_id: AccountId, request: Request[Any, Any, Any], state: State
) -> Response[Any]:
    """The forms of all acts on an account."""
    stands = await view(state.book, account_id)
    return show(
        request, "correct.html", here=PATH, account=stands, path=address(f"{PATH}/{account_id}")
    )


@post(f"{PATH}/{{account_id:str}}/acts/{{act:str}}", status_code=200, **corrects())
async def do_act(
    account_id: AccountId, act: FromPath[str], request: Request[Any, Any, Any], state: State
) -> Response[Any]:
    """Rehearse an act and show what it would come to; agreed to, do it."""
    kind = ACTS.get(act)
    if kind is None:
        raise NotFoundException
    sent = await form(request, kind.form)
    asked = Asked(request, state, account_id, sent, sent.confirmed)
    if sent.confirmed:
        found = await within_patience(kind.do(asked))
        stands = await view(state.book, found)
        told = f"{kind.done} {stands.public_id} has {stands.available:,} available."
        return await done(request, address(f"{PATH}/{found}"), told)
    return await _rehearse(kind, asked)


async def _rehearse(kind: AccountAct, asked: Asked) -> Response[Any]:
    book = asked.state.book
    database: Database = book.database
    before = await view(book, asked.account_id)
    after: AccountView | None = None
    async with database.rehearsal():
        found = await within_patience(kind.do(asked))
        after = await view(book, found)
    assert after is not None
    return show(
        asked.request,
        "confirm.html",
        here=PATH,
        heading=f"{kind.heading}: {before.public_id}",
        told=_sentence(before, after),
        facts=_compared(before, after),
        reason=asked.act.reason,
        kept=asked.act.kept,
        path=asked.request.url.path,
        back=address(f"{PATH}/{asked.account_id}"),
        button=kind.button,
    )


def _sentence(before: AccountView, after: AccountView) -> str:
    if before.public_id != after.public_id:
        return f"{after.public_id} would have {after.available:,} available."
    if before.available == after.available:
        return f"{after.public_id} would keep {after.available:,} available."
    return f"{after.public_id} would have {after.available:,} available, not {before.available:,}."


def _compared(before: AccountView, after: AccountView) -> list[tuple[str, str]]:
    """Return the lines that differ after the act, and the balance in any case."""
    told: list[tuple[str, object, object]] = [
        ("Account", before.public_id, after.public_id),
        ("Balance", f"{before.balance:,}", f"{after.balance:,}"),
        ("Available", f"{before.available:,}", f"{after.available:,}"),
        ("Held", f"{before.held:,}", f"{after.held:,}"),
        ("Debt", f"{before.debt:,}", f"{after.debt:,}"),
        ("Tier", before.tier, after.tier),
        ("Lots", len(before.lots), len(after.lots)),
        ("Closed", _yes(before.closed_at), _yes(after.closed_at)),
        ("Suspended", _yes(before.suspended_at), _yes(after.suspended_at)),
    ]
    return [
        (name, str(one) if one == other else f"{one} → {other}")
        for name, one, other in told
        if one != other or name == "Balance"
    ]


def _yes(at: datetime | None) -> str:
    return "yes" if at else "no"
