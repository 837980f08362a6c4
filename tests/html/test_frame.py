"""Pages as a browser gets them: their headers, their files, the choice of a zone, their errors."""

from __future__ import annotations

import gzip
import re
from datetime import UTC
from pathlib import Path

import jinja2
import pytest

from app.html import assets, zones
from app.html.pages import TEMPLATES, environment, page, strict_headers
from tests.api_client import Api

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def test_a_page_runs_nothing_and_loads_nothing_from_elsewhere(api: Api) -> None:
    answer = await api.client.get("/zone")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    for name in re.findall(r"""(?:src|href)=["']([^"']+)""", answer.text):
        assert name.startswith(("/", "#"))


def test_only_named_origins_may_frame() -> None:
    policy = strict_headers(["https://b.example", "https://a.example"])["Content-Security-Policy"]
    assert policy.endswith("frame-ancestors https://a.example https://b.example")


@pytest.mark.parametrize(
    "path",
    [path for folder in TEMPLATES for path in sorted(folder.rglob("*.html"))],
    ids=lambda path: path.name,
)
def test_no_template_has_a_script_or_a_style(path: Path) -> None:
    text = re.sub(r"\{#.*?#\}", "", path.read_text("utf-8"), flags=re.DOTALL)
    assert re.findall(r"<script|<style|\sstyle=|\son\w+=|\|\s*safe\b|javascript:", text) == []


def test_texts_are_escaped_and_a_name_that_nobody_gave_is_an_error() -> None:
    shown = page("problem.html", heading="<b>", detail="&", remedy=None, ways=[])
    assert "<h1>&lt;b&gt;</h1>" in shown.content
    with pytest.raises(jinja2.UndefinedError, match="detail"):
        page("problem.html", heading="x", remedy=None, ways=[])
    assert environment().autoescape is True


async def test_files_are_kept_and_packed(api: Api) -> None:
    one = assets.assets()["styles.css"]
    packed = await api.client.get(one.path)
    plain = await api.client.get(one.path, headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content == one.body == gzip.decompress(one.packed)
    for answer in (packed, plain):
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["vary"] == "Accept-Encoding"
        assert answer.headers["content-type"] == "text/css; charset=utf-8"


@pytest.mark.parametrize("name", ["styles.css", "styles.000000000000.css", "..%2Fpages.py"])
async def test_no_other_file_is_served(api: Api, name: str) -> None:
    assert (await api.client.get(f"/assets/{name}")).status_code == 404


async def test_a_zone_is_chosen_once_and_kept(api: Api) -> None:
    answer = await api.client.post(
        "/zone", content="zone=Europe%2FBerlin&back=%2Fconsole", headers=FORM
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "/console")
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("tallybook_zone=")
    assert {"HttpOnly", "SameSite=lax"} <= set(cookie.split("; "))
    page = await api.client.get("/zone", headers={"Cookie": cookie.partition(";")[0]})
    assert "<option selected>Europe/Berlin</option>" in page.text


@pytest.mark.parametrize(
    "value", ["", "Nowhere/City", "../../etc/passwd", "x" * 100, "\u00fc", "/"]
)
def test_a_cookie_that_names_no_zone_counts_for_nothing(value: str) -> None:
    assert str(zones.zone_of({zones.COOKIE: value})) == "UTC"
    assert str(zones.zone_of({zones.COOKIE: value}, "Asia/Tokyo")) == "Asia/Tokyo"
    assert str(zones.zone_of({}, value)) == str(UTC)


@pytest.mark.parametrize(
    "back",
    ["https://evil.example", "//evil.example", "/\\evil.example", "", "evil", "/\tx", "/\u00fc"],
)
async def test_a_choice_leads_back_to_this_server_alone(api: Api, back: str) -> None:
    assert zones.local_path(back) == "/"
    answer = await api.client.post("/zone", data={"zone": "UTC", "back": back})
    assert answer.headers["location"] == "/"


@pytest.mark.parametrize(
    ("sent", "headers", "status"),
    [
        ("zone=UTC", {"Sec-Fetch-Site": "cross-site"}, 403),
        ("zone=UTC", {"Sec-Fetch-Site": "same-site"}, 403),
        ("zone=UTC", {"Content-Type": "text/plain"}, 400),
        ("zone=UTC&zone=UTC", {}, 400),
        ("zone=UTC&other=1", {}, 400),
        ("", {}, 400),
        ("zone=%FF", {}, 400),
        ("zone=%00", {}, 400),
        ("zone=\u00fc", {}, 400),
        ("&".join(f"a{index}=1" for index in range(200)), {}, 400),
    ],
)
async def test_what_is_no_form_of_ours_is_refused_by_a_page(
    api: Api, sent: str, headers: dict[str, str], status: int
) -> None:
    answer = await api.client.post("/zone", content=sent.encode(), headers={**FORM, **headers})
    assert answer.status_code == status
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "set-cookie" not in answer.headers
    assert "<h1>" in answer.text
