"""The client's models and codes are those of the API's description."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import typing
from datetime import date, datetime
from importlib.metadata import distribution, requires
from types import UnionType
from typing import Any

import pytest
from tallybook_client import errors, models

from ops import client_sync, openapi

SCHEMAS = json.loads(openapi.FILE.read_text(encoding="utf-8"))["components"]["schemas"]
RUFF = [sys.executable, "-m", "ruff"]
NAMES = {
    models.Spend: "SpendAnswer",
    models.Hold: "HoldAnswer",
    models.Capture: "CaptureAnswer",
    models.Return: "ReturnAnswer",
    models.Lot: "LotAnswer",
    models.Subscription: "SubscriptionAnswer",
    models.Account: "AccountAnswer",
    models.ListedAccount: "ListedAccount",
    models.Balance: "BalanceAnswer",
    models.PageLink: "PageLinkAnswer",
    models.AccountBalance: "AccountBalance",
    models.Balances: "BalancesAnswer",
    models.ItemProblem: "ItemProblem",
    models.BatchResult: "BatchItemAnswer",
    models.Entry: "EntryAnswer",
    models.Usage: "UsageAnswer",
    models.Alert: "AlertAnswer",
}
PLAIN: dict[Any, str] = {
    str: "string",
    int: "integer",
    bool: "boolean",
    datetime: "string date-time",
    date: "string date",
    type(None): "null",
}


def of_hint(hint: Any) -> set[str]:
    if typing.get_origin(hint) in (UnionType, typing.Union):
        return set().union(*(of_hint(one) for one in typing.get_args(hint)))
    if typing.get_origin(hint) is list:
        (of,) = typing.get_args(hint)
        return {f"array of {sorted(of_hint(of))}"}
    return {NAMES[hint] if hint in NAMES else PLAIN[hint]}


def of_schema(schema: dict[str, Any]) -> set[str]:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return {"string"} if "enum" in SCHEMAS[name] else {name}
    if "oneOf" in schema:
        return set().union(*(of_schema(one) for one in schema["oneOf"]))
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if kinds == ["array"]:
        return {f"array of {sorted(of_schema(schema['items']))}"}
    form = schema.get("format")
    return {f"{kind} {form}" if kind == "string" and form else kind for kind in kinds}


@pytest.mark.parametrize("model", NAMES, ids=lambda model: model.__name__)
def test_a_model_has_the_fields_and_types_of_its_schema(model: type) -> None:
    schema = SCHEMAS[NAMES[model]]
    hints = typing.get_type_hints(model)
    ours = {field.name: of_hint(hints[field.name]) for field in dataclasses.fields(model)}
    assert ours == {name: of_schema(one) for name, one in schema["properties"].items()}
    required = {f.name for f in dataclasses.fields(model) if f.default is dataclasses.MISSING}
    assert required == set(schema["required"])


def test_every_model_is_compared() -> None:
    ours = {one for one in vars(models).values() if dataclasses.is_dataclass(one)}
    assert ours == set(NAMES)


def test_each_typed_error_is_of_a_code_that_the_server_knows() -> None:
    kinds = errors.ProblemError.__subclasses__()
    codes = {kind.of_code for kind in kinds}
    assert len(codes) == len(kinds)
    assert codes <= set(SCHEMAS["Problem"]["properties"]["code"]["enum"])
    for kind in kinds:
        problem = {"code": kind.of_code, "available": 1, "required": 2, "next_grant_at": None}
        assert type(errors.problem_error(409, problem)) is kind


def test_a_code_of_a_newer_server_and_an_answer_without_one_are_problems_too() -> None:
    assert errors.problem_error(409, {"code": "new", "retryable": True}).retryable
    assert errors.problem_error(502, {}).retryable
    assert not errors.problem_error(404, {}).retryable


def test_fields_of_a_newer_server_are_left_out_and_instants_are_read() -> None:
    row = {"id": "h", "account_id": "a", "amount": 2, "captured": 0, "state": "held", "new": 1}
    read = models.decode(models.Hold, {**row, "expires_at": "2026-03-01T12:00:00.250000Z"})
    assert read.expires_at.isoformat() == "2026-03-01T12:00:00.250000+00:00"


def test_the_plain_half_is_the_one_written_from_the_asynchronous() -> None:
    made = subprocess.run(
        [*RUFF, "check", "--fix", "--quiet", "--stdin-filename", str(client_sync.FILE), "-"],
        input=client_sync.written(),
        capture_output=True,
        text=True,
        check=False,
    )
    formatted = subprocess.run(
        [*RUFF, "format", "--stdin-filename", str(client_sync.FILE), "-"],
        input=made.stdout,
        capture_output=True,
        text=True,
        check=True,
    )
    assert formatted.stdout == client_sync.FILE.read_text(encoding="utf-8")


def test_the_client_is_installed_typed_and_needs_httpx_alone() -> None:
    assert (client_sync.FOLDER / "py.typed").is_file()
    assert distribution("tallybook-client").version
    needed = [one for one in requires("tallybook-client") or [] if "extra ==" not in one]
    assert [one.partition("<")[0].partition(">")[0] for one in needed] == ["httpx"]
