"""From what the reports and the life cycle's reads return to what the API answers."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import orjson

from app import ids
from app.audit.explain import Behind, Explained
from app.audit.life_cycle import Page
from app.audit.roll_forward import RollForward
from app.audit.trial_balance import TrialBalance
from app.db import Record
from app.web import answers
from app.web.instants import instant, maybe
from app.web.report_views import (
    AuditedSubscription,
    DeliveryAnswer,
    EventAnswer,
    EventDetail,
    EventList,
    ExplainAnswer,
    ExplainedEntry,
    ExplainedLotAnswer,
    RollForwardAnswer,
    SubscriptionList,
    TransitionAnswer,
    TransitionList,
    TrialBalanceAnswer,
    TrialBalanceLine,
)


def trial_balance(stood: TrialBalance) -> TrialBalanceAnswer:
    """The trial balance's answer."""
    return TrialBalanceAnswer(
        as_of=instant(stood.as_of),
        complete_to=instant(stood.complete_to),
        accounts=[
            TrialBalanceLine(
                account=line.account, debits=line.debits, credits=line.credits, balance=line.balance
            )
            for line in stood.lines
        ],
        debits=stood.debits,
        credits=stood.credits,
    )


def roll_forward(moved: RollForward) -> RollForwardAnswer:
    """The roll-forward's answer."""
    return RollForwardAnswer(
        from_=instant(moved.start),
        to=instant(moved.end),
        complete_to=instant(moved.complete_to),
        opening=moved.opening,
        granted=moved.granted,
        purchased=moved.purchased,
        spent=moved.spent,
        refunded=moved.refunded,
        expired=moved.expired,
        adjusted=moved.adjusted,
        transferred=moved.transferred,
        reversed=moved.reversed,
        closing=moved.closing,
    )


def explained(account_id: str, one: Explained) -> ExplainAnswer:
    """The explanation's answer."""
    return ExplainAnswer(
        account_id=account_id,
        balance=one.free + one.held - one.debt,
        free=one.free,
        held=one.held,
        debt=one.debt,
        lots=[
            ExplainedLotAnswer(
                id=ids.public(ids.LOT, lot.number),
                source=lot.source,
                free=lot.free,
                held=lot.held,
                granted_at=instant(lot.granted_at),
                expires_at=maybe(lot.expires_at),
                entries=_behind(lot.behind),
                truncated=lot.behind.truncated,
            )
            for lot in one.lots
        ],
        debt_entries=_behind(one.owed),
        debt_truncated=one.owed.truncated,
    )


def _behind(behind: Behind) -> list[ExplainedEntry]:
    return [
        ExplainedEntry(
            entry_id=ids.public(ids.ENTRY, row["id"]),
            journal_id=ids.public(ids.JOURNAL, row["journal_id"]),
            kind=row["kind"],
            journal_kind=row["journal_kind"],
            debit=row["debit"],
            credit=row["credit"],
            amount=row["amount"],
            change=row["change"],
            hold_id=None if row["hold_id"] is None else ids.public(ids.HOLD, row["hold_id"]),
            event_id=row["event_id"],
            reason=row["reason"],
            effective_at=instant(row["effective_at"]),
            recorded_at=instant(row["recorded_at"]),
        )
        for row in behind.entries
    ]


def subscription(row: Record) -> AuditedSubscription:
    """The subscription's answer."""
    return AuditedSubscription(
        **msgspec.structs.asdict(answers.subscription(row)),
        account_id=row["public_account_id"],
        last_event_id=row["last_event_id"],
        last_event_at=maybe(row["last_event_at"]),
    )


def subscriptions(page: Page) -> SubscriptionList:
    """The page's answer."""
    return SubscriptionList(
        data=[subscription(row) for row in page.rows], next_cursor=page.next_cursor
    )


def transitions(page: Page) -> TransitionList:
    """The page's answer."""
    return TransitionList(
        data=[
            TransitionAnswer(
                id=ids.public(ids.TRANSITION, row["id"]),
                subscription_id=row["subscription_id"],
                from_state=row["from_state"],
                to_state=row["to_state"],
                trigger=row["trigger"],
                event_id=row["event_id"],
                effective_at=instant(row["effective_at"]),
                recorded_at=instant(row["recorded_at"]),
            )
            for row in page.rows
        ],
        next_cursor=page.next_cursor,
    )


def event(row: Record) -> EventAnswer:
    """The event's answer."""
    return EventAnswer(
        id=row["id"],
        type=row["type"],
        api_version=row["api_version"],
        livemode=row["livemode"],
        created_at=instant(row["created_at"]),
        received_at=instant(row["received_at"]),
        verdict=row["verdict"],
        reason=row["verdict_reason"],
        error=row["error"],
        delivery_count=row["delivery_count"],
        attempt_count=row["attempt_count"],
        next_attempt_at=maybe(row["next_attempt_at"]),
        subscription_id=row["subscription_id"],
        stripe_customer_id=row["customer_id"],
    )


def event_detail(row: Record, deliveries: Sequence[Record]) -> EventDetail:
    """The event's answer with its payload and the rulings on it."""
    return EventDetail(
        **msgspec.structs.asdict(event(row)),
        payload=orjson.loads(row["payload"]),
        deliveries=[
            DeliveryAnswer(
                received_at=instant(one["received_at"]),
                verdict=one["verdict"],
                reason=one["reason"],
            )
            for one in deliveries
        ],
    )


def events(page: Page) -> EventList:
    """The page's answer."""
    return EventList(data=[event(row) for row in page.rows], next_cursor=page.next_cursor)
