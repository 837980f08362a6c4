"""Links to pages: signed, ending, following their account, and good for nothing else."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.accounts import page_links
from app.accounts.page_links import Offer, PageLink
from app.errors import PageLinkError
from app.infrastructure.db import Database
from app.infrastructure.settings import Settings
from app.web.http import books
from tests.acts import Acts
from tests.api_client import open_api
from tests.conftest import NOW, new_server, open_database
from tests.pages.conftest import Pages

PEPPER = "pepper-of-the-tests-000"
LINK = PageLink(
    number=7,
    opened_us=1_767_268_800_000_000,
    expires_s=1_767_272_400,
    theme="dark",
    accent="#0a7d5c",
    return_url="https://shop.example/",
    offers=(Offer("price_1", "More"), Offer("price_2")),
)
TOKEN = page_links.sign(PEPPER, LINK)


def test_a_link_says_what_was_signed() -> None:
    assert page_links.read(PEPPER, TOKEN) == LINK


@given(place=st.integers(0, len(TOKEN) - 1), other=st.characters(codec="utf-8"))
def test_no_changed_link_is_read(place: int, other: str) -> None:
    changed = TOKEN[:place] + other + TOKEN[place + 1 :]
    if changed != TOKEN:
        with pytest.raises(PageLinkError):
            page_links.read(PEPPER, changed)


@pytest.mark.parametrize("token", ["", ".", "x", TOKEN + "A", TOKEN[:-1], TOKEN.partition(".")[0]])
def test_what_is_no_link_is_refused(token: str) -> None:
    with pytest.raises(PageLinkError):
        page_links.read(PEPPER, token)


def test_another_pepper_signs_other_links() -> None:
    with pytest.raises(PageLinkError):
        page_links.read("pepper-of-others-0000", TOKEN)


def test_a_signed_text_that_is_no_link_is_refused() -> None:
    for body in ("bm90IGpzb24", "W10", "AA"):  # not json, [], a byte
        with pytest.raises(PageLinkError):
            page_links.read(PEPPER, f"{body}.{page_links._signature(PEPPER, body)}")


async def test_a_link_opens_the_page_until_it_ends(pages: Pages, acts: Acts) -> None:
    answer = await pages.made(expires_in_s=60)
    assert answer.status_code == 201
    told = answer.json()
    assert told["url"] == f"http://tallybook.test{told['path']}"
    assert told["expires_at"] == "2026-01-01T12:01:00.000000Z"
    assert "Available now 20" in await pages.words(told["path"])
    await pages.api.set_clock(NOW + timedelta(seconds=59))
    await pages.words(told["path"])
    await pages.api.set_clock(NOW + timedelta(seconds=60))
    ended = await pages.words(told["path"], 410)
    assert ended.startswith("Skip to the content This link has ended")
    assert "user-1" not in ended


async def test_an_address_that_a_proxy_serves_by_https_is_told_so(pages: Pages, acts: Acts) -> None:
    answer = await pages.api.client.post(
        "/api/v1/accounts/user-1/page-links",
        json={},
        headers=pages.api.headers(
            "service", **{"X-Forwarded-Proto": "https", "Host": "credits.example"}
        ),
    )
    assert answer.json()["url"].startswith("https://credits.example/pages/")


async def test_a_changed_link_tells_nothing(pages: Pages, acts: Acts) -> None:
    path = await pages.path()
    for way in ("", "/statement?month=2026-01", "/statement.csv?month=2026-01"):
        answer = await pages.get(f"{path[:-4]}AAAA{way}")
        assert answer.status_code == 403
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert "This link does not work" in answer.text
        assert "user-1" not in answer.text
        assert "Tallybook" not in answer.text
    for act in ("checkout", "portal"):
        assert (await pages.api.client.post(f"{path[:-4]}AAAA/{act}")).status_code == 403


async def test_a_link_opens_nothing_in_another_book_with_the_same_pepper(
    pages: Pages, acts: Acts, settings: Settings
) -> None:
    path = await pages.path()
    async with new_server() as server, open_database(server.application_url) as other:
        await _stand(other)
        wanted = msgspec.structs.replace(settings, database_url=server.application_url)
        async with open_api(other, wanted) as api:
            await api.put("/api/v1/accounts/somebody-else", {})
            assert (await api.client.get(path)).status_code == 403


async def _stand(database: Database) -> None:
    await page_links.clock.stand(database, NOW + timedelta(minutes=1))


async def test_a_link_follows_its_account_through_a_new_name_and_a_merge(
    pages: Pages, acts: Acts
) -> None:
    await acts.grant(7)
    path = await pages.path()
    await acts.post("accounts/user-1/rename", {"to": "user-9", "reason": "x"}, scope="operator")
    assert "Available now 27" in await pages.words(path)
    await pages.api.put("/api/v1/accounts/user-2", {})
    await acts.post("accounts/user-9/merge", {"into": "user-2", "reason": "x"}, scope="operator")
    available = (await pages.api.account("user-2"))["available"]
    assert f"Available now {available}" in await pages.words(path)


@pytest.mark.parametrize(
    ("wish", "status", "code"),
    [
        ({"theme": "pink"}, 400, "invalid_request"),
        ({"accent": "red"}, 400, "invalid_request"),
        ({"accent": "#0a7d5c;}"}, 400, "invalid_request"),
        ({"accent": "#0a7d5c\n"}, 400, "invalid_request"),
        ({"expires_in_s": 59}, 400, "invalid_request"),
        ({"expires_in_s": 604_801}, 400, "invalid_request"),
        ({"return_url": "javascript:alert(1)"}, 400, "invalid_request"),
        ({"offers": [{"price": "price_pro_monthly"}] * 9}, 400, "invalid_request"),
        ({"offers": [{"price": "price_pro_monthly", "label": ""}]}, 400, "invalid_request"),
        ({"offers": [{"price": "price_of_nothing"}]}, 422, "price_unknown"),
        ({"other": 1}, 400, "invalid_request"),
    ],
)
async def test_a_wish_is_judged_strictly(
    pages: Pages, acts: Acts, wish: dict[str, Any], status: int, code: str
) -> None:
    answer = await pages.made(**wish)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_an_unknown_account_gets_no_link(pages: Pages) -> None:
    answer = await pages.made("nobody")
    assert (answer.status_code, answer.json()["code"]) == (404, "account_unknown")


@pytest.fixture
async def framed(database: Database, settings: Settings) -> AsyncIterator[Pages]:
    """The service of settings that name two sites which may frame, and one to lead back to."""
    origins = frozenset({"https://shop.example", "http://127.0.0.1:3000"})
    wanted = msgspec.structs.replace(
        settings, page_origins=origins, return_origins=frozenset({"https://shop.example"})
    )
    async with open_api(database, wanted) as api:
        await api.put("/api/v1/accounts/user-1", {})
        yield Pages(api)


async def test_only_the_named_sites_may_frame_a_page_and_its_errors(framed: Pages) -> None:
    path = await framed.path()
    for one in (path, path + "x", f"{path}/statement?month=2026-01"):
        headers = (await framed.get(one)).headers
        policy = headers["content-security-policy"]
        assert policy.endswith("; frame-ancestors http://127.0.0.1:3000 https://shop.example")
        assert policy.startswith("default-src 'none'; style-src 'self'; ")
        assert "x-frame-options" not in headers
    other = (await framed.get("/zone")).headers
    assert other["x-frame-options"] == "DENY"
    assert other["content-security-policy"].endswith("frame-ancestors 'none'")


async def test_without_a_setting_nobody_frames_a_page(pages: Pages, acts: Acts) -> None:
    headers = (await pages.get(await pages.path())).headers
    assert headers["content-security-policy"].endswith("frame-ancestors 'none'")
    assert headers["x-frame-options"] == "DENY"


async def test_a_page_leads_back_to_our_own_sites_alone(framed: Pages) -> None:
    path = await framed.path(return_url="https://shop.example/account")
    assert 'href="https://shop.example/account"' in (await framed.get(path)).text
    answer = await framed.made(return_url="https://evil.example/")
    assert (answer.status_code, answer.json()["code"]) == (422, "return_url")


async def test_a_page_has_the_application_s_colour_and_theme(pages: Pages, acts: Acts) -> None:
    html = (await pages.get(await pages.path(accent="#FFD400", theme="dark"))).text
    assert '<html lang="en" data-theme="dark">' in html
    assert 'href="/assets/accent-ffd400.css"' in html
    style = await pages.get("/assets/accent-ffd400.css")
    assert style.headers["content-type"] == "text/css; charset=utf-8"
    # Dark on yellow; on white the yellow is a brown that can be read.
    assert "--accent-fill:#ffd400;--on-accent:#14171f" in style.text
    assert "--accent:light-dark(#836d00,#ffd400)" in style.text


async def test_in_a_further_book_every_address_is_that_book_s(pages: Pages, acts: Acts) -> None:
    app = pages.api.client._transport.app  # type: ignore[attr-defined]
    own, managers = app.asgi_handler, list(app._lifespan_managers)
    books.serve(app, {"acme": app})
    try:
        answer = await pages.api.client.post(
            "/books/acme/api/v1/accounts/user-1/page-links",
            json={},
            headers=pages.api.headers("service"),
        )
        path = answer.json()["path"]
        assert path.startswith("/books/acme/pages/")
        for way in ("", "/statement?month=2026-01"):
            html = (await pages.get(path + way)).text
            for address in re.findall(r'(?:href|action)="([^"#]+)"', html):
                assert address.startswith((path, "/assets/"))
    finally:
        app.asgi_handler, app._lifespan_managers = own, managers
