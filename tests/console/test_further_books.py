"""The console of a further book: below the book's path, with sessions of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from app.accounts.put import put
from app.book import Book
from app.web.http import books
from tests.api_client import Api
from tests.console.conftest import Browser

BELOW = "/books/acme"
ADDRESS = re.compile(r'(?:href|action)="([^"#]+)"')


@pytest.fixture(autouse=True)
def further(api: Api) -> Iterator[None]:
    """The service answers for a further book, too, which here is the same."""
    app = api.client._transport.app  # type: ignore[attr-defined]
    own, managers = app.asgi_handler, list(app._lifespan_managers)
    books.serve(app, {"acme": app})
    yield
    app.asgi_handler, app._lifespan_managers = own, managers


async def test_every_address_leads_to_this_book(
    new_browser: Callable[[], Browser], api: Api, book: Book
) -> None:
    await put(book, "user-1", "cus_1", None, "tests")
    browser = new_browser()
    root = await browser.client.get(f"{BELOW}/", headers={"Accept": "text/html"})
    assert root.headers["location"] == f"{BELOW}/console"
    asked = await browser.client.get(f"{BELOW}/console/runs")
    assert asked.headers["location"] == f"{BELOW}/console/sign-in?next=%2Fconsole%2Fruns"
    sent = {"key": api.tokens["operator"], "next": "/console/runs"}
    answer = await browser.client.post(f"{BELOW}/console/sign-in", data=sent)
    assert answer.headers["location"] == f"{BELOW}/console/runs"
    assert f"Path={BELOW}/console;" in answer.headers["set-cookie"]
    # Not signed in at the first book's.
    assert (await browser.client.get("/console")).status_code == 303

    paths = ["", "/accounts", "/accounts/user-1", "/accounts/user-1/correct", "/ledger", "/keys"]
    for path in paths:
        page = await browser.get(f"{BELOW}/console{path}")
        for address in ADDRESS.findall(page):
            assert address.startswith((f"{BELOW}/console", "/assets/", "/zone?back=%2Fbooks")), (
                path,
                address,
            )
    found = await browser.client.get(f"{BELOW}/console/accounts", params={"q": "cus_1"})
    assert found.headers["location"] == f"{BELOW}/console/accounts/user-1"
    await browser.get(f"{BELOW}/console/accounts/user-1/correct")
    fields = {"amount": 1, "reason": "a gift", "act_key": "k"}
    shown = await browser.send(f"{BELOW}/console/accounts/user-1/acts/grant", **fields)
    assert f'action="{BELOW}/console/accounts/user-1/acts/grant"' in shown.text
    out = await browser.send(f"{BELOW}/console/sign-out")
    assert out.headers["location"] == f"{BELOW}/console/sign-in"
