"""Every success answer and every body has an example: one that a real book gave, and a true one."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from app.allowance.catalogue import default_text
from app.book import Book
from app.infrastructure.db import Database
from app.infrastructure.settings import Settings
from app.jobs.tick import tick
from app.operators import keys
from app.operators.keys import Scope
from app.web.http import openapi_examples
from tests.api_client import Api
from tests.as_owner import apply_tiers, owner_of
from tests.contract.example_story import WRITTEN, Story, tell

FILE = Path(openapi_examples.__file__).with_name("examples.json")
# In the environment: the file is written anew from the story; then look at the difference.
WRITE = "WRITE_EXAMPLES"


@pytest.fixture
async def story(api: Api, database: Database, settings: Settings, book: Book) -> Story:
    """A catalogue that raises alerts, and keys whose ids are always the same."""
    text = default_text().replace(
        "daily_credits = 20", "daily_credits = 20\nlow_balance_alert = 15"
    )
    await apply_tiers(book, text)
    tokens = {"cron": settings.cron_secret or ""}
    async with owner_of(database) as owner:
        for scope, key_id in (("service", "0shapp0001"), ("operator", "0anna00001")):
            await keys.put_known(
                owner, settings.key_pepper, key_id, "0" * 40, scope, [Scope(scope)]
            )
            tokens[scope] = keys.token_of(key_id, "0" * 40)
    return Story(api.client, tokens, api.secret, partial(tick, book))


@pytest.fixture
async def schema(api: Api) -> dict[str, Any]:
    """The description as served."""
    return (await api.client.get("/schema/openapi.json")).json()


async def test_the_examples_are_what_a_book_answers(story: Story) -> None:
    await tell(story)
    heard = json.dumps({"parameters": story.parameters, "operations": story.operations})
    told = json.loads(re.sub(r'"took_ms": \d+', '"took_ms": 12', heard))
    if os.environ.get(WRITE):
        text = json.dumps(told, indent=1, ensure_ascii=False)
        FILE.write_text(f"{text}\n", encoding="utf-8")
    assert told == json.loads(FILE.read_bytes()), f"Set {WRITE}=1 to write {FILE.name} anew."


def operations(schema: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in schema["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


def problems_of(schema: dict[str, Any], described: dict[str, Any]) -> list[str]:
    """What is wrong with the examples of a body or an answer."""
    wrong = []
    for kind, content in described.get("content", {}).items():
        if not content["schema"]:
            wrong.append(f"{kind}: no shape")
        if "example" not in content:
            wrong.append(f"{kind}: no example")
            continue
        shape = {**content["schema"], "components": schema["components"]}
        checker = jsonschema_rs.Draft202012Validator(shape, validate_formats=True)
        errors = checker.iter_errors(content["example"])
        wrong += [f"{error.instance_path}: {error.message}" for error in errors]
    return wrong


async def test_every_body_and_every_answer_has_one_that_fits_its_shape(
    schema: dict[str, Any],
) -> None:
    wrong, seen = {}, 0
    for name, operation in operations(schema):
        places = {"body": operation.get("requestBody", {}), **operation["responses"]}
        for place, described in places.items():
            seen += 1
            if found := problems_of(schema, described):
                wrong[f"{name} {place}"] = found
            if place not in ("body", "204"):
                assert described["content"], f"{name} {place}"
    assert wrong == {}
    assert seen > 250


async def test_every_named_thing_has_one_that_the_path_takes(schema: dict[str, Any]) -> None:
    named = [
        one
        for _, operation in operations(schema)
        for one in operation.get("parameters", ())
        if one["in"] == "path" or one["name"] == "Idempotency-Key"
    ]
    assert len(named) > 25
    for one in named:
        jsonschema_rs.validate(one["schema"], one["example"])


async def test_no_example_is_left_of_what_is_no_longer_served(schema: dict[str, Any]) -> None:
    served = dict(operations(schema))
    for name, told in json.loads(FILE.read_bytes())["operations"].items():
        assert set(told) - {"body"} <= set(served[name]["responses"]), name
        assert ("body" in told) == ("requestBody" in served[name]), name


async def test_the_examples_are_of_one_account(schema: dict[str, Any]) -> None:
    """Whoever follows an id from one answer finds it in the next."""
    told = json.loads(FILE.read_bytes())
    text = json.dumps(told)
    ids = told["parameters"]
    for name in ("hold_id", "journal_id", "run_id", "reversal_id", "subscription_id", "event_id"):
        assert text.count(ids[name]) > 2, name
    assert set(re.findall(r'"account_id": "([^"]+)"', text)) == {ids["account_id"]}


def test_every_instant_has_microseconds_and_ends_in_z() -> None:
    text = FILE.read_text(encoding="utf-8")
    answers = re.sub(r'"body": \{.*?\n  \}', "", text, flags=re.S)
    instants = re.findall(r'"(\d{4}-\d\d-\d\dT[^"\\]*)', answers)
    assert len(instants) > 60
    assert [one for one in instants if not re.search(r":\d\d\.\d{6}Z$", one)] == []


async def test_the_metrics_of_the_example_are_counted(api: Api) -> None:
    scraped = (await api.client.get("/metrics")).text
    example = WRITTEN["GET /metrics"]["200"]["text/plain"]
    for line in example.splitlines():
        assert line.rpartition(" ")[0] in scraped


async def test_every_operation_and_success_is_told_in_words(schema: dict[str, Any]) -> None:
    for name, operation in operations(schema):
        told = operation["description"].partition("\n\n")[0]
        assert re.match(r"[A-Z0-9].+ .+\.", told, re.DOTALL), name
        for status, answer in operation["responses"].items():
            assert answer["description"] != HTTPStatus(int(status)).description, name
    shapes = schema["components"]["schemas"]
    ours = {name: shape for name, shape in shapes.items() if name.endswith(("Answer", "List"))}
    assert len(ours) > 25
    assert [name for name, shape in ours.items() if not shape.get("description")] == []
    assert shapes["EntryAnswer"]["properties"]["recorded_at"]["format"] == "date-time"


async def test_the_refusals_of_the_examples_are_what_one_is_told(
    api: Api, schema: dict[str, Any]
) -> None:
    """Of every read that names a thing, of one that there is not; and of a misspelt query."""
    tried = 0
    for name, operation in operations(schema):
        method, path = name.split()
        named = [one for one in operation.get("parameters", ()) if one["in"] == "path"]
        if method != "GET" or not named:
            continue
        for one in named:
            path = path.replace(f"{{{one['name']}}}", str(one["example"]))
        for status, query in (("404", {}), ("400", {"colour": "red"})):
            told = (await api.get(path, "operator", **query)).json()
            (content,) = operation["responses"][status]["content"].values()
            assert (told["code"], told["title"]) == (
                content["example"]["code"],
                content["example"]["title"],
            ), name
            tried += 1
    assert tried > 15
