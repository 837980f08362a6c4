"""Examples of bodies and answers in the description, and links from answers to further calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec

from app.web.http import problems

_ACCOUNT: Final = "/api/v1/accounts/{account_id}"
_JOURNAL: Final = "/api/v1/ledger/journals/{journal_id}"
_HOLD: Final = "/api/v1/holds/{hold_id}"
_REVERSAL: Final = "/api/v1/reversals/{reversal_id}"
_SUBSCRIPTION: Final = "/api/v1/subscriptions/{subscription_id}"
_ID: Final = "$response.body#/id"
_FIRST: Final = "$response.body#/data/0/id"
_ACTS: Final = ("spends", "holds", "grants", "adjustments", "close")
_READS: Final = ("balance", "balance/explain")

# (method, path) → (name, method, path, parameter, where its value stands)
Leads = tuple[tuple[str, str, str, str, str], ...]
LINKS: Final[dict[tuple[str, str], Leads]] = {
    ("put", _ACCOUNT): (
        ("read", "get", _ACCOUNT, "account_id", _ID),
        *((what, "post", f"{_ACCOUNT}/{what}", "account_id", _ID) for what in _ACTS),
        *(
            (what.replace("/", "_"), "get", f"{_ACCOUNT}/{what}", "account_id", _ID)
            for what in _READS
        ),
        ("entries", "get", "/api/v1/ledger/entries", "account_id", _ID),
    ),
    ("get", _ACCOUNT): (("spends", "post", f"{_ACCOUNT}/spends", "account_id", _ID),),
    **{
        ("post", f"{_ACCOUNT}/{what}"): (("journal", "get", _JOURNAL, "journal_id", _ID),)
        for what in ("spends", "grants", "adjustments")
    },
    ("post", f"{_ACCOUNT}/holds"): (
        ("read", "get", _HOLD, "hold_id", _ID),
        ("capture", "post", f"{_HOLD}/capture", "hold_id", _ID),
        ("release", "post", f"{_HOLD}/release", "hold_id", _ID),
    ),
    ("post", "/api/v1/reversals"): (("read", "get", _REVERSAL, "reversal_id", _ID),),
    ("get", "/api/v1/ledger/entries"): (
        ("journal", "get", _JOURNAL, "journal_id", "$response.body#/data/0/journal_id"),
    ),
    ("get", "/api/v1/subscriptions"): (
        ("read", "get", _SUBSCRIPTION, "subscription_id", _FIRST),
        ("transitions", "get", f"{_SUBSCRIPTION}/transitions", "subscription_id", _FIRST),
    ),
    ("get", "/api/v1/events"): (("read", "get", "/api/v1/events/{event_id}", "event_id", _FIRST),),
    ("get", "/api/v1/runs"): (("read", "get", "/api/v1/runs/{run_id}", "run_id", _FIRST),),
}

# Bodies and answers by operation, out of one story: tests/contract/test_examples.py tells it to a
# book, holds the file to what was answered, and writes it again if asked to.
JSON_TYPES: Final = ("application/json", problems.MEDIA_TYPE)
EXAMPLES: Final = Path(__file__).with_name("examples.json")


def add(schema: dict[str, Any]) -> None:
    """Add all of it; what names a route that this book does not serve is left out."""
    told = msgspec.json.decode(EXAMPLES.read_bytes())
    for path, item in schema["paths"].items():
        for method, operation in item.items():
            _parameters(operation, told["parameters"])
            _examples(operation, told["operations"].get(f"{method.upper()} {path}", {}))
            _links(schema["paths"], operation, LINKS.get((method, path), ()))


def _parameters(operation: dict[str, Any], told: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        if parameter["name"] in told and parameter["in"] != "query":
            parameter["example"] = told[parameter["name"]]


def _examples(operation: dict[str, Any], told: dict[str, Any]) -> None:
    for content in operation.get("requestBody", {}).get("content", {}).values():
        if "body" in told:
            content["example"] = told["body"]
    for status, answer in operation["responses"].items():
        if status in told:
            for kind, content in answer["content"].items():
                # The texts stand by their media types, of which the export has two.
                content["example"] = told[status] if kind in JSON_TYPES else told[status][kind]


def _links(paths: dict[str, Any], operation: dict[str, Any], leads: Leads) -> None:
    links = {
        name: {"operationId": paths[path][method]["operationId"], "parameters": {parameter: value}}
        for name, method, path, parameter, value in leads
        if method in paths.get(path, {})
    }
    for status, answer in operation["responses"].items():
        # What a dry run answers has no id to follow.
        if status.startswith("2") and links and not answer["description"].startswith("A dry run"):
            answer["links"] = links
