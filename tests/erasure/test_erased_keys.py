"""Idempotency keys after an erasing: gone as text, and still known to a late retry."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.book import Book
from app.embedded.postgres import find_binaries
from app.errors import ConfigurationError
from app.infrastructure.db import Database
from app.ledger import idempotency
from app.operators.keys import keep_pepper
from app.seals import sealer
from app.seals.recompute import wrong_seals
from ops.verify_evidence import verify
from tests.acts import Acts
from tests.api_client import Api
from tests.conftest import PEPPER, Server, open_database
from tests.erasure.test_erase import JANE, erase, everything
from tests.invariants import differences
from tests.seals.acts import evidence_of

TRACES = (JANE, "jane.doe")  # shorter ones may stand in a hash
ROOT = Path(__file__).parents[2]
SECRET = idempotency.secret_of(PEPPER)


class Sent:
    """What was asked under keys that name Jane, and what it was answered."""

    def __init__(self, api: Api) -> None:
        self.acts = Acts(api, JANE)
        self.asked: list[tuple[str, dict[str, Any], str, str, httpx.Response]] = []

    async def post(self, path: str, body: dict[str, Any], scope: str = "service") -> dict[str, Any]:
        key = f"{JANE}/{len(self.asked)}"
        answer = await self.acts.post(path, body, key=key, scope=scope)
        assert answer.status_code in (200, 201), answer.text
        self.asked.append((path, body, key, scope, answer))
        return answer.json()  # type: ignore[no-any-return]


@pytest.fixture
async def sent(api: Api, book: Book) -> Sent:
    """Jane's account and every kind of act on it, each under a key; half of it is sealed."""
    sent, mine = Sent(api), f"accounts/{JANE}"
    await api.put("/api/v1/accounts/jd", {"stripe_customer_id": "cus_JANE"})
    await api.put("/api/v1/accounts/bob", {})
    await sent.post("accounts/jd/rename", {"to": JANE, "reason": "her wish"}, "operator")
    await sent.post(f"{mine}/grants", {"amount": 50, "reason": "hello"}, "operator")
    await sent.post(f"{mine}/adjustments", {"amount": 5, "reason": "sorry"}, "operator")
    spent = await sent.post(f"{mine}/spends", {"amount": 3, "label": "chat", "member": JANE})
    hold = (await sent.post(f"{mine}/holds", {"amount": 9}))["id"]
    await sent.post(f"holds/{hold}/extend", {"expires_in_s": 1800})
    await sent.post(f"holds/{hold}/capture", {"amount": 2, "final": False})
    await sealer.seal(book, 60)
    await sent.post(f"holds/{hold}/release", {})
    await sent.post(f"{mine}/returns", {"spend_id": spent["id"], "amount": 1})
    await sent.post(f"{mine}/returns", {"of_idempotency_key": sent.asked[3][2], "amount": 1})
    gift = await sent.post(f"{mine}/grants", {"amount": 4, "reason": "a gift"}, "operator")
    body = {"journal_id": gift["id"], "reason": "a slip"}
    await sent.post("reversals", body, "operator")
    await sent.post(f"{mine}/spends", {"amount": 1})
    return sent


@pytest.fixture
async def erased(sent: Sent, server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name that Jane's account has since she was erased."""
    said = await erase(monkeypatch, server.owner_url)
    return said.rpartition("The account is ")[2].removesuffix(" now.\n")


def another(path: str, body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """A request that is well formed and not the same."""
    if path.endswith("/release"):
        return path.replace("release", "capture"), {"amount": 1}
    for name, value in (("amount", 1_000), ("expires_in_s", 7)):
        if name in body:
            return path, body | {name: value}
    return path, body | {"reason": "another"}


async def test_a_late_retry_finds_its_answer_and_other_content_is_refused(
    sent: Sent, erased: str, database: Database
) -> None:
    before = await database.fetchval("SELECT count(*) FROM entries")
    for path, body, key, scope, first in sent.asked:
        again = await sent.acts.post(path, body, key=key, scope=scope)
        assert again.status_code == first.status_code, (path, again.text)
        assert again.headers["Idempotency-Replayed"] == "true"
        assert JANE not in again.text
        if not path.endswith("/rename"):  # whose answer is the account as it is
            assert again.json() == {
                name: erased if value == JANE else value for name, value in first.json().items()
            }
        refused = await sent.acts.post(*another(path, body), key=key, scope=scope)
        assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    assert await database.fetchval("SELECT count(*) FROM entries") == before
    assert await differences(database) == []


async def test_a_batch_replays_erased_keys_too(sent: Sent, erased: str, api: Api) -> None:
    _, body, key, _, first = sent.asked[3]
    item = {"account_id": JANE, "idempotency_key": key, **body}
    answer = await sent.acts.post("spends/batch", {"spends": [item]}, key="the-batch")
    (result,) = answer.json()["results"]
    assert result["status"] == 201, result
    assert result["spend"] == first.json() | {"account_id": erased}


async def test_an_erased_key_is_anothers_on_no_account(
    sent: Sent, erased: str, api: Api, database: Database
) -> None:
    for _, _, key, scope, _ in sent.asked:
        act = "spends" if scope == "service" else "grants"
        body = {"amount": 1, "reason": "another"}
        answer = await sent.acts.post(f"accounts/bob/{act}", body, key=key, scope=scope)
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    new = await sent.acts.post(f"accounts/{JANE}/spends", {"amount": 1}, key="a-new-key")
    assert new.status_code == 404


async def test_who_knows_the_key_finds_its_entries_and_returns_by_it(
    sent: Sent, erased: str, api: Api
) -> None:
    _, _, key, _, first = sent.asked[3]
    found = (await api.get("/api/v1/ledger/entries", idempotency_key=key)).json()["data"]
    assert [one["id"] for one in found] == first.json()["entries"]
    assert [one["idempotency_key"] for one in found] == [None]
    exported = await api.get("/api/v1/ledger/export", idempotency_key=key)
    assert '"count":1' in exported.text.replace(" ", "")
    back = await sent.acts.post(
        f"accounts/{erased}/returns", {"of_idempotency_key": key, "amount": 1}, key="back"
    )
    assert (back.status_code, back.json()["spend_ids"]) == (201, [first.json()["id"]])


async def test_the_keys_stand_nowhere_and_every_proof_holds(
    sent: Sent, erased: str, api: Api, book: Book, server: Server
) -> None:
    told = await everything(book.database)
    assert {table for table, text in told.items() if any(one in text for one in TRACES)} == set()
    hashes = [idempotency.key_of(key, SECRET).hash for _, _, key, _, _ in sent.asked]
    kept = await book.database.fetch("SELECT key_hash FROM erased_keys")
    assert {row["key_hash"] for row in kept} == set(hashes)
    assert [one async for one in wrong_seals(book.database)] == []
    await sealer.seal(book, 60)
    file = await evidence_of(book.database, erased)
    assert verify(file)
    assert not any(one.encode() in file for one in TRACES)
    for path in ("ledger/export", "operator-acts", "ledger/entries"):
        text = (await api.get(f"/api/v1/{path}")).text
        assert not any(one in text for one in TRACES)
    assert await differences(book.database) == []


async def test_a_second_erasing_changes_nothing_more(
    sent: Sent, erased: str, book: Book, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = "SELECT array_agg(whole::text ORDER BY whole::text) FROM {} AS whole"
    tables = ("erased_keys", "seal_erased", "seal_leaves", "journals")
    before = [await book.database.fetchval(kept.format(table)) for table in tables]
    await erase(monkeypatch, server.owner_url, erased)
    assert [await book.database.fetchval(kept.format(table)) for table in tables] == before
    assert [one async for one in wrong_seals(book.database)] == []


def pg_dump(url: str) -> str:
    """The whole database as its own tool writes it."""
    command = [find_binaries() / "pg_dump", url]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return told.stdout


async def test_a_dump_holds_none_of_it(sent: Sent, server: Server, erased: str) -> None:
    text = pg_dump(server.superuser_url)
    assert "COPY public.erased_keys" in text
    assert not any(one in text for one in TRACES)


async def test_another_pepper_erases_nothing(
    sent: Sent, server: Server, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_database(server.owner_url, 1) as owner:
        await keep_pepper(owner, PEPPER)
    monkeypatch.setattr("tests.erasure.test_erase.PEPPER", "another-pepper-of-the-tests")
    with pytest.raises(ConfigurationError, match="Nothing was changed"):
        await erase(monkeypatch, server.owner_url)
    assert await database.fetchval("SELECT count(*) FROM erased_keys") == 0


CHILD = """
import asyncio, sys
from app.cli.ledger import erase
from tests.faults.test_crash_points import die_at
die_at(int(sys.argv[1]))
asyncio.run(erase(sys.argv[2], "asked for"))
"""


async def test_killed_at_any_statement_it_did_nothing_or_all(
    sent: Sent, server: Server, database: Database
) -> None:
    """And the command is given again until it came to its end."""
    before, died = await everything(database), 0
    environment = os.environ | {"DATABASE_URL": server.owner_url, "TALLYBOOK_KEY_PEPPER": PEPPER}
    for point in range(1, 500, 9):
        ended = subprocess.run(
            [sys.executable, "-c", CHILD, str(point), JANE], env=environment, cwd=ROOT,
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        told = await everything(database)
        before["key_uses"] = told["key_uses"]  # the server notes the use of its keys meanwhile
        if ended.returncode == 0 or told != before:
            break
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        died += 1
    assert died > 3
    assert ended.returncode in (0, -signal.SIGKILL), ended.stderr
    assert [(name, one) for name, text in told.items() for one in TRACES if one in text] == []
    assert await differences(database) == []
