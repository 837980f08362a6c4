"""An act that waits while its account is joined to another goes on there; nothing is left behind.

Each act has looked its account up, and waits for the lock that the join holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from app.accounts.put import put
from app.infrastructure.db import Database
from tests.acts import Acts
from tests.conftest import NOW
from tests.invariants import differences
from tests.money_events import make_refund_event, make_session_event
from tests.stripe_events import make_subscription_event

Answer = TypeVar("Answer")
WAITING = """SELECT count(*) FROM pg_stat_activity
               WHERE datname = current_database() AND wait_event_type = 'Lock'"""


async def begun(api) -> Acts:
    """A customer on PRO whom nobody introduced, and a user without a customer."""
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    await api.put("/api/v1/accounts/user-1", {})
    return Acts(api, "cus_1")


async def join_before(book, database: Database, act: Callable[[], Awaitable[Answer]]) -> Answer:
    """Let the act wait for its account while that is joined to user-1's; the act's answer."""
    locked, waits = asyncio.Event(), asyncio.Event()

    async def join() -> None:
        async with database.transaction():
            await database.execute("SELECT FROM accounts WHERE external_id IS NULL FOR UPDATE")
            locked.set()
            await waits.wait()
            await put(book, "user-1", "cus_1", None, "tests")

    joining = asyncio.create_task(join())
    await locked.wait()
    acting = asyncio.create_task(as_task(act))
    while not await database.fetchval(WAITING):
        await asyncio.sleep(0.01)
    waits.set()
    await joining
    return await acting


async def as_task(act: Callable[[], Awaitable[Answer]]) -> Answer:
    return await act()


async def test_a_hold_placed_while_its_account_is_joined_can_be_captured(
    api, book, database
) -> None:
    acts = await begun(api)
    answer = await join_before(book, database, lambda: acts.hold(8))
    hold_id = (await acts.done(answer))["id"]
    user = Acts(api, "user-1")
    assert await user.sides() == (12, 8, 0)
    assert (await acts.capture(hold_id, 6)).status_code == 200
    assert await user.sides() == (14, 0, 0)
    assert await differences(database) == []


async def test_a_reversal_that_waits_for_a_join_gives_to_the_account_that_has_everything_then(
    api, book, database
) -> None:
    acts = await begun(api)
    spent = await acts.journal(await acts.spend(8))
    answer = await join_before(book, database, lambda: acts.reverse(spent))
    assert answer.status_code == 201
    assert await Acts(api, "user-1").sides() == (20, 0, 0)
    assert await database.fetchval("SELECT sum(free) FROM accounts") == 20
    assert await differences(database) == []


async def test_a_reversal_that_is_repeated_after_a_join_is_answered_as_the_first_time(
    api, database
) -> None:
    acts = await begun(api)
    spent = await acts.journal(await acts.spend(8))
    first = await acts.reverse(spent, key="key-of-it")
    await api.put("/api/v1/accounts/user-1", {"stripe_customer_id": "cus_1"})
    again = await acts.reverse(spent, key="key-of-it")
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    assert await differences(database) == []


async def test_an_account_that_is_joined_while_it_is_being_closed_is_closed(
    api, book, database
) -> None:
    await begun(api)
    path = "/api/v1/accounts/cus_1/close"
    answer = await join_before(
        book, database, lambda: api.client.post(path, headers=api.headers("operator"))
    )
    assert answer.status_code == 200
    account = await api.account("user-1")
    assert account["next_grant_at"] is None


async def test_a_refund_that_waits_for_a_join_takes_from_the_account_that_has_the_pack_then(
    api, book, database
) -> None:
    await begun(api)
    assert await api.deliver(make_session_event("evt_2", NOW)) == "applied"
    refund = make_refund_event("evt_3", NOW + timedelta(seconds=1), 1_000)
    assert await join_before(book, database, lambda: api.deliver(refund)) == "applied"
    assert await Acts(api, "user-1").sides() == (20, 0, 0)
    assert await differences(database) == []
