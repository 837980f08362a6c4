"""From what use cases return to what the API answers."""

from __future__ import annotations

import msgspec
import orjson

from app.accounts.view import AccountView
from app.audit.balance import BalanceAsOf
from app.audit.entries import EntryPage
from app.infrastructure import ids
from app.infrastructure.db import Record
from app.reversals.record import Reversed
from app.spending.hold import HoldView
from app.spending.keyed import Done
from app.spending.spend import Spent
from app.web.instants import instant, maybe
from app.web.rows import told
from app.web.views import (
    AccountAnswer,
    BalanceAnswer,
    EntryAnswer,
    EntryList,
    HoldAnswer,
    JournalAnswer,
    LotAnswer,
    ReversalAnswer,
    SpendAnswer,
    SubscriptionAnswer,
)


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
    return told(SubscriptionAnswer, row, stripe_customer_id=row["customer_id"])


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
        id=msgspec.UNSET if one.number is None else ids.public(ids.REVERSAL, one.number),
        journal_id=_maybe_id(ids.JOURNAL, one.journal_id),
        of_journal_id=_maybe_id(ids.JOURNAL, one.of_journal_id),
        of_run_id=_maybe_id(ids.RUN, one.of_run_id),
        of_event_id=one.of_event_id,
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
    return told(
        JournalAnswer,
        row,
        id=ids.public(ids.JOURNAL, row["id"]),
        metadata=None if row["metadata"] is None else orjson.loads(row["metadata"]),
        entries=[entry(one) for one in rows],
    )


def balance(stood: BalanceAsOf) -> BalanceAnswer:
    """The balance's answer."""
    return told(BalanceAnswer, msgspec.structs.asdict(stood))
