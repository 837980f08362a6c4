"""`tallybook import`: a file is checked whole, carried out once, and goes on where it broke off."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.infrastructure.settings import Settings
from tests.conftest import NOW
from tests.invariants import differences
from tests.stripe_events import make_subscription_event

HEAD = "account_id,amount,reference,source,expires_at,stripe_customer_id,time_zone\n"
FILE = (
    HEAD
    + "ann,100,INV-1,purchased,,cus_ann,Europe/Berlin\n"
    + "ann,7,GIFT-1,,2026-02-01T00:00:00Z,,\n"
    + "bob,,,,,cus_bob,\n"
)


@pytest.fixture
def imported(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Import a text on the test's book: its exit code and what was printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", settings.database_url)

    async def command(text: str, *words: str) -> tuple[int, str]:
        (tmp_path / "file").write_text(text, encoding="utf-8")
        line = ["import", "file", "--reason", "the move", *words]
        done = await asyncio.to_thread(CliRunner().invoke, app, line)
        return done.exit_code, done.output

    return command


async def test_a_file_is_carried_out_once(imported, api, database) -> None:
    code, said = await imported(FILE, "--dry-run")
    assert (code, "2 accounts opened, 2 grants of 107 credits" in said) == (0, True)
    assert (await api.get("/api/v1/accounts/ann")).status_code == 404
    code, said = await imported(FILE)
    assert (code, "3 lines: 2 accounts opened, 2 grants of 107 credits" in said) == (0, True)
    ann = await api.account("ann")
    assert (ann["available"], ann["stripe_customer_id"], ann["time_zone"]) == (
        *(112, "cus_ann"),
        "Europe/Berlin",
    )
    lots = [(lot["source"], lot["free"], lot["expires_at"]) for lot in ann["lots"]]
    assert lots[1:] == [
        ("promotional", 7, "2026-02-01T00:00:00.000000Z"),
        ("purchased", 100, None),
    ]
    code, said = await imported(FILE)
    assert (code, "0 accounts opened, 0 grants of 0 credits, 2 stood already" in said) == (0, True)
    assert (await api.account("ann"))["available"] == 112
    acts = (await api.get("/api/v1/operator-acts")).json()["data"]
    assert [one["act"] for one in acts] == ["grant", "grant"]
    assert await differences(database) == []


async def test_subscribers_that_came_before_are_tied_to_the_applications_ids(
    imported, api, database
) -> None:
    event = make_subscription_event("evt_1", "created", NOW, customer="cus_bob")
    assert await api.deliver(event) == "applied"
    assert (await imported(FILE))[0] == 0
    assert ((await api.account("bob"))["tier"], (await api.account("cus_bob"))["id"]) == (
        *("PRO", "bob"),
    )
    assert await differences(database) == []


async def test_json_lines_are_read_as_well(imported, api) -> None:
    line = '{"account_id": "ann", "amount": 3, "reference": "R", "reason": "said here"}\n'
    assert (await imported(line))[0] == 0
    (entry,) = [
        one
        for one in (await api.get("/api/v1/ledger/entries", account_id="ann")).json()["data"]
        if one["lot_source"] == "promotional"
    ]
    assert (entry["amount"], entry["reason"]) == (3, "said here")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (HEAD + "ann,5,,,,,\n", "line 2: an amount needs a reference"),
        (HEAD + "a b,5,R,,,,\n", "line 2: Expected `str` matching regex"),
        (HEAD + "ann,-5,R,,,,\n", "line 2: Expected `int` >= 0"),
        (HEAD + "ann,five,R,,,,\n", "line 2: Expected `int`"),
        (HEAD + "ann,5,R,gift,,,\n", "line 2: Invalid enum value 'gift'"),
        (HEAD + "ann,5,R,,,,\nann,6,R,,,,\n", "line 3: the account and reference of line 2 again"),
        (HEAD + "ann,5,R,,,,,,\n", "line 2: more cells"),
        ("account,amount\nann,5\n", "line 2: Object contains unknown field `account`"),
        ('{"account_id": "ann"\n', "line 1: no JSON"),
        ("", "it has no lines"),
    ],
)
async def test_a_file_with_a_fault_is_not_begun(imported, api, text: str, told: str) -> None:
    code, said = await imported(text)
    assert (code, told in said) == (1, True), said
    assert (await api.get("/api/v1/accounts")).json()["data"] == []


async def test_a_line_that_is_refused_stops_no_other(imported, api, database) -> None:
    await api.put("/api/v1/accounts/eve", {"stripe_customer_id": "cus_ann"})
    lines = "zed,5,R,,2020-01-01T00:00:00Z,,\nzoe,5,R,,,,Mars/Olympus\n"
    code, said = await imported(FILE + lines)
    assert code == 1
    assert "Line 2: Customer 'cus_ann' belongs to another account." in said
    assert "Line 5: expires_at is not in the future." in said
    assert "Line 6: 'Mars/Olympus' is no IANA time zone" in said
    assert "1 grants of 7 credits, 0 stood already, 3 refused" in said
    code, said = await imported(FILE.replace("ann,7,", "ann,8,").replace("cus_ann", ""))
    assert (code, "Line 3: This Idempotency-Key was used for another request" in said) == (1, True)
    assert await differences(database) == []
