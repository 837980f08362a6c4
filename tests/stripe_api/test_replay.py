"""An event is replayed: what stands is not applied twice, what was parked gets another chance."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from app.allowance.catalogue import default_text
from app.book import Book
from app.errors import EventUnknownError
from app.infrastructure.db import Database
from app.operators.acts import Operator
from app.webhooks.replay import parked, replay
from tests.api_client import Api
from tests.as_owner import apply_tiers
from tests.conftest import NOW
from tests.invariants import differences
from tests.money_events import make_session_event
from tests.stripe_events import make_event, make_subscription_event

OPERATOR = Operator(actor="tests", reason="of the tests")


async def event_row(database: Database, event_id: str) -> dict[str, Any]:
    row = await database.fetchrow("SELECT * FROM events WHERE id = $1", event_id)
    assert row is not None
    return dict(row)


async def post(api: Api, event_id: str) -> dict[str, Any]:
    answer = await api.client.post(
        f"/api/v1/events/{event_id}/replay", headers=api.headers("operator")
    )
    assert answer.status_code == 200, answer.text
    return answer.json()  # type: ignore[no-any-return]


async def test_an_applied_event_replayed_changes_nothing_and_says_so(
    api: Api, database: Database
) -> None:
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    later = make_subscription_event(
        "evt_2", "updated", NOW + timedelta(seconds=9), price="price_enterprise_monthly"
    )
    await api.deliver(later)
    await api.spend("cus_1", 7, "k-1")
    before = await event_row(database, "evt_1")
    entries = await database.fetchval("SELECT count(*) FROM entries")
    for _ in range(2):
        answer = await post(api, "evt_1")
        assert (answer["event_id"], answer["outcome"], answer["verdict"]) == (
            "evt_1",
            "duplicate",
            "applied",
        )
        assert answer["reason"].startswith("applied before")
    assert await event_row(database, "evt_1") == before
    assert await database.fetchval("SELECT count(*) FROM entries") == entries
    assert (await api.account("cus_1"))["available"] == 43
    assert await differences(database) == []


async def test_a_parked_event_is_applied_once_its_cause_is_gone(
    api: Api, database: Database, server: Any
) -> None:
    owner = await asyncpg.connect(server.owner_url)
    await owner.execute("ALTER TABLE facts ADD CONSTRAINT broken CHECK (event_id <> 'evt_1')")
    assert await api.deliver(make_subscription_event("evt_1", "created", NOW)) == "queued"
    await api.set_clock(NOW + timedelta(days=3))
    assert (await event_row(database, "evt_1"))["verdict"] == "parked"
    again = await post(api, "evt_1")
    assert (again["outcome"], again["verdict"]) == ("parked", "parked")
    await owner.execute("ALTER TABLE facts DROP CONSTRAINT broken")
    await owner.close()
    answer = await post(api, "evt_1")
    assert (answer["outcome"], answer["verdict"]) == ("applied", "applied")
    assert (await api.account("cus_1"))["available"] == 20
    assert (await post(api, "evt_1"))["outcome"] == "duplicate"
    acts = await database.fetch("SELECT act, event_id FROM operator_acts")
    assert [tuple(act) for act in acts] == [("replay", "evt_1")] * 2, "what does nothing is no act"
    assert await differences(database) == []


async def test_one_that_waits_for_its_next_try_need_not_wait(
    api: Api, database: Database, server: Any
) -> None:
    owner = await asyncpg.connect(server.owner_url)
    await owner.execute("ALTER TABLE facts ADD CONSTRAINT broken CHECK (event_id <> 'evt_1')")
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    await owner.execute("ALTER TABLE facts DROP CONSTRAINT broken")
    await owner.close()
    assert (await post(api, "evt_1"))["verdict"] == "applied"
    row = await event_row(database, "evt_1")
    assert (row["next_attempt_at"], row["error"]) == (None, None)


async def test_a_refused_event_stays_refused(api: Api, database: Database) -> None:
    await api.deliver(make_subscription_event("evt_1", "created", NOW) | {"livemode": True})
    answer = await post(api, "evt_1")
    assert (answer["outcome"], answer["verdict"]) == ("refused", "refused")
    assert await database.fetchval("SELECT count(*) FROM accounts") == 0


async def test_a_live_event_that_a_book_took_for_a_stranger_is_applied_once_the_book_is_live(
    api: Api, database: Database
) -> None:
    await api.deliver(make_session_event("evt_1", NOW) | {"livemode": True})
    live = Book(database, livemode=True)
    done = await replay(live, "evt_1", OPERATOR)
    assert (done.outcome, done.verdict) == ("applied", "applied")
    assert (await replay(live, "evt_1", OPERATOR)).outcome == "duplicate"
    assert (await api.account("cus_1"))["free"] == 105
    assert await differences(database) == []


async def test_a_test_event_that_waits_in_the_inbox_never_touches_a_book_that_became_live(
    api: Api, database: Database
) -> None:
    parked_one = make_session_event("evt_1", NOW, metadata={"tallybook_pack": "P999"})
    assert await api.deliver(parked_one) == "parked"
    live = Book(database, livemode=True)
    content = default_text().replace("[packs.P100]", "[packs.P999]")
    await apply_tiers(live, content)
    assert (await replay(live, "evt_1", OPERATOR)).outcome == "refused"
    assert (await api.get("/api/v1/accounts/cus_1")).status_code == 404


async def test_what_moves_nothing_is_ignored_again(api: Api, database: Database) -> None:
    await api.deliver(make_event("evt_1", "product.created", NOW, {"id": "prod_1"}))
    assert (await post(api, "evt_1"))["outcome"] == "ignored"


async def test_an_event_that_never_came_cannot_be_replayed(api: Api, book: Book) -> None:
    answer = await api.client.post("/api/v1/events/evt_0/replay", headers=api.headers("operator"))
    assert (answer.status_code, answer.json()["code"]) == (404, "event_unknown")
    with pytest.raises(EventUnknownError):
        await replay(book, "evt_0", OPERATOR)


async def test_ten_replays_at_once_apply_it_once(api, database, book) -> None:
    await api.deliver(make_subscription_event("evt_1", "created", NOW, price="price_new"))
    assert (await event_row(database, "evt_1"))["verdict"] == "parked"
    content = default_text().replace('"price_pro_monthly"', '"price_pro_monthly", "price_new"')
    await apply_tiers(book, content)
    answers = await asyncio.gather(*(post(api, "evt_1") for _ in range(10)))
    assert {answer["verdict"] for answer in answers} == {"applied"}
    assert (await api.account("cus_1"))["available"] == 20
    assert await differences(database) == []


async def test_all_that_are_parked_are_named_oldest_first_and_once(api, database) -> None:
    for n in range(5):
        wrong = make_subscription_event(
            f"evt_{4 - n}", "created", NOW, status="odd", subscription=f"sub_{n}"
        )
        assert await api.deliver(wrong) == "parked"
        await api.set_clock(NOW + timedelta(seconds=n + 1))
    book = Book(database)  # without a key
    named = [event_id async for event_id in parked(book)]
    assert named == ["evt_4", "evt_3", "evt_2", "evt_1", "evt_0"]
    assert [(await replay(book, event_id, OPERATOR)).outcome for event_id in named] == [
        "parked"
    ] * 5
