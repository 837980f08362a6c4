"""From what the reports and the life cycle's reads return to what the API answers."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import orjson

from app.audit.cursor import Page
from app.audit.explain import Behind, Explained
from app.audit.roll_forward import RollForward
from app.audit.trial_balance import TrialBalance
from app.infrastructure import ids
from app.infrastructure.db import Record
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
from app.web.rows import told


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
    members = msgspec.structs.asdict(moved)
    return told(RollForwardAnswer, members, from_=instant(moved.start), to=instant(moved.end))


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
        told(ExplainedEntry, row, entry_id=ids.public(ids.ENTRY, row["id"]))
        for row in behind.entries
    ]


def subscription(row: Record) -> AuditedSubscription:
    """The subscription's answer."""
    return told(
        AuditedSubscription,
        row,
        stripe_customer_id=row["customer_id"],
        account_id=row["public_account_id"],
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
            told(TransitionAnswer, row, id=ids.public(ids.TRANSITION, row["id"]))
            for row in page.rows
        ],
        next_cursor=page.next_cursor,
    )


def event(row: Record) -> EventAnswer:
    """The event's answer."""
    return told(
        EventAnswer, row, reason=row["verdict_reason"], stripe_customer_id=row["customer_id"]
    )


def event_detail(row: Record, deliveries: Sequence[Record]) -> EventDetail:
    """The event's answer with its payload and the rulings on it."""
    return EventDetail(
        **msgspec.structs.asdict(event(row)),
        payload=orjson.loads(row["payload"]),
        deliveries=[told(DeliveryAnswer, one) for one in deliveries],
    )


def events(page: Page) -> EventList:
    """The page's answer."""
    return EventList(data=[event(row) for row in page.rows], next_cursor=page.next_cursor)
