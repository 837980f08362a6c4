"""Rows of this package's statements. Generated: WRITE_ROWS=1 pytest tests/infrastructure/test_row_types.py"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypedDict

from app.infrastructure.ids import EntryNumber, HoldNumber, JournalNumber, LotNumber, RunNumber
from app.infrastructure.sql import Statement
from app.tables.row_types import AccountsRow, DeliveriesRow, JournalsRow, LotsRow, OperatorActsRow, ReversalsRow, SubscriptionsRow, TransitionsRow

class AccountsPage(AccountsRow):
    public_id: str
    customer_id: str
    state: str
    available: int

class AccountsNth(TypedDict):
    id: Any

class AccountsSql(TypedDict):
    page: Statement[AccountsPage]
    nth: Statement[AccountsNth]

class BalanceNowOfMany(TypedDict):
    public_id: str
    free: int
    held: int
    debt: int
    now: datetime

class BalanceNow(TypedDict):
    free: int
    held: int
    debt: int
    now: datetime

class BalanceSql(TypedDict):
    now_of_many: Statement[BalanceNowOfMany]
    now: Statement[BalanceNow]
    as_of: Statement[BalanceNow]

class EntriesOfJournal(TypedDict):
    id: Any
    journal_id: JournalNumber
    owner_id: Any
    kind: str
    debit: str
    credit: str
    amount: int
    change: int
    balance_after: int
    lot_id: LotNumber
    lot_source: str
    hold_id: HoldNumber
    reverses_entry_id: EntryNumber
    effective_at: datetime
    recorded_at: datetime
    journal_kind: str
    event_id: str
    run_id: RunNumber
    idempotency_key: str
    label: str
    member: str
    source: str
    actor: str
    reason: str
    account_id: str

class EntriesAccountIds(TypedDict):
    id: Any

class EntriesSql(TypedDict):
    of_journal: Statement[EntriesOfJournal]
    account_ids: Statement[EntriesAccountIds]
    nth_up: Statement[EntriesAccountIds]
    nth_down: Statement[EntriesAccountIds]

class ExplainSides(TypedDict):
    free: int
    held: int
    debt: int

class ExplainLotsAsOf(TypedDict):
    id: Any
    source: str
    granted_at: datetime
    expires_at: datetime
    free: int
    held: int

class ExplainBehindLots(TypedDict):
    id: Any
    journal_id: JournalNumber
    owner_id: Any
    kind: str
    debit: str
    credit: str
    amount: int
    change: int
    balance_after: int
    lot_id: LotNumber
    lot_source: str
    hold_id: HoldNumber
    reverses_entry_id: EntryNumber
    effective_at: datetime
    recorded_at: datetime
    journal_kind: str
    event_id: str
    run_id: RunNumber
    idempotency_key: str
    label: str
    member: str
    source: str
    actor: str
    reason: str
    account_id: str

class ExplainSql(TypedDict):
    sides: Statement[ExplainSides]
    lots: Statement[LotsRow]
    lots_as_of: Statement[ExplainLotsAsOf]
    behind_lots: Statement[ExplainBehindLots]
    behind_debt: Statement[ExplainBehindLots]

class JournalsJournal(JournalsRow):
    reason: str
    metadata: str

class JournalsSql(TypedDict):
    journal: Statement[JournalsJournal]

class LifeCycleSubscriptions(SubscriptionsRow):
    public_account_id: str

class LifeCycleEventsUp(TypedDict):
    id: str
    number: int
    type: str
    api_version: str
    livemode: bool
    created_at: datetime
    received_at: datetime
    verdict: str
    verdict_reason: str
    subscription_id: str
    customer_id: str
    attempt_count: int
    next_attempt_at: datetime
    error: str
    delivery_count: int

class LifeCycleEvent(TypedDict):
    id: str
    type: str
    api_version: str
    livemode: bool
    created_at: datetime
    received_at: datetime
    verdict: str
    verdict_reason: str
    subscription_id: str
    customer_id: str
    attempt_count: int
    next_attempt_at: datetime
    error: str
    delivery_count: int
    payload: bytes

class LifeCycleCustomersOf(TypedDict):
    id: str

class LifeCycleSql(TypedDict):
    subscriptions: Statement[LifeCycleSubscriptions]
    subscription: Statement[LifeCycleSubscriptions]
    transitions: Statement[TransitionsRow]
    events_up: Statement[LifeCycleEventsUp]
    events_down: Statement[LifeCycleEventsUp]
    event: Statement[LifeCycleEvent]
    deliveries: Statement[DeliveriesRow]
    customers_of: Statement[LifeCycleCustomersOf]

class OperatorActsActs(OperatorActsRow):
    told_reason: str
    public_account_id: str

class OperatorActsSql(TypedDict):
    acts: Statement[OperatorActsActs]

class ReadingsHasReplayed(TypedDict):
    replayed: bool

class ReadingsSql(TypedDict):
    has_replayed: Statement[ReadingsHasReplayed]

class ReversalsUp(ReversalsRow):
    public_account_id: str

class ReversalsSql(TypedDict):
    up: Statement[ReversalsUp]
    down: Statement[ReversalsUp]
    one: Statement[ReversalsUp]

class RollForwardSums(TypedDict):
    opening: Decimal
    granted: Decimal
    purchased: Decimal
    spent: Decimal
    returned: Decimal
    refunded: Decimal
    expired: Decimal
    adjusted: Decimal
    transferred: Decimal
    reversed: Decimal
    closing: Decimal

class RollForwardSumsByLotSource(TypedDict):
    lot_source: str
    repaid: Decimal
    opening: Decimal
    granted: Decimal
    purchased: Decimal
    spent: Decimal
    returned: Decimal
    refunded: Decimal
    expired: Decimal
    adjusted: Decimal
    transferred: Decimal
    reversed: Decimal
    closing: Decimal

class RollForwardSumsByTier(TypedDict):
    tier: str
    repaid: Decimal
    opening: Decimal
    granted: Decimal
    purchased: Decimal
    spent: Decimal
    returned: Decimal
    refunded: Decimal
    expired: Decimal
    adjusted: Decimal
    transferred: Decimal
    reversed: Decimal
    closing: Decimal

class RollForwardSql(TypedDict):
    sums: Statement[RollForwardSums]
    sums_by_lot_source: Statement[RollForwardSumsByLotSource]
    sums_by_tier: Statement[RollForwardSumsByTier]

class StatementUsed(TypedDict):
    place: int
    named: bool
    day_on: date
    label: str
    used: int

class StatementLotsLeft(TypedDict):
    source: str
    free: int
    held: int
    granted: int
    expires_at: datetime
    others: int
    others_free: int

class StatementOpening(TypedDict):
    coalesce: int

class StatementByDay(TypedDict):
    day_on: date
    change: int
    received: int
    bought: int
    used: int
    given_back: int
    expired: int

class StatementActs(TypedDict):
    recorded_at: datetime
    journal_id: JournalNumber
    kind: str
    source: str
    label: str
    change: int

class StatementSql(TypedDict):
    used: Statement[StatementUsed]
    lots_left: Statement[StatementLotsLeft]
    opening: Statement[StatementOpening]
    by_day: Statement[StatementByDay]
    acts: Statement[StatementActs]

class TrialBalanceSums(TypedDict):
    account: str
    debits: Decimal
    credits: Decimal

class TrialBalanceSql(TypedDict):
    sums: Statement[TrialBalanceSums]

class WhySpent(TypedDict):
    label: str
    spent: int
    came_back: int

class WhyMoves(TypedDict):
    journal_id: JournalNumber
    kind: str
    recorded_at: datetime
    actor: str
    event_id: str
    reverses_journal_id: JournalNumber
    reason: str
    change: int

class WhyCorrections(TypedDict):
    kind: str
    change: int
    recorded_at: datetime
    actor: str
    reason: str

class WhyLater(TypedDict):
    exists: bool

class WhySql(TypedDict):
    spent: Statement[WhySpent]
    moves: Statement[WhyMoves]
    corrections: Statement[WhyCorrections]
    later: Statement[WhyLater]
