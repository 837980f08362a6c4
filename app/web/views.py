"""What the API answers: frozen structs, never tables."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Final

import msgspec
import orjson

from app import ids
from app.accounts.hold import HoldView
from app.accounts.keyed import Done
from app.accounts.reverse import Reversed
from app.accounts.spend import Spent
from app.accounts.view import AccountView
from app.audit.balance import BalanceAsOf
from app.audit.entries import EntryPage
from app.db import Record
from app.ledger.kinds import AMOUNT_MAX
from app.web.instants import Instant, instant, maybe

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
    """A subscription: our state beside Stripe's status."""

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
    """A spend that stands; ``entries`` are ids, one for each lot it drew."""

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
    """

    id: str | None
    journal_id: str | None
    of_journal_id: str | None
    of_run_id: str | None
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


class RunAnswer(View, frozen=True, kw_only=True):
    """One execution of the daily grants for one date and the instant it starts at."""

    id: str
    on: date
    wave_at: Instant
    state: str
    started_by: str
    started_at: Instant
    finished_at: Instant | None
    expected: int
    issued: int
    issued_credits: int
    expired_credits: int
    skipped: int
    failed: int
    not_opened: int


class RunsAnswer(View, frozen=True, kw_only=True):
    """The runs that a nudge worked on."""

    runs: list[RunAnswer]


class WebhookAnswer(View, frozen=True, kw_only=True):
    """What became of the delivery."""

    event_id: str
    outcome: str


def account(view: AccountView) -> AccountAnswer:
    """The account's answer."""
    return AccountAnswer(
        id=view.public_id,
        stripe_customer_id=view.customer_id,
        time_zone=view.time_zone,
        tier=view.tier,
        state=view.state,
        balance=view.balance,
        free=view.free,
        held=view.held,
        debt=view.debt,
        available=view.available,
        next_grant_at=maybe(view.next_grant_at),
        lots=[
            LotAnswer(
                id=ids.public(ids.LOT, lot.number),
                source=lot.source,
                free=lot.free,
                held=lot.held,
                priority=lot.priority,
                expires_at=maybe(lot.expires_at),
            )
            for lot in view.lots
        ],
        subscriptions=[subscription(row) for row in view.subscriptions],
    )


def subscription(row: Record) -> SubscriptionAnswer:
    """The subscription's answer."""
    return SubscriptionAnswer(
        id=row["id"],
        stripe_customer_id=row["customer_id"],
        state=row["state"],
        status=row["status"],
        price_id=row["price_id"],
        price_ids=row["price_ids"],
        period_end_at=maybe(row["period_end_at"]),
        billing_cycle=row["billing_cycle"],
        cancel_at_period_end=row["cancel_at_period_end"],
        tier=row["tier"],
        grace_tier=row["grace_tier"],
        grace_ends_at=maybe(row["grace_ends_at"]),
        created_at=instant(row["created_at"]),
        updated_at=instant(row["updated_at"]),
    )


def spent(one: Spent) -> SpendAnswer:
    """The spend's answer."""
    return SpendAnswer(
        id=ids.public(ids.JOURNAL, one.journal_id),
        account_id=one.account_id,
        amount=one.amount,
        balance=one.balance,
        available=one.available,
        entries=[ids.public(ids.ENTRY, number) for number in one.entry_ids],
    )


def hold(view: HoldView) -> HoldAnswer:
    """The hold's answer."""
    return HoldAnswer(
        id=ids.public(ids.HOLD, view.number),
        account_id=view.account_id,
        amount=view.amount,
        captured=view.captured,
        state=view.state,
        expires_at=instant(view.expires_at),
    )


def acted(done: Done) -> SpendAnswer:
    """A grant's or an adjustment's answer: its journal, its entries, the balance after it."""
    members = {"id": "", "entries": [], **done.answer}
    return msgspec.structs.replace(
        msgspec.convert(members, SpendAnswer),
        id=ids.public(ids.JOURNAL, done.journal_id),
        entries=[ids.public(ids.ENTRY, number) for number in done.entry_ids],
    )


def reversal(one: Reversed) -> ReversalAnswer:
    """The reversal's answer."""
    return ReversalAnswer(
        id=_maybe_id(ids.REVERSAL, one.number),
        journal_id=_maybe_id(ids.JOURNAL, one.journal_id),
        of_journal_id=_maybe_id(ids.JOURNAL, one.of_journal_id),
        of_run_id=_maybe_id(ids.RUN, one.of_run_id),
        shortfall_policy=one.policy,
        state=one.state,
        requested=one.requested,
        clawed=one.clawed,
        held=one.held,
        shortfall=one.shortfall,
        expired=one.expired,
        journal_count=one.journal_count,
        skipped=one.skipped,
        dry_run=one.dry_run,
    )


def _maybe_id(prefix: str, number: int | None) -> str | None:
    return None if number is None else ids.public(prefix, number)


def entry(row: Record) -> EntryAnswer:
    """The entry's answer."""
    return EntryAnswer(
        id=ids.public(ids.ENTRY, row["id"]),
        journal_id=ids.public(ids.JOURNAL, row["journal_id"]),
        kind=row["kind"],
        account_id=row["account_id"],
        debit=row["debit"],
        credit=row["credit"],
        amount=row["amount"],
        change=row["change"],
        balance_after=row["balance_after"],
        lot_id=ids.public(ids.LOT, row["lot_id"]),
        lot_source=row["lot_source"],
        hold_id=_maybe_id(ids.HOLD, row["hold_id"]),
        event_id=row["event_id"],
        run_id=_maybe_id(ids.RUN, row["run_id"]),
        reverses_entry_id=_maybe_id(ids.ENTRY, row["reverses_entry_id"]),
        idempotency_key=row["idempotency_key"],
        effective_at=instant(row["effective_at"]),
        recorded_at=instant(row["recorded_at"]),
        source=row["source"],
        actor=row["actor"],
        reason=row["reason"],
    )


def entries(page: EntryPage) -> EntryList:
    """The page's answer."""
    return EntryList(
        data=[entry(row) for row in page.rows],
        next_cursor=page.next_cursor,
        complete_to=instant(page.horizon.complete_to),
    )


def journal(row: Record, rows: list[Record]) -> JournalAnswer:
    """The journal's answer."""
    return JournalAnswer(
        id=ids.public(ids.JOURNAL, row["id"]),
        kind=row["kind"],
        source=row["source"],
        actor=row["actor"],
        reason=row["reason"],
        metadata=None if row["metadata"] is None else orjson.loads(row["metadata"]),
        event_id=row["event_id"],
        run_id=_maybe_id(ids.RUN, row["run_id"]),
        reverses_journal_id=_maybe_id(ids.JOURNAL, row["reverses_journal_id"]),
        idempotency_key=row["idempotency_key"],
        effective_at=instant(row["effective_at"]),
        recorded_at=instant(row["recorded_at"]),
        entries=[entry(one) for one in rows],
    )


def balance(stood: BalanceAsOf) -> BalanceAnswer:
    """The balance's answer."""
    return BalanceAnswer(
        balance=stood.balance,
        free=stood.free,
        held=stood.held,
        debt=stood.debt,
        as_of=instant(stood.as_of),
        complete_to=instant(stood.complete_to),
    )


def run(row: Record) -> RunAnswer:
    """The run's answer."""
    return RunAnswer(
        id=ids.public(ids.RUN, row["id"]),
        on=row["day_on"],
        wave_at=instant(row["wave_at"]),
        state=row["state"],
        started_by=row["started_by"],
        started_at=instant(row["started_at"]),
        finished_at=maybe(row["finished_at"]),
        expected=row["expected"],
        issued=row["issued"],
        issued_credits=row["issued_credits"],
        expired_credits=row["expired_credits"],
        skipped=row["skipped"],
        failed=row["failed"],
        not_opened=row["not_opened"],
    )
