"""The tables of routes and of errors are generated, and the running service keeps them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from app import errors
from app.errors import TallybookError
from app.infrastructure.settings import Settings
from tests.api_client import Api
from tests.contract.test_routes import callers, filled

__all__ = ["callers"]  # a fixture is found by its name

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "ops/reference.md").read_text(encoding="utf-8")
CALLERS = {"none": "nobody"}  # what the table calls whom the tests call otherwise


def table(name: str) -> list[list[str]]:
    found = re.search(f"<!-- {name} -->\n(.*?)<!-- end of {name} -->", PAGE, re.DOTALL)
    assert found
    return [
        [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        for line in found[1].strip().splitlines()
    ]


def test_both_tables_are_what_the_code_declares() -> None:
    # In a process of its own: a test may have imported errors that no route raises.
    done = subprocess.run(
        [sys.executable, "-m", "ops.reference_tables", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("settings")
async def test_the_running_service_answers_each_caller_as_the_table_says(
    api: Api, callers: dict[str, dict[str, str]]
) -> None:
    head, _, *rows = table("routes")
    assert len(rows) > 30
    wrong = []
    for route, *cells in rows:
        method, path = route.split()
        for name, cell in zip(head[1:], cells, strict=True):
            headers = callers[CALLERS.get(name, name)]
            answer = await api.client.request(method, filled(path), headers=headers)
            told = str(answer.status_code) if answer.status_code in (401, 403) else "yes"
            if told != cell:
                wrong.append(f"{route}: {name} is told {told}, the table says {cell}")
    assert wrong == []


def test_every_code_of_the_tree_of_errors_is_documented() -> None:
    told = {row[0] for row in table("errors")[2:]}
    ours = {
        kind.code
        for kind in vars(errors).values()
        if isinstance(kind, type)
        and issubclass(kind, TallybookError)
        and not issubclass(kind, errors.ConfigurationError)
    }
    assert ours < told
    assert len(told) == len(table("errors")) - 2, "each stands there once"


async def test_the_description_closes_the_list_of_codes(api: Api, settings: Settings) -> None:
    schema = (await api.client.get("/schema/openapi.json")).json()
    for name in ("Problem", "InsufficientCreditsProblem", "ItemProblem"):
        listed = schema["components"]["schemas"][name]["properties"]["code"]["enum"]
        assert {row[0] for row in table("errors")[2:]} <= set(listed)


async def test_answers_lead_to_operations_that_there_are(api: Api) -> None:
    schema = (await api.client.get("/schema/openapi.json")).json()
    operations = {
        operation["operationId"]: operation
        for item in schema["paths"].values()
        for operation in item.values()
    }
    links = [
        link
        for operation in operations.values()
        for answer in operation["responses"].values()
        for link in answer.get("links", {}).values()
    ]
    assert len(links) > 25
    for link in links:
        names = {one["name"] for one in operations[link["operationId"]]["parameters"]}
        assert set(link["parameters"]) <= names


async def test_every_body_and_every_refusal_has_an_example(api: Api) -> None:
    schema = (await api.client.get("/schema/openapi.json")).json()
    for path, item in schema["paths"].items():
        for method, operation in item.items():
            for content in operation.get("requestBody", {}).get("content", {}).values():
                assert "example" in content, f"{method} {path}"
            for status, answer in operation["responses"].items():
                if status >= "400":
                    (content,) = answer["content"].values()
                    assert content["example"]["status"] == int(status), f"{method} {path} {status}"
