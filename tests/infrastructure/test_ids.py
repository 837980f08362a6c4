"""Ids of one kind are not those of another: at run time by their prefix, for mypy by their type."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from app.infrastructure import ids

ROOT = Path(__file__).parents[2]
WRONG = """
from app.infrastructure import ids
from app.infrastructure.ids import AccountNumber, LotNumber
from app.ledger.sheet import Sheet

def wrong(sheet: Sheet, account: AccountNumber, lot: LotNumber) -> None:
    sheet.lot(account)
    ids.public(ids.JOURNAL, lot)
    account = ids.row_number(ids.LOT, "lot_0000000000001")

def right(sheet: Sheet, lot: LotNumber) -> str:
    sheet.lot(lot)
    return ids.public(ids.LOT, lot)
"""


def test_a_number_comes_back_from_its_own_prefix_alone() -> None:
    told = ids.public(ids.LOT, ids.LotNumber(42))
    assert told == "lot_000000000001a"
    assert ids.number(ids.LOT, told) == ids.row_number(ids.LOT, told) == 42
    assert ids.number(ids.JOURNAL, told) is None
    assert ids.row_number(ids.JOURNAL, told) == ids.NO_ROW


async def test_mypy_refuses_the_number_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(WRONG, encoding="utf-8")
    checked = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent",
         "--cache-dir", str(tmp_path / "cache"), str(tmp_path / "wrong.py")],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=170,
    )  # fmt: skip
    lines = [line.split(":")[1] for line in checked.stdout.splitlines() if ": error:" in line]
    assert lines == ["7", "8", "9"], checked.stdout
