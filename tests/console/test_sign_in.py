"""Signing in and out, and what ends a session."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from app.infrastructure.db import Database
from app.infrastructure.settings import Settings
from app.operators import keys, sessions
from app.operators.keys import Scope
from tests.api_client import Api
from tests.as_owner import make_key, owner_of
from tests.console.conftest import Browser, signed_in

ASKED = "/console/alerts"


async def test_a_session_begins_with_a_good_key_and_leads_to_the_page_that_was_asked_for(
    new_browser: Callable[[], Browser], api: Api
) -> None:
    browser = new_browser()
    asked = await browser.client.get(ASKED)
    assert asked.status_code == 303
    assert asked.headers["location"] == "/console/sign-in?next=%2Fconsole%2Falerts"
    sent = {"key": api.tokens["auditor"], "next": ASKED}
    answer = await browser.client.post("/console/sign-in", data=sent)
    assert (answer.status_code, answer.headers["location"]) == (303, ASKED)
    cookie = answer.headers["set-cookie"]
    for said in ("HttpOnly", "Path=/console", "SameSite=lax"):
        assert said in cookie
    assert "Alerts" in await browser.get(ASKED)


@pytest.mark.parametrize(
    "then", ["https://elsewhere.example", "//elsewhere.example", "/schema", "/console@x.example"]
)
async def test_a_sign_in_leads_nowhere_but_to_the_console(
    new_browser: Callable[[], Browser], api: Api, then: str
) -> None:
    sent = {"key": api.tokens["auditor"], "next": then}
    answer = await new_browser().client.post("/console/sign-in", data=sent)
    assert answer.headers["location"] == "/console"


@pytest.mark.parametrize("scope", ["service", "read", "spend"])
async def test_a_key_for_applications_is_told_what_key_the_console_takes(
    new_browser: Callable[[], Browser], api: Api, scope: str
) -> None:
    answer = await new_browser().sign_in(api.tokens[scope])
    assert answer.status_code == 403
    assert "scope auditor or operator" in answer.text
    assert "set-cookie" not in answer.headers


async def test_a_wrong_key_begins_nothing(
    new_browser: Callable[[], Browser], api: Api, database: Database
) -> None:
    for wrong in ("", "x", api.tokens["auditor"][:-1] + "!"):
        answer = await new_browser().sign_in(wrong)
        assert answer.status_code == 401
        assert 'role="alert"' in answer.text or "aria-invalid" in answer.text
    assert await database.fetchval("SELECT count(*) FROM console_sessions") == 0


async def test_the_cookie_is_kept_nowhere_in_the_book(auditor: Browser, database: Database) -> None:
    (cookie,) = auditor.client.cookies.values()
    row = await database.fetchrow("SELECT console_sessions::text AS whole FROM console_sessions")
    assert row is not None
    assert cookie not in row["whole"]


async def test_a_revoked_key_ends_its_sessions(
    new_browser: Callable[[], Browser], settings: Settings, database: Database, api: Api
) -> None:
    token = await make_key(database, settings.key_pepper, "leaves", [Scope.OPERATOR])
    browser = await signed_in(new_browser(), token)
    async with owner_of(database) as owner:
        await keys.revoke(owner, keys.id_of(token))
    api.client._transport.app.state.keyring._read_at = float("-inf")  # type: ignore[attr-defined]
    assert "Sign in" in await browser.get("/console")
    assert await database.fetchval("SELECT count(*) FROM console_sessions") == 0


@pytest.mark.parametrize(
    "passed",
    [
        "last_seen_at = last_seen_at - interval '31 minutes'",
        "last_seen_at = clock_timestamp() - interval '30 minutes'",
    ],
)
async def test_a_session_without_use_ends(
    auditor: Browser, database: Database, passed: str
) -> None:
    await database.execute(f"UPDATE console_sessions SET {passed}")
    assert (await auditor.client.get("/console")).status_code == 303


async def test_a_session_ends_after_its_hours_though_it_is_used(
    new_browser: Callable[[], Browser],
    api: Api,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sessions, "LIFE_MAX", timedelta(0))
    answer = await new_browser().sign_in(api.tokens["auditor"])
    assert answer.status_code == 303
    browser = new_browser()
    browser.client.cookies.update(answer.cookies)
    assert (await browser.client.get("/console")).status_code == 303
    await sessions.sweep(database)
    assert await database.fetchval("SELECT count(*) FROM console_sessions") == 0


async def test_signing_in_again_ends_the_session_before(
    auditor: Browser, api: Api, database: Database
) -> None:
    await signed_in(auditor, api.tokens["operator"])
    assert await database.fetchval("SELECT count(*) FROM console_sessions") == 1


async def test_signing_out_ends_this_session_alone(
    new_browser: Callable[[], Browser], api: Api
) -> None:
    one = await signed_in(new_browser(), api.tokens["auditor"])
    other = await signed_in(new_browser(), api.tokens["auditor"])
    cookies = dict(one.client.cookies)
    answer = await one.send("/console/sign-out")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/sign-in")
    one.client.cookies.update(cookies)  # as a thief would keep it
    assert (await one.client.get("/console")).status_code == 303
    assert (await other.client.get("/console")).status_code == 200


async def test_signing_out_everywhere_ends_all_of_the_key_and_no_others(
    new_browser: Callable[[], Browser], api: Api, operator: Browser
) -> None:
    one = await signed_in(new_browser(), api.tokens["auditor"])
    other = await signed_in(new_browser(), api.tokens["auditor"])
    await one.send("/console/sign-out-everywhere")
    assert (await other.client.get("/console")).status_code == 303
    assert (await operator.client.get("/console")).status_code == 200
