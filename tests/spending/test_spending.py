"""Spends: all or nothing, never below zero, once for a key, however many come at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from app.runs.run import run_due
from tests.api_client import Api
from tests.conftest import NOW
from tests.invariants import differences
from tests.stripe_events import make_subscription_event

ENTERPRISE = "price_enterprise_monthly"


@pytest.fixture
async def pro(api) -> Api:
    """The service with a PRO account, cus_1."""
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    return api


async def journals(database, kind: str) -> int:
    return int(await database.fetchval("SELECT count(*) FROM journals WHERE kind = $1", kind))


async def test_forty_spends_at_once_on_twenty_credits_leave_exactly_none(pro, database) -> None:
    answers = await asyncio.gather(*(pro.spend("cus_1", 1, f"key-{n}") for n in range(40)))
    assert Counter(answer.status_code for answer in answers) == {201: 20, 402: 20}
    taken = [answer.json() for answer in answers if answer.status_code == 201]
    assert sorted(one["available"] for one in taken) == list(range(20))
    refused = [answer.json() for answer in answers if answer.status_code == 402]
    assert all((one["available"], one["required"]) == (0, 1) for one in refused)
    account = await pro.account("cus_1")
    assert (account["balance"], account["available"]) == (0, 0)
    assert await differences(database) == []


async def test_spends_of_every_size_at_once_never_pass_zero(pro, database) -> None:
    sizes = [3, 7, 1, 11, 5, 2, 13, 4, 6, 20, 1, 1]
    answers = await asyncio.gather(
        *(pro.spend("cus_1", size, f"key-{n}") for n, size in enumerate(sizes))
    )
    spent = sum(answer.json()["amount"] for answer in answers if answer.status_code == 201)
    left = (await pro.account("cus_1"))["available"]
    assert spent + left == 20
    # Whoever was refused asked for more than was left then, and less is left now.
    assert all(
        answer.json()["required"] > answer.json()["available"] >= left
        for answer in answers
        if answer.status_code == 402
    )
    assert await differences(database) == []


async def test_one_key_twenty_times_at_once_is_one_journal_and_one_answer(pro, database) -> None:
    answers = await asyncio.gather(*(pro.spend("cus_1", 3, "the-key") for _ in range(20)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    replayed = [answer.headers.get("Idempotency-Replayed") for answer in answers]
    assert Counter(replayed) == {None: 1, "true": 19}
    assert await journals(database, "spend") == 1
    assert (await pro.account("cus_1"))["available"] == 17


async def test_one_key_on_two_accounts_at_once_is_spent_on_one(pro, database) -> None:
    await pro.deliver(
        make_subscription_event("evt_2", "created", NOW, subscription="sub_2", customer="cus_2")
    )
    for n in range(8):
        answers = await asyncio.gather(
            pro.spend("cus_1", 1, f"key-{n}"), pro.spend("cus_2", 1, f"key-{n}")
        )
        assert sorted(answer.status_code for answer in answers) == [201, 422]
        refused = next(answer for answer in answers if answer.status_code == 422)
        assert refused.json()["code"] == "idempotency_key_reused"
    assert await journals(database, "spend") == 8
    left = [(await pro.account(customer))["available"] for customer in ("cus_1", "cus_2")]
    assert sum(left) == 40 - 8


async def test_a_replay_returns_the_first_answer_whatever_happened_since(pro, database) -> None:
    first = await pro.spend("cus_1", 3, "the-key")
    await pro.spend("cus_1", 4, "another-key")
    await pro.set_clock(NOW + timedelta(days=3))
    replay = await pro.spend("cus_1", 3, "the-key")
    assert (replay.status_code, replay.content) == (201, first.content)
    assert (await pro.account("cus_1"))["available"] == 20


async def test_an_answer_that_follows_from_the_entries_is_not_stored(pro, database) -> None:
    grant = {"amount": 5, "reason": "welcome", "expires_at": "2026-01-01T18:00:00Z"}
    headers = pro.headers("operator", **{"Idempotency-Key": "grant-key"})
    await pro.client.post("/api/v1/accounts/cus_1/grants", json=grant, headers=headers)
    over_two_lots = await pro.spend("cus_1", 22, "key-1")  # 20 of the day, 2 promotional
    assert len(over_two_lots.json()["entries"]) == 2
    assert await stored_answers(database, "key-1") == []

    # The account has another id by and by, and the first answers say what they said.
    await pro.put("/api/v1/accounts/ada", {"stripe_customer_id": "cus_1"})
    by_another_id = await pro.spend("cus_1", 1, "key-2")
    assert by_another_id.json()["account_id"] == "ada"
    assert await stored_answers(database, "key-2") == ["ada"], "the request does not tell it"
    await pro.spend("ada", 1, "key-3")
    await database.execute("UPDATE accounts SET external_id = 'eve'")
    for key, first in (("key-1", over_two_lots), ("key-2", by_another_id)):
        replay = await pro.spend("cus_1", first.json()["amount"], key)
        assert (replay.status_code, replay.content) == (201, first.content)
        assert replay.headers["Idempotency-Replayed"] == "true"


async def stored_answers(database, key: str) -> list[str]:
    rows = await database.fetch(
        """SELECT answer->>'account_id' AS account_id
             FROM notes JOIN journals ON journals.id = journal_id WHERE idempotency_key = $1""",
        key,
    )
    return [row["account_id"] for row in rows]


async def test_a_key_with_another_amount_is_refused(pro) -> None:
    await pro.spend("cus_1", 3, "the-key")
    answer = await pro.spend("cus_1", 4, "the-key")
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert (await pro.account("cus_1"))["available"] == 17


async def test_a_refusal_stores_nothing_and_its_key_may_be_tried_again(pro, database) -> None:
    refused = await pro.spend("cus_1", 21, "the-key")
    assert refused.status_code == 402
    assert refused.json()["next_grant_at"] == "2026-01-02T00:00:00.000000Z"
    assert await journals(database, "spend") == 0
    await pro.deliver(
        make_subscription_event(
            "evt_2", "updated", NOW + timedelta(seconds=1), price=ENTERPRISE, previous={}
        )
    )
    assert (await pro.spend("cus_1", 21, "the-key")).status_code == 201
    assert (await pro.account("cus_1"))["available"] == 29


async def test_a_spend_never_opens_an_account(pro, database) -> None:
    answer = await pro.spend("cus_nobody", 1, "the-key")
    assert (answer.status_code, answer.json()["code"]) == (404, "account_unknown")
    assert await database.fetchval("SELECT count(*) FROM accounts") == 1


async def test_spends_flips_and_the_daily_run_at_once_keep_the_allowance_rule(
    pro, database, book
) -> None:
    """At the first instant of a day: spends, upgrades, a cancellation and two runs together."""
    await pro.put("/api/v1/dev/clock", {"now": "2026-01-02T00:00:00Z", "tick": False}, "operator")
    flips = [
        make_subscription_event(
            f"evt_flip_{n}",
            "updated",
            NOW + timedelta(hours=12, seconds=n),
            price=ENTERPRISE if n % 2 else "price_pro_monthly",
            previous={},
        )
        for n in range(10)
    ]
    answers = await asyncio.gather(
        *(pro.spend("cus_1", 2, f"key-{n}") for n in range(30)),
        *(pro.post_event(event) for event in flips),
        *(run_due(database, book.catalogues, "test", 5) for _ in range(2)),
        return_exceptions=True,
    )
    assert [answer for answer in answers if isinstance(answer, BaseException)] == []
    statuses = Counter(answer.status_code for answer in answers[:40])
    assert set(statuses) <= {200, 201, 402}
    spent = 2 * Counter(answer.status_code for answer in answers[:30])[201]
    account = await pro.account("cus_1")
    assert (account["tier"], account["available"]) == ("ENTERPRISE", 50 - spent)
    assert await database.fetchval("SELECT count(*) FROM daily_grants") == 2
    assert await differences(database) == []
