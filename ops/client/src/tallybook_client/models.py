"""Answers of the API as frozen dataclasses, held to ops/openapi.json by a test."""

from __future__ import annotations

import types
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime
from functools import cache
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")
Over = Literal["refuse", "available", "debt"]


@dataclass(frozen=True)
class Spend:
    """A spend and the balance after it."""

    id: str
    account_id: str
    amount: int
    balance: int
    available: int
    entries: list[str]


@dataclass(frozen=True)
class Hold:
    """Reserved credits; ``state`` is held, captured, released or expired."""

    id: str
    account_id: str
    amount: int
    captured: int
    state: str
    expires_at: datetime


@dataclass(frozen=True)
class Capture(Hold):
    """A hold after a capture; ``uncovered`` is how much was asked for and not there."""

    spend_id: str | None
    uncovered: int
    balance: int
    available: int


@dataclass(frozen=True)
class Return:
    """Credits given back of earlier spends; ``returned`` is the sum of all returns so far."""

    id: str
    account_id: str
    spend_ids: list[str]
    amount: int
    returned: int
    carried: int
    balance: int
    available: int


@dataclass(frozen=True)
class Lot:
    """The rest of one grant."""

    id: str
    source: str
    free: int
    held: int
    priority: int
    expires_at: datetime | None


@dataclass(frozen=True)
class Subscription:
    """A subscription of an account, with the tier that it gives."""

    id: str
    stripe_customer_id: str
    state: str
    status: str | None
    possible_triggers: list[str]
    price_id: str | None
    price_ids: list[str]
    period_end_at: datetime | None
    billing_cycle: str | None
    cancel_at_period_end: bool
    cancel_at: datetime | None
    tier: str | None
    grace_tier: str | None
    grace_ends_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class Account:
    """An account as a spend would find it now."""

    id: str
    stripe_customer_id: str | None
    time_zone: str
    tier: str
    state: str | None
    balance: int
    free: int
    held: int
    debt: int
    available: int
    next_grant_at: datetime | None
    closed_at: datetime | None
    suspended_at: datetime | None
    aliases: list[str]
    lots: list[Lot]
    subscriptions: list[Subscription]


@dataclass(frozen=True)
class ListedAccount:
    """An account in a list, as last posted."""

    id: str
    stripe_customer_id: str | None
    time_zone: str
    tier: str
    state: str | None
    balance: int
    free: int
    held: int
    debt: int
    available: int
    opened_at: datetime
    closed_at: datetime | None
    suspended_at: datetime | None


@dataclass(frozen=True)
class Balance:
    """A balance as the ledger stood at ``as_of``."""

    balance: int
    free: int
    held: int
    debt: int
    as_of: datetime
    complete_to: datetime


@dataclass(frozen=True)
class PageLink:
    """A page's address: on the host that was called, and as a path for any other."""

    url: str
    path: str
    expires_at: datetime


@dataclass(frozen=True)
class AccountBalance:
    """One of many balances."""

    account_id: str
    tier: str
    balance: int
    available: int


@dataclass(frozen=True)
class Balances:
    """Balances of many accounts; ``unknown`` names the ids that have no account."""

    data: list[AccountBalance]
    unknown: list[str]


@dataclass(frozen=True)
class ItemProblem:
    """The refusal of one item of a batch."""

    code: str
    detail: str
    retryable: bool
    available: int | None = None
    required: int | None = None
    next_grant_at: datetime | None = None


@dataclass(frozen=True)
class BatchResult:
    """An item of a batch: its spend, or the problem."""

    status: int
    spend: Spend | None
    problem: ItemProblem | None


@dataclass(frozen=True)
class Entry:
    """One immutable row of the ledger."""

    id: str
    journal_id: str
    kind: str
    account_id: str | None
    debit: str
    credit: str
    amount: int
    change: int
    balance_after: int
    lot_id: str
    lot_source: str
    hold_id: str | None
    event_id: str | None
    run_id: str | None
    reverses_entry_id: str | None
    idempotency_key: str | None
    effective_at: datetime
    recorded_at: datetime
    source: str
    actor: str
    reason: str | None
    label: str | None
    member: str | None


@dataclass(frozen=True)
class Usage:
    """Sums of one row of usage; a column that the grouping does not have is None."""

    day_on: date | None
    tier: str | None
    label: str | None
    member: str | None
    account_id: str | None
    granted: int | None
    purchased: int | None
    refunded: int | None
    spent: int
    returned: int
    expired: int | None
    reversed: int
    adjusted: int | None
    transferred: int | None


@dataclass(frozen=True)
class Alert:
    """Something about an account that an application may want to act on."""

    id: str
    kind: str
    account_id: str | None
    tier: str
    on: date | None
    journal_id: str | None
    hold_id: str | None
    customer_id: str | None
    threshold: int
    value: int
    effective_at: datetime
    raised_at: datetime


def decode(kind: type[T], value: dict[str, Any]) -> T:
    """Read JSON as this model. Fields that it does not know are left out: servers grow."""
    hints = _hints(kind)  # type: ignore[arg-type]  # a class is hashable; mypy doubts type[T]
    given = {name: _read(hints[name], value[name]) for name in hints if name in value}
    return kind(**given)


@cache
def _hints(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _read(hint: Any, value: Any) -> Any:
    if value is None:
        return None
    if get_origin(hint) in (types.UnionType, Union):
        (hint,) = (one for one in get_args(hint) if one is not type(None))
    if get_origin(hint) is list:
        (of,) = get_args(hint)
        return [_read(of, one) for one in value]
    if is_dataclass(hint) and isinstance(hint, type):
        return decode(hint, value)
    if hint is datetime:
        # Python 3.10 reads no "Z".
        return datetime.fromisoformat(value.replace("Z", "+00:00"))
    return date.fromisoformat(value) if hint is date else value
