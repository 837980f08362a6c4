"""Every route, in the order in which the description lists them: by use, most used first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from litestar.types import ControllerRouterHandler

from app.web import (
    accounts,
    adjustments,
    alerts,
    balances,
    cron,
    dev_clock,
    entries,
    events,
    exports,
    grants,
    health,
    holds,
    hosted_pages,
    ledger,
    metrics,
    operator_acts,
    reversals,
    runs,
    schema,
    spends,
    subscriptions,
    usage,
    webhook,
)

ROUTES: Final[Sequence[ControllerRouterHandler]] = (
    accounts.put_account,
    accounts.get_account,
    balances.get_balance,
    balances.explain_balance,
    spends.spend,
    spends.spend_batch,
    holds.place_hold,
    holds.get_hold,
    holds.capture_hold,
    holds.release_hold,
    hosted_pages.create_checkout_session,
    hosted_pages.create_portal_session,
    webhook.receive_stripe_event,
    grants.grant_credits,
    adjustments.adjust_balance,
    accounts.close_account,
    reversals.reverse,
    reversals.get_reversal,
    subscriptions.list_subscriptions,
    subscriptions.get_subscription,
    subscriptions.list_transitions,
    events.list_events,
    events.get_event,
    events.replay_event,
    runs.start_run,
    runs.list_runs,
    runs.get_run,
    entries.list_entries,
    entries.get_journal,
    ledger.get_trial_balance,
    ledger.get_roll_forward,
    exports.export_entries,
    operator_acts.list_operator_acts,
    usage.get_usage,
    alerts.list_alerts,
    cron.reset_credits,
    health.get_liveness,
    health.get_readiness,
    metrics.get_metrics,
    schema.get_openapi_json,
    schema.get_openapi_page,
)
CLOCK_ROUTES: Final[Sequence[ControllerRouterHandler]] = (dev_clock.set_clock, dev_clock.get_clock)
