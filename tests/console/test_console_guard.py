"""Who may open which page and do which act: of every route that there is."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
import pytest
from litestar.routes import HTTPRoute

from app import asgi
from app.accounts.put import put
from app.book import Book
from app.infrastructure.db import Database
from app.infrastructure.settings import Settings
from app.web.http.access import Access
from tests.api_client import Api
from tests.console.conftest import Browser, signed_in

PLACES = {
    "account_id": "user-1",
    "journal_id": "jrn_0000000000001",
    "run_id": "run_0000000000001",
    "event_id": "evt_1",
    "reversal_id": "rev_0000000000001",
    "endpoint_id": "endpoint-1",
    "message_id": "msg_0000000000001",
    "key_id": "0123456789",
    "number": "1",
    "act": "grant",
    "rest": "nowhere",
}
OPEN = {"/console/sign-in", "/console/{rest:path}"}


def routes(settings: Settings) -> list[tuple[str, str, Access]]:
    """(method, path, access) of all that the console serves."""
    return sorted(
        (method, route.path, handler.opt["access"])
        for route in asgi.create_app(settings).routes
        if isinstance(route, HTTPRoute) and route.path.startswith("/console")
        for method, (handler, _) in route.route_handler_map.items()
        if method != "OPTIONS"
    )


def filled(path: str) -> str:
    return re.sub(r"\{(\w+)(:\w+)?\}", lambda place: PLACES[place[1]], path)


@pytest.fixture(autouse=True)
async def account(book: Book) -> None:
    await put(book, "user-1", "cus_1", None, "tests")


async def request(browser: Browser, method: str, path: str, **fields: str) -> httpx.Response:
    if method == "GET":
        return await browser.client.get(filled(path))
    return await browser.client.post(filled(path), data=fields)


async def test_nobody_gets_in_without_a_session(
    new_browser: Callable[[], Browser], settings: Settings, api: Api
) -> None:
    served = routes(settings)
    assert len(served) > 40
    assert {path for _, path, wanted in served if wanted is Access.OPEN} == OPEN
    browser = new_browser()
    for method, path, wanted in served:
        if wanted is Access.OPEN:
            continue
        # An API key opens no page: a browser would send it along with other sites' forms.
        for headers in ({}, api.headers("operator")):
            browser.client.headers = httpx.Headers(headers)
            answer = await request(browser, method, path)
            if method == "GET":
                assert answer.status_code == 303, path
                assert answer.headers["location"].startswith("/console/sign-in?next="), path
            else:
                assert answer.status_code == 401, path
                assert "Nothing was changed" in answer.text


async def test_an_auditor_reads_all_and_corrects_nothing(
    auditor: Browser, settings: Settings, database: Database
) -> None:
    acts = 0
    for method, path, wanted in routes(settings):
        if wanted is not Access.SESSION_OPERATOR:
            continue
        acts += 1
        answer = await request(auditor, method, path, form_token=auditor.form_token, reason="x")
        assert answer.status_code == 403, path
        assert "which has no operator scope" in answer.text
    assert acts >= 15
    assert await database.fetchval("SELECT count(*) FROM operator_acts") == 0


async def test_every_page_opens_for_who_may_see_it(
    auditor: Browser, operator: Browser, settings: Settings
) -> None:
    """Of what there is not, a page says so; nothing is a fault."""
    for method, path, wanted in routes(settings):
        if method != "GET" or path == "/console/{rest:path}":
            continue
        browser = operator if wanted is Access.SESSION_OPERATOR else auditor
        answer = await request(browser, method, path)
        assert answer.status_code in (200, 303, 404), (path, answer.status_code)
        if answer.headers["content-type"].startswith("text/html"):
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "script-src" not in policy
            assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("token", ["missing", "empty", "of another session", "old", "not ascii"])
async def test_an_act_needs_the_form_token_of_this_session(
    operator: Browser,
    new_browser: Callable[[], Browser],
    api: Api,
    settings: Settings,
    database: Database,
    token: str,
) -> None:
    other = await signed_in(new_browser(), api.tokens["operator"])
    old = operator.form_token
    if token == "old":  # of the session before this one, in the same browser
        await signed_in(operator, api.tokens["operator"])
        assert operator.form_token != old
    sent = {
        "missing": {},
        "empty": {"form_token": ""},
        "of another session": {"form_token": other.form_token},
        "old": {"form_token": old},
        "not ascii": {"form_token": "é" * 32},
    }[token]
    for method, path, wanted in routes(settings):
        if method != "POST" or wanted is Access.OPEN:
            continue
        answer = await request(operator, method, path, reason="x", **sent)
        assert answer.status_code == 403, path
        assert "Open the page again" in answer.text
    assert await database.fetchval("SELECT count(*) FROM operator_acts") == 0
    assert (await operator.client.get("/console")).status_code == 200  # not signed out either


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
    ],
)
async def test_a_form_of_another_site_is_refused_whatever_token_it_has(
    operator: Browser, settings: Settings, api: Api, headers: dict[str, str]
) -> None:
    operator.client.headers.update(headers)
    for method, path, _ in routes(settings):
        if method == "POST":
            token = operator.form_token
            answer = await request(
                operator, method, path, form_token=token, reason="x", key=api.tokens["operator"]
            )
            assert answer.status_code == 403, path
            assert "another site" in answer.text
    operator.client.headers.update({"Sec-Fetch-Site": "same-origin", "Origin": "null"})
    answer = await operator.send("/console/sign-out")
    assert answer.status_code == 303


async def test_no_page_has_another_address(auditor: Browser) -> None:
    for path in ("/console/nowhere", "/console//runs", "/console/runs/", "/console/ru%6Es"):
        answer = await auditor.client.get(path)
        assert answer.status_code in (200, 404), path
        assert answer.headers["content-type"].startswith("text/html")
    assert (await auditor.client.get("/console/nowhere")).status_code == 404
    unknown = await auditor.client.get("/console/runs", params={"colour": "red"})
    assert unknown.status_code == 400
    assert "colour" in unknown.text
