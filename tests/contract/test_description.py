"""The OpenAPI description: committed, named for its readers, and a page that needs no network."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any

import pytest

from app.web.http import openapi_page
from app.web.http.openapi import TAGS
from tests.api_client import Api


@pytest.fixture
async def schema(api: Api) -> dict[str, Any]:
    return (await api.client.get("/schema/openapi.json")).json()


def operations(schema: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for item in schema["paths"].values() for one in item.values()]


def test_generated_clients_get_names_that_read_well(schema: dict[str, Any]) -> None:
    names = [one["operationId"] for one in operations(schema)]
    assert len(set(names)) == len(names) > 40
    assert [name for name in names if not re.fullmatch(r"[a-z]+(_[a-z]+){0,3}", name)] == []
    assert {"put_account", "get_account", "spend", "place_hold", "capture_hold"} <= set(names)


def test_what_is_used_most_comes_first(schema: dict[str, Any]) -> None:
    tags = [tag["name"] for tag in schema["tags"]]
    assert tags == list(TAGS)
    assert tags[:3] == ["Accounts", "Spends", "Holds"]
    first_seen = list(dict.fromkeys(tag for one in operations(schema) for tag in one["tags"]))
    assert first_seen == tags
    assert next(iter(schema["paths"])) == "/api/v1/accounts/{account_id}"


def test_each_call_says_what_key_it_needs(schema: dict[str, Any]) -> None:
    told = {
        one["operationId"]: one["description"].rpartition("\n\n")[2] for one in operations(schema)
    }
    assert told["spend"] == "Needs a key with the scope `service`, `spend` or `operator`."
    assert told["reverse"] == "Needs a key with the scope `operator`."
    assert told["receive_stripe_event"] == "Needs no key: Stripe signs the body."
    assert told["reset_credits"] == "Needs the `CRON_SECRET` as bearer token."
    assert told["get_liveness"] == "Needs no key."
    assert [name for name, text in told.items() if not text.startswith("Needs ")] == []


def test_no_title_holds_markdown(schema: dict[str, Any]) -> None:
    assert [
        one["summary"] for one in operations(schema) if re.search(r"[`*]", one["summary"])
    ] == []


async def test_the_page_loads_nothing_from_elsewhere(api: Api) -> None:
    answer = await api.client.get("/schema")
    page = answer.text
    sources = re.findall(r"""(?:src|href)=["']?([^"' >]+)""", page)
    assert sources == ["data:,", "/schema/openapi.json", f"/schema/{openapi_page.BUNDLE.name}"]
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = hashlib.sha256(script.encode()).digest()
    assert f"'sha256-{base64.b64encode(digest).decode()}'" in policy


async def test_a_reader_without_scripts_finds_every_call(api: Api, schema: dict[str, Any]) -> None:
    page = (await api.client.get("/schema")).text
    calls = page.partition("<noscript>")[2].partition("</noscript>")[0]
    assert [path for path in schema["paths"] if f" {path}</code>" not in calls] == []


async def test_the_pages_script_is_the_one_that_was_published(api: Api) -> None:
    answer = await api.client.get(f"/schema/{openapi_page.BUNDLE.name}")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert hashlib.sha256(answer.content).hexdigest() == openapi_page.BUNDLE_SHA256
    licence = openapi_page.BUNDLE.with_name("scalar.LICENSE.txt").read_text(encoding="utf-8")
    assert licence.startswith("MIT License")


@pytest.mark.parametrize(("path", "page"), [("/", "/console"), ("/schema/", "/schema")])
async def test_a_browser_is_led_to_the_page(api: Api, path: str, page: str) -> None:
    answer = await api.client.get(path, headers={"Accept": "text/html,*/*;q=0.8"})
    assert (answer.status_code, answer.headers["location"]) == (302, page)


async def test_a_program_finds_nothing_at_the_root(api: Api) -> None:
    answer = await api.client.get("/", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
