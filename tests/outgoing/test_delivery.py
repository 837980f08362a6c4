"""Delivery: signed as Standard Webhooks has it, at least once, in order where asked, for a time."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import httpx
import pytest

from app.audit.gauges import Gauges
from app.book import Book
from app.outgoing import deliver, schedule
from app.outgoing.deliver import Deliverer, deliver_due
from app.outgoing.sending import Sender
from tests.acts import Acts
from tests.api_client import Api
from tests.metrics_text import value
from tests.outgoing.conftest import Hooks
from tests.receiver import Received, Receiver, receiving


@pytest.fixture
async def account(api: Api, book: Book) -> int:
    """An account's number."""
    await api.put("/api/v1/accounts/user-1", {})
    return int(await book.database.fetchval("SELECT id FROM accounts"))


async def test_a_message_arrives_signed_and_once(
    hooks: Hooks, receiver: Receiver, api: Api, account: int
) -> None:
    await hooks.made(receiver)
    await Acts(api).grant(7)
    await hooks.deliver()
    await hooks.deliver()
    (one,) = receiver.received
    assert (receiver.refused, one.type) == ([], "credits.granted")
    assert one.payload["id"] == one.id
    assert one.payload["version"] == 1
    assert one.payload["timestamp"] == "2026-01-01T12:00:00.000000Z"
    assert one.data["account_id"] == "user-1"
    assert one.headers["content-type"] == "application/json"
    assert abs(int(one.headers["webhook-timestamp"]) - time.time()) < 60, "the world's time"
    (told,) = await hooks.messages()
    assert (told["id"], told["state"], told["last_status"]) == (one.id, "delivered", 204)
    assert (told["attempt_count"], told["next_attempt_at"]) == (1, None)


async def test_another_secret_verifies_nothing(hooks: Hooks, receiver: Receiver) -> None:
    await hooks.made(receiver)
    receiver.secret = "whsec_" + "A" * 43 + "="
    await hooks.tell("run.done")
    await hooks.deliver()
    assert (receiver.received, receiver.refused) == ([], ["No matching signature found"])
    (told,) = await hooks.messages()
    assert (told["state"], told["last_status"]) == ("pending", 401)


async def test_a_failure_is_tried_again_after_five_seconds_then_slower(
    hooks: Hooks, receiver: Receiver
) -> None:
    await hooks.made(receiver)
    receiver.answer = lambda _: 500
    await hooks.tell("run.done")
    await hooks.deliver()
    (told,) = await hooks.messages()
    waits = datetime.fromisoformat(told["next_attempt_at"]) - datetime.now(UTC)
    assert timedelta(0) < waits <= timedelta(seconds=5)
    await hooks.pass_seconds(1)
    await hooks.deliver()
    assert len(receiver.received) == 1, "not before its time"
    await hooks.pass_seconds(4)
    await hooks.deliver()
    assert len(set(receiver.ids)) == 1, "the same id at each attempt"
    (told,) = await hooks.messages()
    waits = datetime.fromisoformat(told["next_attempt_at"]) - datetime.now(UTC)
    assert (told["attempt_count"], told["last_status"]) == (2, 500)
    assert timedelta(seconds=10) < waits <= timedelta(seconds=30)


def test_the_delays_grow_and_end_after_three_days() -> None:
    delays = [schedule.next_delay_s(n, 0, None) for n in range(1, 30)]
    assert delays[:4] == [5, 30, 120, 600]
    assert all(one <= other for one, other in pairwise(delays) if one and other)
    tried_s, attempts = 0, 1
    while (delay := schedule.next_delay_s(attempts, tried_s, None)) is not None:
        tried_s, attempts = tried_s + delay, attempts + 1
    assert 3 * 86_400 <= tried_s < 4 * 86_400
    assert attempts < 20
    assert schedule.next_delay_s(1, 0, 90) == 90, "a receiver may ask for more time,"
    assert schedule.next_delay_s(1, 0, 10**8) == 3_600, "and not for more than an hour"
    assert schedule.next_delay_s(4, 0, 90) == 600
    assert [schedule.hold_s(n) for n in (1, 2, 3, 4, 5, 9, 10_000)] == [0, 0, 5, 10, 20, 60, 60]


async def test_a_receiver_may_ask_for_time(hooks: Hooks, receiver: Receiver) -> None:
    await hooks.made(receiver)
    receiver.answer, receiver.more_headers = lambda _: 429, "Retry-After: 77\r\n"
    await hooks.tell("run.done")
    await hooks.deliver()
    (told,) = await hooks.messages()
    waits = datetime.fromisoformat(told["next_attempt_at"]) - datetime.now(UTC)
    assert timedelta(seconds=40) < waits <= timedelta(seconds=77)


async def test_a_message_that_three_days_could_not_deliver_is_dead_and_can_be_sent_again(
    hooks: Hooks, receiver: Receiver
) -> None:
    await hooks.made(receiver)
    receiver.answer = lambda _: 500
    await hooks.tell("run.done")
    await hooks.deliver()
    await hooks.pass_seconds(schedule.TRIED_S_MAX)
    await hooks.deliver()
    await hooks.pass_seconds(86_400)
    await hooks.deliver()
    assert len(receiver.received) == 2
    (told,) = await hooks.messages(state="dead")
    assert (told["last_status"], told["next_attempt_at"]) == (500, None)
    receiver.answer = lambda _: 200
    again = await hooks.post(f"webhook-messages/{told['id']}/redeliver", {"reason": "mended"})
    assert (again.status_code, again.json()["state"]) == (200, "pending")
    await hooks.pass_seconds(60)
    await hooks.deliver()
    assert await hooks.states() == [("run.done", "delivered")]
    assert receiver.ids == [told["id"]] * 3


async def test_a_redirect_is_not_followed_and_is_no_receipt(
    hooks: Hooks, receiver: Receiver
) -> None:
    async with receiving() as elsewhere:
        await hooks.made(receiver)
        receiver.answer = lambda _: 307
        receiver.more_headers = f"Location: {elsewhere.url}\r\n"
        await hooks.tell("run.done")
        await hooks.deliver()
        assert (len(receiver.received), elsewhere.connection_count) == (1, 0)
    (told,) = await hooks.messages()
    assert (told["state"], told["last_status"]) == ("pending", 307)


async def test_a_receiver_that_never_answers_is_left_in_time_and_delays_no_other_endpoint(
    hooks: Hooks, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.outgoing.sending.ATTEMPT_SECONDS_MAX", 3.0)
    async with receiving() as quick:
        await hooks.made(receiver, "silent")
        await hooks.made(quick, "quick")
        receiver.answer = lambda _: None
        await hooks.tell("run.done")
        delivering = asyncio.create_task(hooks.deliver())
        while not quick.received:
            await asyncio.sleep(0.01)
        assert not delivering.done(), "the silent one is still waited for"
        await delivering
    by_endpoint = {one["endpoint_id"]: one for one in await hooks.messages()}
    assert by_endpoint["quick"]["state"] == "delivered"
    assert by_endpoint["silent"]["last_error"] == "No answer within 3 s."
    assert by_endpoint["silent"]["last_status"] is None


async def test_a_worker_that_dies_leaves_its_messages_to_others_after_the_lease(
    hooks: Hooks, receiver: Receiver, book: Book
) -> None:
    await hooks.made(receiver)
    await hooks.tell("run.done")
    claim = await deliver._claim(book.database, 1)  # and nothing is heard of that worker again
    assert claim is not None
    await hooks.deliver()
    assert receiver.received == [], "its claim still stands"
    await hooks.pass_seconds(deliver.LEASE_SECONDS)
    await hooks.deliver()
    assert len(receiver.received) == 1
    assert await hooks.states() == [("run.done", "delivered")]


async def test_a_worker_that_is_asked_to_end_gives_its_claims_back(
    hooks: Hooks, receiver: Receiver, book: Book
) -> None:
    await hooks.made(receiver)
    await hooks.tell("run.done")
    reached = asyncio.Event()

    def hang(_: Received) -> None:
        reached.set()

    receiver.answer = hang
    ending = Deliverer(hooks.sender)
    await ending.begin(book)
    await reached.wait()
    await ending.close()
    receiver.answer = lambda _: 200
    await hooks.deliver()
    assert receiver.ids == [receiver.ids[0]] * 2, "it may arrive twice"
    (told,) = await hooks.messages()
    assert (told["state"], told["attempt_count"]) == ("delivered", 1)


async def test_two_workers_send_nothing_twice(hooks: Hooks, receiver: Receiver, book: Book) -> None:
    await hooks.made(receiver)
    await hooks.tell(*["run.done"] * 250)
    await asyncio.gather(*(deliver_due(book, hooks.sender) for _ in range(4)))
    assert len(receiver.received) == 250
    assert len(set(receiver.ids)) == 250


async def test_an_accounts_messages_arrive_in_order_where_that_is_asked_for(
    hooks: Hooks, receiver: Receiver, api: Api, account: int, book: Book
) -> None:
    await api.put("/api/v1/accounts/user-2", {})
    other = int(await book.database.fetchval("SELECT max(id) FROM accounts"))
    await hooks.made(receiver, ordered=True)
    for _ in range(20):
        await hooks.tell("balance.low", account_id=account)
        await hooks.tell("balance.low", account_id=other)
    fails = 0

    def answer(one: Received) -> int:
        nonlocal fails
        if one.data["account_id"] == "user-1" and fails < 2 and len(receiver.received) > 10:
            fails += 1
            return 500
        return 200

    receiver.answer = answer
    await hooks.deliver()
    first = [one.id for one in receiver.received if one.data["account_id"] == "user-1"]
    rest = [one.id for one in receiver.received if one.data["account_id"] == "user-2"]
    assert len(rest) == 20, "another account's failure holds up nobody"
    assert rest == sorted(rest)
    assert len(first) < 20, "what comes after the one that failed waits"
    for _ in range(3):
        await hooks.pass_seconds(30)
        await asyncio.gather(*(deliver_due(book, hooks.sender) for _ in range(2)))
    arrived = [one.id for one in receiver.received if one.data["account_id"] == "user-1"]
    assert fails == 2
    assert sorted(set(arrived)) == list(dict.fromkeys(arrived)), "first arrivals are in order"
    assert len(set(arrived)) == 20
    assert {state for _, state in await hooks.states()} == {"delivered"}


@pytest.mark.parametrize("ordered", [False, True])
async def test_a_backlog_is_claimed_in_the_order_of_an_index(
    hooks: Hooks, receiver: Receiver, book: Book, account: int, ordered: bool
) -> None:
    """By a plan that sorted or joined all that waits, each hundred of 200,000 took 0.3 and 4 s."""
    await hooks.made(receiver, ordered=ordered)
    await book.database.execute(
        """SELECT tell_endpoints('balance.low', $1, tallybook_now(), '{}')
             FROM generate_series(1, 5000)""",
        account,
    )
    text, *values = deliver._SQL["claim"](number=1, ordered=ordered, limit=100, lease_s=30.0)
    plan = "\n".join(row[0] for row in await book.database.fetch(f"EXPLAIN {text}", *values))
    assert "Index Scan using webhook_messages_pending" in plan, plan
    due = plan.split("CTE due")[1].split("CTE claimed")[0]
    assert "Join" not in due, plan
    assert "Sort" not in due, plan


async def test_without_order_one_failure_holds_up_nothing(
    hooks: Hooks, receiver: Receiver, account: int
) -> None:
    await hooks.made(receiver)
    await hooks.tell(*["balance.low"] * 5, account_id=account)
    receiver.answer = lambda one: 500 if one.data["n"] == 1 else 200
    await hooks.deliver()
    assert [state for _, state in await hooks.states()] == [
        *("delivered", "pending", "delivered", "delivered", "delivered")
    ]
    assert (await hooks.endpoint())["failing_since"] is None, "it answers"


async def test_an_endpoint_that_is_away_is_probed_with_one_message_and_caught_up_when_back(
    hooks: Hooks, receiver: Receiver, book: Book
) -> None:
    await hooks.made(receiver)
    await receiver.kill()
    await hooks.tell(*["run.done"] * 30)
    await hooks.deliver()
    assert (await hooks.endpoint())["failing_since"] is not None
    tries = "SELECT sum(attempt_count) FROM webhook_messages"
    assert await book.database.fetchval(tries) == 30
    await hooks.pass_seconds(5)
    await hooks.deliver()
    # Two probes more make three failures in a row; then nothing for five seconds.
    assert await book.database.fetchval(tries) == 32
    await hooks.deliver()
    assert await book.database.fetchval(tries) == 32
    await receiver.start()
    await hooks.pass_seconds(5)
    await hooks.deliver()
    assert len(set(receiver.ids)) == 30, "those that would wait longer as well"
    stands = await hooks.endpoint()
    assert (stands["failing_since"], stands["pending_count"]) == (None, 0)


async def test_an_endpoint_that_fails_for_days_is_disabled_told_of_and_enabled_by_a_put(
    hooks: Hooks, receiver: Receiver
) -> None:
    async with receiving() as other:
        await hooks.made(receiver)
        await hooks.made(other, "other", events=["endpoint.disabled"])
        receiver.answer = lambda _: 503
        await hooks.tell("run.done")
        for _ in range(schedule.DISABLE_AFTER_FAILURES - 1):
            await hooks.deliver()
            await hooks.pass_seconds(4 * 3_600)
        await hooks.deliver()
        assert (await hooks.endpoint())["disabled_at"] is None, "often, but not for days"
        await hooks.tell("run.failed")
        await hooks.pass_seconds(schedule.DISABLE_AFTER_S)
        await hooks.deliver()
        stands = await hooks.endpoint()
        assert stands["disabled_reason"] == "Nothing has arrived for 5 days: 503."
        attempts = len(receiver.received)
        await hooks.pass_seconds(86_400)
        await hooks.deliver()
        assert len(receiver.received) == attempts, "nothing is tried any more"
        assert [(one.type, one.data["endpoint_id"]) for one in other.received] == [
            ("endpoint.disabled", "main")
        ]
    receiver.answer = lambda _: 200
    enabled = await hooks.put("main", url=receiver.url)
    assert (enabled.status_code, enabled.json()["disabled_at"]) == (200, None)
    await hooks.deliver()
    assert "run.failed" in receiver.types[attempts:], "what was told meanwhile arrives"


async def test_410_asks_for_no_more(hooks: Hooks, receiver: Receiver) -> None:
    await hooks.made(receiver)
    receiver.answer = lambda _: 410
    await hooks.tell("run.done")
    await hooks.deliver()
    stands = await hooks.endpoint()
    assert stands["disabled_reason"] == "The receiver answered 410: it wants no more."


async def test_a_rolled_secrets_predecessor_signs_too_for_a_day(
    hooks: Hooks, receiver: Receiver
) -> None:
    await hooks.made(receiver)
    old = receiver.secret
    rolled = await hooks.post("webhook-endpoints/main/roll-secret", {"reason": "yearly"})
    assert rolled.status_code == 200
    new = rolled.json()["secret"]
    assert new.startswith("whsec_")
    assert new != old
    for secret in (old, new):
        receiver.secret = secret
        await hooks.tell("run.done")
        await hooks.deliver()
    assert len(receiver.received) == 2
    assert len(receiver.received[0].headers["webhook-signature"].split(" ")) == 2
    await hooks.pass_seconds(86_401)
    receiver.secret = new
    await hooks.tell("run.done")
    await hooks.deliver()
    assert len(receiver.received[2].headers["webhook-signature"].split(" ")) == 1
    assert (await hooks.endpoint())["also_signs_until"] is None


async def test_a_name_that_turns_private_is_refused_at_delivery(
    hooks: Hooks, receiver: Receiver, book: Book
) -> None:
    """The check of a PUT is not enough: a name may mean another address a moment later."""
    await hooks.made(receiver)
    await hooks.tell("run.done")
    await deliver_due(book, Sender(pepper=hooks.sender.pepper))
    assert receiver.connection_count == 0
    (told,) = await hooks.messages()
    assert told["state"] == "pending"
    assert told["last_error"].startswith("127.0.0.1 is not public")


async def test_metrics_tell_what_waits_what_is_dead_and_which_endpoint_fails(
    hooks: Hooks, receiver: Receiver, book: Book
) -> None:
    async def told(name: str) -> float:
        scrape = httpx.Response(200, content=await Gauges(book.database).text())
        return value(scrape, f"tallybook_webhook_{name}") or 0.0

    await hooks.made(receiver)
    await hooks.tell("run.done", "run.done")
    await hooks.pass_seconds(100)
    assert await told("messages_pending") == 2
    assert 100 <= await told("messages_overdue_seconds") < 160
    assert await told("endpoints_failing_seconds") == 0
    receiver.answer = lambda _: 410
    await hooks.deliver()
    await hooks.pass_seconds(50)
    assert await told("endpoints_disabled") == 1
    assert 50 <= await told("endpoints_failing_seconds") < 110
    assert await told("messages_overdue_seconds") == 0, "nobody tries them"
    await book.database.execute(
        "UPDATE webhook_messages SET state = 'dead' WHERE type = 'run.done'"
    )
    assert (await told("messages_dead"), await told("messages_pending")) == (2, 1)
