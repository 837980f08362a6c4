"""Stripe Connect: what happens on a connected account moves nobody's credits here."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.operators.acts import Operator
from app.webhooks.replay import replay
from tests.conftest import NOW
from tests.invariants import differences
from tests.money_events import make_dispute_event, make_refund_event, make_session_event
from tests.stripe_events import (
    make_customer_event,
    make_event,
    make_invoice_event,
    make_subscription_event,
)
from tests.webhooks.test_verdicts import rulings

REASON = "of connected account 'acct_theirs': it moves no account of this book"
LATER = NOW + timedelta(minutes=1)
# The very ids of ours: of whatever else they are told apart, these events must not reach it.
THEIRS = (
    make_subscription_event("evt_t", "created", LATER, subscription="sub_2", customer="cus_2"),
    make_subscription_event("evt_t", "updated", LATER, price="price_enterprise_monthly"),
    make_subscription_event("evt_t", "deleted", LATER, status="canceled"),
    make_subscription_event("evt_t", "updated", LATER, status="a status that nobody knows"),
    make_invoice_event("evt_t", "payment_failed", LATER),
    make_customer_event("evt_t", "updated", LATER, user_id="mallory"),
    make_customer_event("evt_t", "deleted", LATER),
    make_session_event("evt_t", LATER, session="cs_2", intent="pi_2"),
    make_refund_event("evt_t", LATER, 1_000),
    make_dispute_event("evt_t", LATER, "needs_response"),
    make_event("evt_t", "account.updated", LATER, {"id": "acct_theirs", "object": "account"}),
)


async def counted(database: Any) -> list[int]:
    tables = ("accounts", "customers", "claims", "facts", "money_facts", "journals", "purchases")
    return [await database.fetchval(f"SELECT count(*) FROM {table}") for table in tables]


@pytest.mark.parametrize("field", ["account", "user_id"])  # user_id until 2017-05-25
@pytest.mark.parametrize("event", THEIRS, ids=lambda event: event["type"])
async def test_a_connected_accounts_event_is_ignored_and_moves_nothing(
    api, database, event: dict[str, Any], field: str
) -> None:
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    await api.deliver(make_session_event("evt_2", NOW))
    before = await api.account("cus_1"), await counted(database)
    theirs = {**event, field: "acct_theirs"}
    assert await api.deliver(theirs) == "ignored"
    assert await api.deliver(theirs) == "duplicate"
    assert (await rulings(api, "evt_t"))[0] == ("ignored", REASON)
    assert (await api.account("cus_1"), await counted(database)) == before
    assert await differences(database) == []


async def test_one_that_an_earlier_release_parked_is_ignored_when_it_is_replayed(
    api, book, database
) -> None:
    theirs = {**THEIRS[0], "account": "acct_theirs"}
    await api.deliver(theirs)
    await database.execute("UPDATE events SET verdict = 'parked' WHERE id = 'evt_t'")
    assert (await replay(book, "evt_t", Operator(actor="tests", reason=None))).verdict == "ignored"


async def test_an_event_of_our_own_account_says_so_by_null(api) -> None:
    await api.deliver({**make_subscription_event("evt_1", "created", NOW), "account": None})
    assert (await api.account("cus_1"))["tier"] == "PRO"
