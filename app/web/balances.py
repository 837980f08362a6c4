"""An account's balance as the ledger stood, and what is behind it."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from litestar import get, post
from litestar.datastructures import State
from litestar.params import JSONBody

from app.accounts.view import balances
from app.audit.explain import Behind, explain
from app.infrastructure import ids
from app.web.http import problems
from app.web.http.access import Access, access
from app.web.http.acts import BodyAccountId
from app.web.http.instants import Instant
from app.web.http.parameters import AccountId, At, instant_if_given
from app.web.http.views import View, view_of

ACCOUNTS_MAX: Final = 1_000
BODY_BYTES_MAX: Final = 262_144


class BalanceAnswer(View, frozen=True, kw_only=True):
    """The balance as the ledger stood at ``as_of``."""

    balance: int
    free: int
    held: int
    debt: int
    as_of: Instant
    complete_to: Instant


class BalancesBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The ids of the accounts, or of their customers."""

    account_ids: Annotated[list[BodyAccountId], msgspec.Meta(min_length=1, max_length=ACCOUNTS_MAX)]


class AccountBalance(View, frozen=True, kw_only=True):
    """The balance of one account: `balance` as posted, the others as a spend would find them."""

    account_id: str
    tier: str
    balance: int
    available: int


class BalancesAnswer(View, frozen=True, kw_only=True):
    """The accounts in the order in which they were asked for, and the ids that no account has."""

    data: list[AccountBalance]
    unknown: list[str]


class ExplainedEntry(View, frozen=True, kw_only=True):
    """One entry behind a lot; ``change`` is what it did to the balance."""

    entry_id: str
    journal_id: str
    kind: str
    journal_kind: str
    debit: str
    credit: str
    amount: int
    change: int
    hold_id: str | None
    event_id: str | None
    reason: str | None
    effective_at: Instant
    recorded_at: Instant


class ExplainedLotAnswer(View, frozen=True, kw_only=True):
    """A lot with something left, its entries newest first; ``truncated`` leaves out older ones."""

    id: str
    source: str
    free: int
    held: int
    granted_at: Instant
    expires_at: Instant | None
    entries: list[ExplainedEntry]
    truncated: bool


class ExplainAnswer(View, frozen=True, kw_only=True):
    """The balance as posted, or as of an instant: free and held are the sums of the lots', debt is
    told by its own.
    """

    account_id: str
    as_of: Instant | None
    balance: int
    free: int
    held: int
    debt: int
    lots: list[ExplainedLotAnswer]
    debt_entries: list[ExplainedEntry]
    debt_truncated: bool


@get(
    "/api/v1/accounts/{account_id:str}/balance",
    responses=problems.declared(400, 401, 403, 404, 422),
    tags=["Accounts"],
    **access(Access.ACCOUNTS_READ),
)
async def get_balance(account_id: AccountId, state: State, as_of: At = None) -> BalanceAnswer:
    """Return the balance as the ledger has it: now, or as of an instant up to `complete_to`."""
    at = instant_if_given(as_of, "as_of")
    stood = await state.balances.of(account_id, at)
    return view_of(BalanceAnswer, stood)


@get(
    "/api/v1/accounts/{account_id:str}/balance/explain",
    responses=problems.declared(400, 401, 403, 404, 422),
    tags=["Accounts"],
    **access(Access.ACCOUNTS_READ),
)
async def explain_balance(account_id: AccountId, state: State, as_of: At = None) -> ExplainAnswer:
    """Return what is free and held in each lot, with the journals and events behind it.

    As posted, or with `as_of` as the ledger stood then: later than `complete_to` is 422.
    """
    at = instant_if_given(as_of, "as_of")
    async with state.reports.room():
        found = await state.readings.ask(explain, account_id, at)
    return view_of(
        ExplainAnswer,
        found,
        account_id=account_id,
        balance=found.free + found.held - found.debt,
        lots=[
            view_of(
                ExplainedLotAnswer,
                lot,
                id=ids.public(ids.LOT, lot.number),
                entries=_entries(lot.behind),
                truncated=lot.behind.truncated,
            )
            for lot in found.lots
        ],
        debt_entries=_entries(found.owed),
        debt_truncated=found.owed.truncated,
    )


def _entries(behind: Behind) -> list[ExplainedEntry]:
    return [
        view_of(ExplainedEntry, row, entry_id=ids.public(ids.ENTRY, row["id"]))
        for row in behind.entries
    ]


@post(
    "/api/v1/accounts/balances",
    status_code=200,
    request_max_body_size=BODY_BYTES_MAX,
    responses=problems.declared(400, 401, 403, 413),
    tags=["Accounts"],
    **access(Access.SERVICE_OR_AUDITOR),
)
async def list_balances(data: JSONBody[BalancesBody], state: State) -> BalancesAnswer:
    """Return the balances of up to a thousand accounts in one call."""
    found = await balances(state.book, data.account_ids)
    asked = list(dict.fromkeys(data.account_ids))
    return BalancesAnswer(
        data=[
            view_of(AccountBalance, found[public_id], account_id=public_id)
            for public_id in asked
            if public_id in found
        ],
        unknown=[public_id for public_id in asked if public_id not in found],
    )
