"""The export: all that is complete, in two forms, and a cut-off one is seen."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import json
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from litestar.exceptions import LitestarException

from app.audit import export
from app.audit.entries import EntryQuery
from app.audit.horizon import Horizon, Horizons
from app.cli.ledger import export_ledger
from app.errors import BusyError
from app.infrastructure.db import Database
from app.web.exports import FORMS, FormName
from tests.api_client import Api
from tests.audit.busy_ledger import BusyLedger, asked
from tests.audit.test_entries import listed
from tests.conftest import Server

PATH = "/api/v1/ledger/export"


async def settled(api: Api, database: Database) -> list[dict[str, Any]]:
    """Every entry, once the horizon is past all of them."""
    count = await database.fetchval("SELECT count(*) FROM entries")
    while len(found := await listed(api)) < count:
        pass
    return found


async def exported(api: Api, **query: object) -> httpx.Response:
    answer = await asked(api, PATH, **query)
    assert answer.status_code == 200, answer.text
    return answer


def split(content: bytes) -> tuple[bytes, bytes]:
    """All but the last line, and the last line."""
    before, newline, last = content[:-1].rpartition(b"\n")
    assert content.endswith(b"\n")
    return before + newline, last


def lines(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.splitlines()]


async def test_it_is_every_entry_as_the_list_has_it(busy: BusyLedger) -> None:
    answer = await exported(busy.api, format="ndjson")
    assert answer.headers["content-type"] == "application/x-ndjson"
    before, last = split(answer.content)
    assert lines(before) == await listed(busy.api)
    told = json.loads(last)
    assert told["count"] == len(lines(before)) > 30
    assert told["sha256"] == hashlib.sha256(before).hexdigest()
    assert {"hold", "release", "reversal"} <= {line["kind"] for line in lines(before)}
    # CSV is the same in a table.
    answer = await exported(busy.api, format="csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    before, last = split(answer.content)
    wanted = await listed(busy.api)
    rows = list(csv.DictReader(io.StringIO(before.decode(), newline="")))
    assert [row["id"] for row in rows] == [entry["id"] for entry in wanted]
    for row, entry in zip(rows, wanted, strict=True):
        texts = {name: "" if value is None else str(value) for name, value in entry.items()}
        if texts["reason"].startswith("="):
            assert row.pop("reason") == f"'{texts.pop('reason')}"
        assert row == texts
    closing = next(csv.reader([last.decode()]))
    assert closing[:4] == ["#count", str(len(rows)), "sha256", hashlib.sha256(before).hexdigest()]


async def test_filters_narrow_it(api: Api, database: Database) -> None:
    for account in ("user-1", "user-2"):
        await api.put(f"/api/v1/accounts/{account}", {})
        await api.spend(account, 1, account)
    for query in (
        {"account_id": "user-1"},
        {"kind": "spend"},
        {"recorded_to": "2020-01-01T00:00:00Z"},
    ):
        before, last = split((await exported(api, **query)).content)
        assert lines(before) == await listed(api, **query)
        assert json.loads(last)["count"] == len(lines(before)) in (0, 2)


async def test_an_empty_ledger_exports_an_end(api: Api) -> None:
    (told,) = lines((await exported(api)).content)
    assert (told["count"], told["sha256"]) == (0, hashlib.sha256(b"").hexdigest())


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "'"])
async def test_no_cell_of_a_spreadsheet_is_a_formula(
    api: Api, database: Database, start: str
) -> None:
    await api.put("/api/v1/accounts/-user", {})
    await api.client.post(
        "/api/v1/accounts/-user/spends",
        json={"amount": 1, "reason": f"{start}1+1"},
        headers=api.headers("service", **{"Idempotency-Key": "=key"}),
    )
    await settled(api, database)
    table = (await exported(api, format="csv", kind="spend")).text
    row = next(csv.DictReader(io.StringIO(table, newline="")))
    assert (row["reason"], row["account_id"], row["idempotency_key"]) == (
        f"'{start}1+1",
        "'-user",
        "'=key",
    )
    assert row["change"] == "-1", "a number stays a number"


async def spent(api: Api, database: Database, count: int) -> list[dict[str, Any]]:
    """The entries of an account that spends so many times."""
    await api.put("/api/v1/accounts/user-1", {})
    headers = api.headers("operator", **{"Idempotency-Key": "gift"})
    body = {"amount": 10_000, "reason": "plenty"}
    await api.client.post("/api/v1/accounts/user-1/grants", json=body, headers=headers)
    for number in range(count):
        await api.spend("user-1", 1, f"key-{number}")
    return await settled(api, database)


async def horizon_of(database: Database, count: int) -> Horizon:
    """A horizon past so many entries."""
    while True:
        with suppress(BusyError):
            horizon = await Horizons().find(database)
            if horizon.entry_id >= count:
                return horizon


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three entries make a chunk."""
    monkeypatch.setattr(export, "CHUNK_ENTRIES", 3)


@pytest.mark.usefixtures("small_chunks")
async def test_an_export_is_one_instant_while_writers_go_on(api: Api, database: Database) -> None:
    wanted = await spent(api, database, 6)
    horizon = await horizon_of(database, len(wanted))
    found = b""
    chunks = export.stream(database, horizon, EntryQuery(), FORMS[FormName.NDJSON])
    async with aclosing(chunks):
        async for chunk in chunks:
            found += chunk
            await asyncio.create_task(api.spend("user-1", 1, f"during-{len(found)}"))
    before, last = split(found)
    assert lines(before) == wanted
    assert json.loads(last)["count"] == len(wanted) == 8
    assert not database.in_transaction


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("form", ["ndjson", "csv"])
async def test_a_failure_on_the_way_cuts_it_off(
    api: Api, database: Database, server: Server, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await spent(api, database, 12)
    superuser = await asyncpg.connect(server.superuser_url)
    fetch = Database.fetch

    async def failing(database: Database, query: str, *args: Any) -> list[Any]:
        if query.startswith("FETCH"):
            failing.count += 1  # type: ignore[attr-defined]
            if failing.count == 3:  # type: ignore[attr-defined]
                await superuser.execute(
                    """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                        WHERE datname = current_database() AND pid <> pg_backend_pid()
                          AND state = 'idle in transaction'"""
                )
        return await fetch(database, query, *args)

    failing.count = 0  # type: ignore[attr-defined]
    monkeypatch.setattr(Database, "fetch", failing)
    found: list[bytes] = []

    async def read() -> None:
        async with api.client.stream(
            "GET", PATH, params={"format": form}, headers=api.headers("auditor")
        ) as answer:
            async for chunk in answer.aiter_bytes():
                found.append(chunk)

    with pytest.raises(LitestarException, match="after response started"):
        await read()
    assert b"sha256" not in b"".join(found)
    await superuser.close()
    monkeypatch.undo()
    assert (await api.account("user-1"))["available"] > 0, "the pool has its connection back"


@pytest.mark.usefixtures("small_chunks")
async def test_a_reader_who_leaves_ends_the_transaction(api: Api, database: Database) -> None:
    wanted = await spent(api, database, 6)
    horizon = await horizon_of(database, len(wanted))
    chunks = export.stream(database, horizon, EntryQuery(), FORMS[FormName.NDJSON])
    async with aclosing(chunks):
        await anext(chunks)
    open_now = """SELECT count(*) FROM pg_stat_activity
                   WHERE state = 'idle in transaction' AND datname = current_database()"""
    assert await database.fetchval(open_now) == 0


async def test_so_many_run_at_once_and_no_more(api: Api) -> None:
    exports = export.Exports()

    async def endless() -> Any:
        while True:
            yield b"x"

    running = [exports.counted(endless()) for _ in range(export.AT_ONCE_MAX)]
    for one in running:
        await anext(one)
    with pytest.raises(Exception, match="exports are under way"):
        exports.require_room()
    await running[0].aclose()
    exports.require_room()
    for one in running:
        await one.aclose()


async def test_its_description_names_both_media_types(api: Api) -> None:
    schema = (await api.client.get("/schema/openapi.json")).json()
    operation = schema["paths"][PATH]["get"]
    assert set(operation["responses"]["200"]["content"]) == {"application/x-ndjson", "text/csv"}
    names = {parameter["name"] for parameter in operation["parameters"]}
    assert {"format", "account_id", "recorded_from", "recorded_to"} <= names


async def test_the_command_writes_the_same_bytes(
    api: Api,
    database: Database,
    server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    await spent(api, database, 2)
    monkeypatch.setenv("DATABASE_URL", server.application_url)
    output = tmp_path / "entries.csv"
    while not output.exists() or not output.stat().st_size:
        with suppress(BusyError):
            await export_ledger("csv", output)
    assert output.read_bytes() == (await exported(api, format="csv")).content
    assert "Exported" in capsys.readouterr().err
