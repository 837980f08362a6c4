"""What a buyer's browser can write names who receives one purchase, and does nothing else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from app.allowance.catalogue import default_text
from tests.acts import Acts
from tests.as_owner import apply_tiers
from tests.conftest import NOW
from tests.invariants import differences
from tests.money_events import make_dispute_event, make_refund_event, make_session_event
from tests.stripe_events import make_customer_event, make_subscription_event

SECOND = timedelta(seconds=1)
NAME = "tallybook_account_id"


def tip(event_id: str, customer: str, reference: str, **more: Any) -> dict[str, Any]:
    """A payment link of the merchant's, opened with somebody's id in its address."""
    ids = {"session": f"cs_{event_id}", "intent": f"pi_{event_id}"}
    event = make_session_event(
        event_id, NOW, customer=customer, reference=reference, metadata={}, **{**ids, **more}
    )
    event["data"]["object"]["payment_link"] = "plink_tip"
    return event


def gift(event_id: str, customer: str | None, reference: str, **more: Any) -> dict[str, Any]:
    """A paid pack for somebody else, named by the browser."""
    ids = {"session": f"cs_{event_id}", "intent": f"pi_{event_id}"}
    return make_session_event(
        event_id, NOW, customer=customer, reference=reference, **{**ids, **more}
    )


async def gone(api, account_id: str) -> bool:
    return (await api.get(f"/api/v1/accounts/{account_id}")).status_code == 404


async def test_a_tip_swaps_nobodys_billing(api, database) -> None:
    await api.put("/api/v1/accounts/victim", {})
    own = {"tallybook_pack": "P100", NAME: "victim"}
    await api.deliver(gift("evt_1", "cus_VICTIM", "victim", metadata=own))
    assert (await api.account("victim"))["stripe_customer_id"] == "cus_VICTIM"
    await api.deliver(tip("evt_2", "cus_ATTACKER", "victim"))
    victim = await api.account("victim")
    assert (victim["stripe_customer_id"], victim["available"]) == ("cus_VICTIM", 105)
    assert await gone(api, "cus_ATTACKER")
    assert await database.fetchval("SELECT count(*) FROM claims WHERE rank < 5") == 1
    assert await differences(database) == []


@pytest.mark.parametrize("status", ["unpaid", "paid"])
async def test_ids_are_not_squatted_ahead(api, status: str) -> None:
    await api.deliver(tip("evt_1", "cus_A", "user-1001", status=status))
    assert await gone(api, "user-1001")
    assert (await api.put("/api/v1/accounts/user-1001", {})).status_code == 201
    assert (await api.account("user-1001"))["stripe_customer_id"] is None


async def test_neither_debt_nor_used_allowance_is_moved_to_somebody(api, database) -> None:
    await api.put("/api/v1/accounts/victim", {"stripe_customer_id": "cus_V"})
    attacker = Acts(api, "cus_A")
    await api.deliver(make_session_event("evt_1", NOW, customer="cus_A"))
    await attacker.done(await attacker.spend(105))
    await api.deliver(make_dispute_event("evt_2", NOW + SECOND, "lost", "closed"))
    assert await attacker.sides() == (0, 0, 100)
    named = {"mode": "subscription", "subscription": "sub_A", "status": "unpaid"}
    await api.deliver(tip("evt_3", "cus_A", "victim", **named))
    victim = await api.account("victim")
    assert (victim["balance"], victim["debt"], victim["available"]) == (5, 0, 5)
    assert await attacker.sides() == (0, 0, 100)
    assert await differences(database) == []


async def test_credits_are_not_spent_by_another_customers_id(api) -> None:
    await api.put("/api/v1/accounts/victim", {"stripe_customer_id": "cus_V"})
    await api.deliver(gift("evt_1", "cus_V", "victim"))
    await api.deliver(tip("evt_2", "cus_A", "victim"))
    assert (await api.spend("cus_A", 70, "theft")).status_code == 404
    assert (await api.account("victim"))["available"] == 105


async def test_what_a_payment_links_metadata_names_receives_and_is_not_tied(api, database) -> None:
    event = gift("evt_1", "cus_A", "", metadata={"tallybook_pack": "P100", NAME: "friend"})
    event["data"]["object"] |= {"payment_link": "plink_1", "client_reference_id": None}
    assert await api.deliver(event) == "applied"
    friend = await api.account("friend")
    assert (friend["available"], friend["stripe_customer_id"]) == (105, None)
    assert await gone(api, "cus_A")
    assert await differences(database) == []


async def test_a_reference_receives_the_subscription_in_whichever_order_it_is_told(
    api, database
) -> None:
    for number, order in enumerate(((0, 1, 2), (2, 1, 0), (1, 0, 2), (0, 2, 1))):
        names = {"customer": f"cus_{number}", "subscription": f"sub_{number}"}
        begun = {"mode": "subscription", "status": "unpaid"}
        events = [
            make_subscription_event(f"e{number}_1", "created", NOW, status="incomplete", **names),
            make_subscription_event(f"e{number}_2", "updated", NOW + SECOND, previous={}, **names),
            tip(
                f"e{number}_3",
                names["customer"],
                f"friend-{number}",
                subscription=names["subscription"],
                **begun,
            ),
        ]
        for index in order:
            await api.deliver(events[index])
        friend = await api.account(f"friend-{number}")
        assert (friend["tier"], friend["available"]) == ("PRO", 20), order
        assert friend["stripe_customer_id"] is None
        assert friend["subscriptions"][0]["stripe_customer_id"] == names["customer"]
    assert await differences(database) == []


async def test_a_gift_that_is_disputed_is_the_debt_of_the_payers_account(api, database) -> None:
    await api.put("/api/v1/accounts/payer", {"stripe_customer_id": "cus_P"})
    await api.put("/api/v1/accounts/friend", {})
    # The customer is tied: its own purchases go to its own account, whatever the reference says.
    event = gift("evt_1", "cus_P", "", metadata={"tallybook_pack": "P100", NAME: "friend"})
    event["data"]["object"] |= {"payment_link": "plink_1", "client_reference_id": None}
    await api.deliver(event)
    friend, payer = Acts(api, "friend"), Acts(api, "payer")
    await friend.done(await friend.spend(65))
    lost = make_dispute_event("evt_2", NOW + SECOND, "lost", "closed", intent="pi_evt_1")
    await api.deliver(lost)
    assert await friend.sides() == (0, 0, 0), "the innocent receiver owes nothing"
    assert await payer.sides() == (0, 0, 55), "60 of the pack were spent; 5 of today's repaid"
    assert await differences(database) == []


async def test_who_gives_to_himself_does_not_escape_the_debt(api, database) -> None:
    await api.put("/api/v1/accounts/user", {"stripe_customer_id": "cus_U"})
    event = gift("evt_1", "cus_U", "", metadata={"tallybook_pack": "P100", NAME: "user"})
    event["data"]["object"] |= {"payment_link": "plink_1", "client_reference_id": None}
    await api.deliver(event)
    user = Acts(api, "user")
    await user.done(await user.spend(105))
    await api.deliver(make_refund_event("evt_2", NOW + SECOND, 1_000, intent="pi_evt_1"))
    assert await user.sides() == (0, 0, 100)
    assert await differences(database) == []


async def test_a_gift_of_nobody_is_written_off_told_and_not_repeated(api, database) -> None:
    await api.put("/api/v1/accounts/friend", {})
    await api.deliver(gift("evt_1", "cus_G", "friend"))
    friend = Acts(api, "friend")
    await friend.done(await friend.spend(65))
    await api.deliver(make_refund_event("evt_2", NOW + SECOND, 1_000, intent="pi_evt_1"))
    assert await friend.sides() == (0, 0, 0)
    (alert,) = await database.fetch("SELECT * FROM alerts")
    assert (alert["kind"], alert["customer_id"], alert["value"]) == ("gift_disputed", "cus_G", 60)
    again = gift("evt_3", "cus_G", "friend")
    assert await api.deliver(again) == "parked"
    assert await friend.sides() == (0, 0, 0)
    assert await differences(database) == []


async def test_a_reference_that_is_another_customers_id_ties_and_opens_nothing(
    api, database
) -> None:
    await api.deliver(make_subscription_event("evt_1", "created", NOW, customer="cus_victim"))
    await api.deliver(gift("evt_2", "cus_thief", "cus_victim"))
    victim = await api.account("cus_victim")
    assert (victim["tier"], victim["available"], len(victim["subscriptions"])) == ("PRO", 120, 1)
    assert victim["stripe_customer_id"] == "cus_victim"
    assert await gone(api, "cus_thief")
    metadata = make_customer_event(
        "evt_3", "updated", NOW, customer="cus_thief", **{NAME: "cus_victim"}
    )
    assert await api.deliver(metadata) == "parked"
    assert (await api.account("cus_victim"))["available"] == 120
    assert await differences(database) == []


async def test_a_guest_who_names_a_customer_pays_for_that_customers_account(api, database) -> None:
    await api.deliver(make_subscription_event("evt_1", "created", NOW, customer="cus_1"))
    assert await api.deliver(gift("evt_2", None, "cus_1")) == "applied"
    account = await api.account("cus_1")
    assert (account["tier"], account["available"]) == ("PRO", 120)
    assert await database.fetchval("SELECT count(*) FROM accounts") == 1
    assert await differences(database) == []


async def test_an_account_that_the_application_named_like_a_customer_keeps_its_name(
    api, database
) -> None:
    await api.put("/api/v1/accounts/cus_1", {"stripe_customer_id": "cus_1"})
    await api.deliver(gift("evt_1", "cus_1", "cus_1"))
    await api.deliver(gift("evt_2", None, "cus_1"))
    assert (await api.account("cus_1"))["available"] == 205
    assert await differences(database) == []


async def test_a_put_of_a_customers_id_is_that_customers_account_in_both_orders(
    api, database
) -> None:
    for number, put_first in enumerate((True, False)):
        customer = f"cus_{number}"
        zone = {"time_zone": "Europe/Berlin"}
        if put_first:
            assert (await api.put(f"/api/v1/accounts/{customer}", zone)).status_code == 201
        names = {"customer": customer, "subscription": f"sub_{number}"}
        await api.deliver(make_subscription_event(f"evt_{number}", "created", NOW, **names))
        if not put_first:
            assert (await api.put(f"/api/v1/accounts/{customer}", zone)).status_code == 200
        account = await api.account(customer)
        assert (account["tier"], account["time_zone"]) == ("PRO", "Europe/Berlin")
    assert await database.fetchval("SELECT count(*) FROM accounts") == 2
    assert await differences(database) == []


async def test_a_reference_ties_where_the_catalogue_trusts_it(api, book, database) -> None:
    await apply_tiers(book, f"{default_text()}\n[stripe]\ntrust_client_reference = true\n")
    await api.deliver(gift("evt_1", "cus_1", "user-1"))
    account = await api.account("cus_1")
    assert (account["id"], account["stripe_customer_id"]) == ("user-1", "cus_1")
    assert await differences(database) == []
