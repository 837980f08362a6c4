"""The page checks itself in a real browser, from a file and without any network."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

from app.book import Book
from app.seals import sealer
from app.seals.page import page
from tests.acts import Acts
from tests.api_client import Api
from tests.seals.acts import evidence_of, open_and_spend, resigned

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")


def seen(path: Path, data: bytes) -> str:
    """The text that a browser shows of a page once its scripts have run."""
    path.write_bytes(data)
    assert CHROMIUM is not None
    done = subprocess.run(
        [
            *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"),
            *("--virtual-time-budget=20000", f"--user-data-dir={path.parent}/browser"),
            *("--host-resolver-rules=MAP * ~NOTFOUND", path.as_uri()),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    shown = done.stdout.split("<main>")[1].split("</main>")[0]
    return unescape(re.sub(r"<[^>]+>", " ", shown))


async def test_the_page_proves_the_balance_and_refuses_what_was_forged(
    api: Api, book: Book, folder: Path
) -> None:
    await open_and_spend(book, "user-1", 1)
    for number in range(9):
        await open_and_spend(book, f"user-{number + 2}", number % 3 + 1)
    await Acts(api, "user-1").spend(1, reason="</script><b>für Zoë</b>", label="draw")
    await sealer.seal(book, 60)
    file = await evidence_of(book.database, "user-1")
    said = seen(folder / "good.html", page(file))
    assert "Proven: the balance at 2026-01-01T11:59:59.999999Z is 3." in said
    assert "All 3 entries of user-1 are here, unchanged, in order, none left out." in said
    assert "</script><b>für Zoë</b>" in said
    assert "part of the book's totals: 10 accounts" in said
    told = json.loads(file)
    told["entries"][-1]["leaf"]["free_after"] += 1
    assert "REFUSED: an entry is not as it was sealed" in seen(
        folder / "leaf.html", page(resigned(told))
    )
    told = json.loads(file)
    told["checkpoint"] = told["checkpoint"].replace("debt=0", "debt=1")
    assert "REFUSED: the head is signed by none" in seen(folder / "head.html", page(resigned(told)))
    assert "REFUSED: the file is not what its hash says" in seen(
        folder / "byte.html", page(file.replace(b'"user-1"', b'"user-2"', 1))
    )
