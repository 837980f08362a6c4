"""Make the README's pictures: start a book, play customers, look at its pages in a Chromium.

    .venv/bin/python -m ops.pictures

It needs a Chromium on the path (`apt install chromium`) and two minutes. The book is a new one in a
folder that goes afterwards; the same play makes the same figures each time.
"""

from __future__ import annotations

import asyncio
import base64
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import httpx
from playwright.async_api import Page, async_playwright
from rich.console import Console

from app.embedded.devbook import DevBook
from app.embedded.up import up
from app.simulate.address import Address
from app.simulate.disorder import Disorder
from app.simulate.simulation import Plan, simulate
from ops import chromium

FOLDER: Final = Path(__file__).parent / "pictures"
BYTES_MAX: Final = 150_000
START: Final = datetime(2026, 10, 27, tzinfo=UTC)
CUSTOMERS: Final = 36
FREE: Final = 24
DAYS: Final = 32
LABELS: Final = ("draw", "summarize", "translate", "transcribe")
SIZE: Final = {"width": 1200, "height": 840}


async def main() -> int:
    """Make them; the exit code."""
    found = chromium.path()
    if found is None:
        print(chromium.ABSENT, file=sys.stderr)
        return 1

    async def take(book: DevBook) -> int:
        await _play(book, Path(folder))
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=found, chromium_sandbox=False
            )
            page = await browser.new_page(viewport=SIZE, device_scale_factor=1)  # type: ignore[arg-type]
            await _take(book, page)
            await browser.close()
        return 0

    with tempfile.TemporaryDirectory(prefix="tb-pictures-") as folder:
        quiet = Console(stderr=True, quiet=True)
        return await up(
            port=0, data_dir=Path(folder), clock=START, announce=quiet, after_ready=take
        )


async def _play(book: DevBook, folder: Path) -> None:
    """Subscribers of two days, who then use credits for a month."""
    plan = Plan(
        names=["happy_renewal", "downgrade", "pack_beside_subscription"],
        customers=CUSTOMERS,
        days=2,
        starts_at=START,
        tiers=None,
        seed=7,
        disorder=Disorder(),
        concurrency=4,
    )
    quiet = Console(stderr=True, quiet=True)
    assert await simulate(quiet, quiet, Address(data_dir=folder), plan) == 0
    async with httpx.AsyncClient(base_url=f"{book.base_url}/api/v1", timeout=60) as http:
        for number in range(FREE):
            await _call(http, book.keys.service, "PUT", f"/accounts/user-{number}", json={})
        listed = await _call(http, book.keys.auditor, "GET", "/accounts?limit=200")
        accounts = [one["id"] for one in listed["data"]]
        for day in range(3, DAYS):
            at = START + timedelta(days=day, hours=15)
            await _call(http, book.keys.operator, "PUT", "/dev/clock", json={"now": at.isoformat()})
            if day == DAYS // 2:
                await _welcome(http, book, accounts[0])
            spends = [
                _spend(account, place, day, part)
                for place, account in enumerate(accounts)
                for part in range(3)
            ]
            await _call(http, book.keys.service, "POST", "/spends/batch", json={"spends": spends})


async def _welcome(http: httpx.AsyncClient, book: DevBook, account: str) -> None:
    await _call(
        http,
        book.keys.operator,
        "POST",
        f"/accounts/{account}/grants",
        json={"amount": 100, "reason": "a welcome", "expires_at": "2026-12-31T00:00:00Z"},
        headers={"Idempotency-Key": "welcome"},
    )


def _spend(account: str, place: int, day: int, part: int) -> dict[str, object]:
    """Of no pattern that one sees, and the same each time."""
    drawn = (place * 37 + day * 53 + part * 29 + (place * day) % 11) % 17
    return {
        "account_id": account,
        "amount": 1 + (drawn * (3 + day % 5)) % 13,
        "idempotency_key": f"{account}-{day}-{part}",
        "label": LABELS[(drawn + part) % len(LABELS)],
    }


async def _take(book: DevBook, page: Page) -> None:
    await page.goto(f"{book.base_url}/console")
    await page.locator("input[name=key]").fill(book.keys.operator)
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_role("heading", level=1).wait_for()
    async with httpx.AsyncClient(base_url=f"{book.base_url}/api/v1") as http:
        listed = await _call(http, book.keys.auditor, "GET", "/accounts?limit=1")
        await page.goto(f"{book.base_url}/console/accounts/{listed['data'][0]['id']}")
        await _picture(page, "console")
        link = await _call(
            http,
            book.keys.service,
            "POST",
            f"/accounts/{listed['data'][0]['id']}/page-links",
            json={"accent": "#0a7d5c"},
        )
    await page.goto(link["url"])
    await _picture(page, "customer")


async def _picture(page: Page, name: str) -> None:
    """Keep what is in view as a WebP, which Playwright itself does not write."""
    session = await page.context.new_cdp_session(page)
    shot = await session.send("Page.captureScreenshot", {"format": "webp", "quality": 82})
    data = base64.b64decode(shot["data"])
    assert len(data) < BYTES_MAX, f"{name} has {len(data)} bytes"
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.webp").write_bytes(data)
    print(f"ops/pictures/{name}.webp: {len(data):,} bytes")


async def _call(http: httpx.AsyncClient, key: str, method: str, path: str, **sent: Any) -> Any:
    headers = {"Authorization": f"Bearer {key}", **sent.pop("headers", {})}
    answer = await http.request(method, path, headers=headers, **sent)
    assert answer.is_success, answer.text
    return answer.json()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
