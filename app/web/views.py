"""What the API answers: frozen structs, never tables."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from app.ledger.kinds import AMOUNT_MAX
from app.web.instants import Instant

Amount = Annotated[int, msgspec.Meta(ge=1, le=AMOUNT_MAX, description="Whole credits.")]
TEXT_CHARS_MAX: Final = 500


class ItemProblem(msgspec.Struct, frozen=True, kw_only=True):
    """Why an item was refused; further facts as in the problem it would have had alone."""

    code: str
    detail: str
    retryable: bool
    available: int | None = None
    required: int | None = None
    next_grant_at: Instant | None = None


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Root of all answers."""


class LotAnswer(View, frozen=True, kw_only=True):
    """What is left of one grant; ``expires_at`` null never expires."""

    id: str
    source: str
    free: int
    held: int
    priority: int
    expires_at: Instant | None


class SubscriptionAnswer(View, frozen=True, kw_only=True):
    """A subscription: our state beside Stripe's status.

    `grace_ends_at` is by the newest catalogue, which counts from the account's next day.
    """

    id: str
    stripe_customer_id: str
    state: str
    status: str | None
    price_id: str | None
    price_ids: list[str]
    period_end_at: Instant | None
    billing_cycle: str | None
    cancel_at_period_end: bool
    tier: str | None
    grace_tier: str | None
    grace_ends_at: Instant | None
    created_at: Instant
    updated_at: Instant


class AccountAnswer(View, frozen=True, kw_only=True):
    """An account: balance to lots as posted, the rest as a spend would find it."""

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
    next_grant_at: Instant | None
    lots: list[LotAnswer]
    subscriptions: list[SubscriptionAnswer]


class SpendAnswer(View, frozen=True, kw_only=True):
    """A spend, grant or adjustment that stands; ``entries`` are ids, one for each lot it moved."""

    id: str
    account_id: str
    amount: int
    balance: int
    available: int
    entries: list[str]


class HoldAnswer(View, frozen=True, kw_only=True):
    """A hold; `state` is held, captured, released or expired."""

    id: str
    account_id: str
    amount: int
    captured: int
    state: str
    expires_at: Instant


class ReversalAnswer(View, frozen=True, kw_only=True):
    """What a reversal took back: of `requested` credits so many were clawed, are held and taken
    at their release, fell short (and went the way of the policy), or had expired.

    A reversed spend takes nothing: `requested` came back, and `expired` of it lapsed at once.
    A dry run has no id: there is nothing to look up.
    """

    id: str | msgspec.UnsetType = msgspec.UNSET
    journal_id: str | None
    of_journal_id: str | None
    of_run_id: str | None
    of_event_id: str | None
    shortfall_policy: str
    state: str
    requested: int
    clawed: int
    held: int
    shortfall: int
    expired: int
    journal_count: int
    skipped: int
    dry_run: bool


class BatchItemAnswer(View, frozen=True, kw_only=True):
    """One spend's result: `status` as it would have had alone, its answer or its problem."""

    status: int
    spend: SpendAnswer | None
    problem: ItemProblem | None


class BatchAnswer(View, frozen=True, kw_only=True):
    """A result for each spend, in order."""

    results: list[BatchItemAnswer]


class EntryAnswer(View, frozen=True, kw_only=True):
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
    effective_at: Instant
    recorded_at: Instant
    source: str
    actor: str
    reason: str | None


class EntryList(View, frozen=True, kw_only=True):
    """A page of entries; every entry recorded by ``complete_to`` is decided."""

    data: list[EntryAnswer]
    next_cursor: str | None
    complete_to: Instant


class JournalAnswer(View, frozen=True, kw_only=True):
    """The header of one act, and its entries."""

    id: str
    kind: str
    source: str
    actor: str
    reason: str | None
    metadata: dict[str, Any] | None
    event_id: str | None
    run_id: str | None
    reverses_journal_id: str | None
    idempotency_key: str | None
    effective_at: Instant
    recorded_at: Instant
    entries: list[EntryAnswer]


class BalanceAnswer(View, frozen=True, kw_only=True):
    """The balance as the ledger stood at ``as_of``."""

    balance: int
    free: int
    held: int
    debt: int
    as_of: Instant
    complete_to: Instant


class WebhookAnswer(View, frozen=True, kw_only=True):
    """What became of the delivery."""

    event_id: str
    outcome: str
