"""mypy refuses an id of another kind, a statement without a file, and a column without a row."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
WRONG = """
from app.infrastructure import ids
from app.infrastructure.ids import AccountNumber, LotNumber
from app.audit import row_types
from app.infrastructure.db import Database
from app.ledger.sheet import Sheet

def wrong(sheet: Sheet, account: AccountNumber, lot: LotNumber) -> None:
    sheet.lot(account)
    ids.public(ids.JOURNAL, lot)
    account = ids.row_number(ids.LOT, "lot_0000000000001")

def right(sheet: Sheet, lot: LotNumber) -> str:
    sheet.lot(lot)
    return ids.public(ids.LOT, lot)

async def wrong_names(database: Database, sql: row_types.JournalsSql) -> None:
    row = await database.fetchrow(sql["journal"](id=1))
    assert row is not None
    print(row["actor"], row["atcor"])
    sql["jurnal"]

def of_another(row: row_types.JournalsJournal) -> LotNumber:
    return row["run_id"]
"""


async def test_mypy_refuses_each_mix_up(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(WRONG, encoding="utf-8")
    checked = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent",
         "--cache-dir", str(tmp_path / "cache"), str(tmp_path / "wrong.py")],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=170,
    )  # fmt: skip
    lines = [line.split(":")[1] for line in checked.stdout.splitlines() if ": error:" in line]
    assert lines == ["9", "10", "11", "20", "21", "24"], checked.stdout
