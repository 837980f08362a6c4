"""Who pays by a payment link writes its client_reference_id: it must not hide another's account."""

from __future__ import annotations

from tests.conftest import NOW
from tests.invariants import differences
from tests.money_events import make_session_event
from tests.stripe_events import make_customer_event, make_subscription_event


async def test_a_reference_that_is_another_customers_id_ties_and_opens_nothing(
    api, database
) -> None:
    await api.deliver(make_subscription_event("evt_1", "created", NOW, customer="cus_victim"))
    await api.deliver(
        make_session_event("evt_2", NOW, customer="cus_thief", reference="cus_victim")
    )
    victim, thief = await api.account("cus_victim"), await api.account("cus_thief")
    assert (victim["tier"], victim["available"], len(victim["subscriptions"])) == ("PRO", 20, 1)
    assert (thief["tier"], thief["available"]) == ("FREE", 105)
    reason = await database.fetchval("SELECT verdict_reason FROM events WHERE id = 'evt_2'")
    assert reason.endswith("cus_victim is another customer's id")
    metadata = make_customer_event(
        "evt_3", "updated", NOW, customer="cus_thief", user_id="cus_victim"
    )
    assert await api.deliver(metadata) == "ignored"
    assert (await api.account("cus_victim"))["available"] == 20
    assert await differences(database) == []


async def test_a_guest_who_names_a_customer_pays_for_that_customers_account(api, database) -> None:
    await api.deliver(make_subscription_event("evt_1", "created", NOW, customer="cus_1"))
    guests = make_session_event("evt_2", NOW, customer=None, reference="cus_1")
    assert await api.deliver(guests) == "applied"
    account = await api.account("cus_1")
    assert (account["tier"], account["available"]) == ("PRO", 120)
    assert await database.fetchval("SELECT count(*) FROM accounts WHERE opened_at IS NOT NULL") == 1
    assert await differences(database) == []


async def test_an_account_that_the_application_named_like_a_customer_keeps_its_name(
    api, database
) -> None:
    await api.put("/api/v1/accounts/cus_1", {"stripe_customer_id": "cus_1"})
    await api.deliver(make_session_event("evt_1", NOW, customer="cus_1", reference="cus_1"))
    await api.deliver(
        make_session_event(
            "evt_2", NOW, session="cs_2", intent="pi_2", customer=None, reference="cus_1"
        )
    )
    assert (await api.account("cus_1"))["available"] == 205
    assert await differences(database) == []
