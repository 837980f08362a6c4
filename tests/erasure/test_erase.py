"""A person is erased: nothing says who it was, and the ledger stands; the application may not."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from datetime import timedelta
from typing import Any

import pytest

from app.accounts.put import put
from app.book import Book
from app.cli.events import scrub_events
from app.cli.ledger import erase as erase_command
from app.errors import ConfigurationError
from app.infrastructure.db import Database
from app.jobs.tick import tick
from tests.acts import Acts
from tests.api_client import Api
from tests.conftest import NOW, PEPPER, Server
from tests.invariants import differences
from tests.money_events import make_session_event
from tests.stripe_events import make_subscription_event

JANE = "jane.doe@example.com"
# What must stand nowhere afterwards: the person's, as the application and as Stripe said it.
# None so short that it may stand in a hash.
TRACES = (JANE, "Jane", " Doe", "+49 30 1234", "Elm Street", "DE123456789", '"4242"')


async def erase(monkeypatch: pytest.MonkeyPatch, url: str, name: str = JANE) -> str:
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("TALLYBOOK_KEY_PEPPER", PEPPER)
    with redirect_stdout(io.StringIO()) as told:
        await erase_command(name, "GDPR, art. 17")
    return " ".join(told.getvalue().split()) + "\n"


async def everything(database: Database) -> dict[str, str]:
    """All that the book holds, table by table, as text."""
    names = await database.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
    )
    found = {}
    for row in names:
        table = row["tablename"]
        rows = await database.fetch(f"SELECT whole::text FROM {table} AS whole")
        text = "\n".join(one[0] for one in rows)
        if table in ("events", "event_bodies"):
            payloads = await database.fetch(f"SELECT payload FROM {table}")
            text += "\n".join(bytes(one[0]).decode() for one in payloads)
        found[table] = text
    return found


def personal(event: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The event with a person in it, as Stripe tells of one."""
    event["data"]["object"] |= {
        "email": JANE,
        "name": "Jane Doe",
        "phone": "+49 30 1234",
        "address": {"line1": "7 Elm Street", "country": "DE"},
        "tax_ids": {"data": [{"value": "DE123456789"}]},
        "payment_method_details": {"card": {"last4": "4242"}},
        **more,
    }
    return event


@pytest.fixture
async def jane(api: Api, book: Book) -> Acts:
    """Jane's account, under her address, with a subscription, a pack, spends and words."""
    acts = Acts(api, JANE)
    await api.put(f"/api/v1/accounts/{JANE}", {"stripe_customer_id": "cus_JANE"})
    event = personal(
        make_subscription_event("evt_1", "created", NOW, customer="cus_JANE"),
        metadata={"tallybook_account_id": JANE, "note": "of Jane Doe"},
    )
    assert await api.deliver(event) == "applied"
    pack = make_session_event("evt_2", NOW, customer="cus_JANE", reference=JANE)
    assert await api.deliver(personal(pack)) == "applied"
    await acts.done(
        await acts.spend(
            3, reason="for Jane Doe", metadata={"who": JANE}, member=JANE, label="chat"
        )
    )
    await acts.done(await acts.spend(2, member=JANE))
    hold = await acts.held(4, reason="Jane's film")
    await acts.done(await acts.capture(hold, 3))
    why = {"reason": f"{JANE} asked to be deleted"}
    await acts.done(await acts.post(f"accounts/{JANE}/close", why, scope="operator"))
    await tick(book)
    return acts


async def test_nothing_says_who_it_was_and_everything_stands(
    jane: Acts,
    api: Api,
    book: Book,
    server: Server,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = await api.account(JANE)
    used = (await api.get("/api/v1/usage", by="day,tier")).json()["data"]
    said = await erase(monkeypatch, server.owner_url)
    name = said.rpartition("The account is ")[2].removesuffix(" now.\n")
    assert name.startswith("erased-")
    left = await everything(database)
    told = {(table, trace) for table, text in left.items() for trace in TRACES if trace in text}
    assert told == set()
    after = await api.account(name)
    assert (await api.get(f"/api/v1/accounts/{JANE}")).status_code == 404
    for member in ("balance", "free", "held", "debt", "tier", "state", "closed_at"):
        assert after[member] == before[member]
    assert (await api.account("cus_JANE"))["id"] == name
    assert (await api.get("/api/v1/usage", by="day,tier")).json()["data"] == used
    by_member = (await api.get("/api/v1/usage", by="member")).json()["data"]
    assert [(row["member"], row["spent"]) for row in by_member] == [(None, 8)]
    acts = (await api.get("/api/v1/operator-acts")).json()["data"]
    assert [(act["act"], act["reason"]) for act in acts][-2:] == [
        ("close", "erased"),
        ("erase", "GDPR, art. 17"),
    ]
    assert await differences(database) == []


async def test_replay_and_later_events_find_the_same_account(
    jane: Acts,
    api: Api,
    server: Server,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = await erase(monkeypatch, server.owner_url)
    name = said.rpartition("The account is ")[2].removesuffix(" now.\n")
    balance = (await api.account(name))["balance"]
    for event_id in ("evt_1", "evt_2"):
        path = f"/api/v1/events/{event_id}/replay"
        answer = await api.client.post(path, headers=api.headers("operator"))
        assert answer.status_code == 200, answer.text
    assert (await api.account(name))["balance"] == balance
    later = make_subscription_event(
        *("evt_3", "updated", NOW + timedelta(hours=1)), customer="cus_JANE", previous={}
    )
    assert await api.deliver(later) == "applied"
    assert (await api.account("cus_JANE"))["id"] == name
    assert await differences(database) == []


async def test_others_keep_theirs(
    api: Api,
    book: Book,
    server: Server,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for one in ("ada", "bob"):
        await put(book, one, None, None, "tests")
        acts = Acts(api, one)
        await acts.done(await acts.spend(1, reason=f"for {one}", member=one))
    assert "of 2 journals" in await erase(monkeypatch, server.owner_url, "ada")
    texts = await database.fetch("SELECT reason FROM notes ORDER BY journal_id")
    assert [row["reason"] for row in texts if row["reason"]] == ["for bob"]
    page = (await api.get("/api/v1/usage", by="member")).json()["data"]
    assert [(row["member"], row["spent"]) for row in page] == [(None, 1), ("bob", 1)]
    assert await differences(database) == []


async def test_the_applications_role_may_not_erase(
    api: Api, server: Server, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await api.put("/api/v1/accounts/ada", {})
    acts = Acts(api, "ada")
    await acts.done(await acts.spend(1, reason="for Ada"))
    with pytest.raises(ConfigurationError, match="Only the schema's owner"):
        await erase(monkeypatch, server.application_url, "ada")
    assert await database.fetchval("SELECT reason FROM notes WHERE reason <> ''") == "for Ada"


async def test_old_events_are_scrubbed_and_young_ones_are_not(
    jane: Acts,
    api: Api,
    server: Server,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DATABASE_URL", server.owner_url)
    await scrub_events(100_000, "nothing is so old")
    assert "out of 0 events" in capsys.readouterr().out
    await scrub_events(1, "the policy")
    payload = json.loads(bytes(await database.fetchval("SELECT payload FROM events ORDER BY id")))
    assert payload["data"]["object"]["email"] is None
    assert payload["data"]["object"]["metadata"]["tallybook_account_id"] == JANE
    assert payload["data"]["object"]["customer"] == "cus_JANE"
    assert await differences(database) == []
