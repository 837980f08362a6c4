"""`tallybook close-month`: the pack holds what the ledger says, and its checksums recompute."""

from __future__ import annotations

import asyncio
import csv
import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli import app
from app.infrastructure.settings import Settings
from tests.acts import Acts, subscribe


@pytest.fixture
def closed(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Close a month of the test's book: its exit code and what was printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", settings.database_url)

    async def command(*words: str) -> tuple[int, str]:
        done = await asyncio.to_thread(CliRunner().invoke, app, ["close-month", *words])
        return done.exit_code, done.output

    return command


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
async def january(api) -> Acts:
    """A PRO account in January: a gift, spends, a day that passed; then February."""
    acts = Acts(api)
    await subscribe(acts, "PRO")
    await acts.done(await acts.grant(100))
    await acts.done(await acts.spend(25))
    await api.set_clock(datetime(2026, 2, 1, 0, 5, tzinfo=UTC))
    await acts.done(await acts.spend(1))  # of February
    return acts


async def test_the_pack_is_whole_and_its_checksums_recompute(
    closed, january, api, tmp_path
) -> None:
    code, said = await closed("2026-01")
    assert code == 0, said
    folder = tmp_path / "close-2026-01"
    sums = [line.split("  ") for line in (folder / "SHA256SUMS").read_text().splitlines()]
    assert {name for _, name in sums} == {one.name for one in folder.iterdir()} - {"SHA256SUMS"}
    for digest, name in sums:
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    forward = {row["lot_source"]: row for row in rows(folder / "roll-forward.csv")}
    whole = await api.get(
        "/api/v1/ledger/roll-forward",
        **{"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"},
    )
    for name, value in forward["all"].items():
        assert name in ("lot_source", "repaid") or int(value) == whole.json()[name], name
    assert (forward["promotional"]["granted"], forward["promotional"]["closing"]) == ("100", "95")
    tiers = {row["tier"]: row for row in rows(folder / "roll-forward-by-tier.csv")}
    assert list(tiers) == ["all", "FREE", "PRO", "none", "debt"]
    assert sum(int(row["closing"]) for row in tiers.values()) == 2 * int(tiers["all"]["closing"])
    assert (tiers["none"]["granted"], tiers["none"]["closing"]) == ("100", "95")
    entries = (folder / "entries.csv").read_text().splitlines()
    assert entries[-1].startswith(f"#count,{len(entries) - 2},")
    assert all("2026-02" not in line.split(",")[17] for line in entries[1:-1])
    assert {row["tier"] for row in rows(folder / "usage-by-tier.csv")} == {"FREE", "PRO"}
    assert {row["holds"] for row in rows(folder / "checks.csv")} == {"yes"}
    balance = rows(folder / "trial-balance.csv")
    assert sum(int(row["debits"]) for row in balance) == sum(int(row["credits"]) for row in balance)


async def test_what_does_not_hold_is_told_by_the_exit_code(closed, january, superuser) -> None:
    await superuser.execute("UPDATE accounts SET free = free + 1")
    code, said = await closed("2026-01")
    assert (code, "\tNO" in said) == (1, True)


async def test_a_month_that_goes_on_is_not_closed(closed, january, tmp_path) -> None:
    code, said = await closed("2026-02")
    assert (code, "2026-02 is complete after 2026-03-01" in said) == (1, True)
    assert not (tmp_path / "close-2026-02").exists()
    assert (await closed("02/2026"))[0] == 1
    await closed("2026-01", "--output", "kept")
    code, said = await closed("2026-01", "--output", "kept")
    assert (code, "kept has files already" in said) == (1, True)
