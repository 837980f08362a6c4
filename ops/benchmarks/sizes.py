"""How much is measured: the defaults end within 20 minutes on two cores."""

from __future__ import annotations

import msgspec


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """All of them are make variables of the same names in capitals."""

    accounts: int  # that the uniform spends are spread over
    callers: int  # concurrent tasks of the Python call, and HTTP connections
    rounds: int  # of each floor and its subject in turn
    round_s: float  # of one side in one round
    warm_up_s: float  # ahead of each, not counted
    entries: int  # of the small ledger that is read
    entries_max: int  # of the large one
    reads: int  # calls of each kind in one round
    webhook_customers: int  # whose subscriptions the webhooks tell of
    inbox_events: int  # that a full inbox holds
    history_events: int  # of one subscription that is long known
    deliveries: int  # webhook messages of one round
    page_accounts: int  # of the large book whose pages are loaded
    growth_entries: int  # of the large book that every call is tried in
    growth_lots: int  # of the one account of another
    growth_subscriptions: int  # of a third
    seal_entries: int  # of the ledger that is sealed at once
    grant_accounts: int  # whose day is opened in the small ledger
    grant_accounts_max: int  # in the large one
    grant_spends_s: float  # of spends meanwhile, and as long idle
