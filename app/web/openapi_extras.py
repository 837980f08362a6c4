"""What the description tells beyond each operation: examples, and which answer leads where."""

from __future__ import annotations

from typing import Any, Final

from app.web import codes

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
        *((what.replace("/", "_"), "get", f"{_ACCOUNT}/{what}", "account_id", _ID)
          for what in _READS),
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
}  # fmt: skip

BODIES: Final[dict[str, dict[str, Any]]] = {
    "AccountBody": {"stripe_customer_id": "cus_NffrFeUfNV2Hib", "time_zone": "Europe/Berlin"},
    "SpendBody": {"amount": 3, "reason": "one rendering", "metadata": {"job": 9871}},
    "BatchBody": {
        "spends": [{"account_id": "user-42", "amount": 1, "idempotency_key": "render-9872"}]
    },
    "HoldBody": {"amount": 5, "expires_in_s": 600},
    "CaptureBody": {"amount": 4},
    "GrantBody": {"amount": 10, "reason": "an apology", "expires_at": "2099-01-31T00:00:00Z"},
    "AdjustmentBody": {"amount": -2, "reason": "a miscount"},
    "ReasonBody": {"reason": "asked for by the customer"},
    "ReversalBody": {
        "journal_id": "jrn_0000000000001", "reason": "a mistake", "shortfall": "write_off",
    },
    "CheckoutBody": {"price": "price_pro_monthly", "success_url": "https://shop.example/thanks"},
    "PortalBody": {"return_url": "https://shop.example/account"},
    "RunBody": {"on": None, "dry_run": True},
    "ClockBody": {"now": "2026-02-01T00:00:00Z", "tick": True},
}  # fmt: skip
PARAMETERS: Final = {
    "account_id": "user-42",
    "Idempotency-Key": "render-9871",
    "hold_id": "hld_0000000000001",
    "journal_id": "jrn_0000000000001",
    "run_id": "run_0000000000001",
    "reversal_id": "rev_0000000000001",
    "subscription_id": "sub_1MowQVLkdIwHu7ixeRlqHVzs",
    "event_id": "evt_1MqqbKLt4dXK03v5qaIbiNCC",
}


def add(schema: dict[str, Any]) -> None:
    """Add all of it; what names a route that this book does not serve is left out."""
    _close_the_codes(schema)
    for path, item in schema["paths"].items():
        for method, operation in item.items():
            _examples(operation)
            _errors(operation)
            _links(schema["paths"], operation, LINKS.get((method, path), ()))


def _close_the_codes(schema: dict[str, Any]) -> None:
    known = sorted(one.code for one in codes.listed())
    for name in ("Problem", "InsufficientCreditsProblem", "ItemProblem"):
        schema["components"]["schemas"][name]["properties"]["code"]["enum"] = known


def _examples(operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        if parameter["name"] in PARAMETERS and parameter["in"] != "query":
            parameter["example"] = PARAMETERS[parameter["name"]]
    for content in operation.get("requestBody", {}).get("content", {}).values():
        for name, body in BODIES.items():
            if f"/{name}'" in str(content["schema"]):
                content["example"] = body


def _errors(operation: dict[str, Any]) -> None:
    first = {one.status: one for one in reversed(codes.listed())}
    for status, answer in operation["responses"].items():
        if int(status) not in first or status == "402":
            continue
        one = first[int(status)]
        for content in answer["content"].values():
            content["example"] = {
                "type": f"urn:tallybook:problem:{one.code}",
                "title": answer["description"],
                "status": one.status,
                "detail": one.meaning,
                "code": one.code,
                "retryable": one.retryable,
            }


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
