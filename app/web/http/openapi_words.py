"""The description's words, taken from docstrings, and a fitting code for each refusal."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final

import msgspec

from app.web.http import codes
from app.web.http.instants import Instant

# A likely refusal of each route; for a status that is not here the first code there is.
_USUAL: Final = {400: "invalid_request", 500: "internal", 503: "unavailable"}
_OF_ROUTES: Final = {
    ("/api/webhooks/stripe", 400): "invalid_signature",
    ("/api/v1/accounts/{account_id}", 409): "customer_taken",
    ("/api/v1/accounts/{account_id}", 422): "unknown_zone",
    ("/api/v1/accounts/{account_id}/balance", 422): "beyond_horizon",
    ("/api/v1/accounts/{account_id}/checkout-sessions", 409): "stripe_not_configured",
    ("/api/v1/accounts/{account_id}/checkout-sessions", 422): "price_unknown",
    ("/api/v1/accounts/{account_id}/portal-sessions", 409): "no_customer",
    ("/api/v1/accounts/{account_id}/portal-sessions", 422): "refused",
    ("/api/v1/dev/clock", 409): "clock_backwards",
    ("/api/v1/holds/{hold_id}/capture", 409): "hold_closed",
    ("/api/v1/holds/{hold_id}/release", 409): "hold_closed",
    ("/api/v1/ledger/export", 422): "refused",
    ("/api/v1/ledger/roll-forward", 404): "account_unknown",
    ("/api/v1/ledger/roll-forward", 422): "range_reversed",
    ("/api/v1/ledger/trial-balance", 422): "beyond_horizon",
    ("/api/v1/reversals", 404): "journal_unknown",
    ("/api/v1/reversals", 409): "not_reversible",
    ("/api/v1/runs", 409): "run_not_reversed",
    ("/api/v1/runs", 422): "run_date",
    ("/api/v1/accounts/{account_id}/evidence", 404): "account_unknown",
    ("/api/v1/accounts/{account_id}/evidence", 409): "not_sealed",
    ("/api/v1/seals", 422): "invalid_cursor",
    ("/api/v1/seals/{size}", 404): "seal_unknown",
    ("/api/v1/seals/tiles/{level}/{number}", 404): "seal_unknown",
    ("/api/v1/seals/log/checkpoint", 404): "seal_unknown",
    ("/api/v1/seals/log/tile/{place}", 404): "seal_unknown",
    ("/api/v1/webhook-endpoints", 422): "invalid_cursor",
    **{
        (f"/api/v1/webhook-endpoints/{{endpoint_id}}{act}", 404): "webhook_endpoint_unknown"
        for act in ("", "/roll-secret", "/redeliver")
    },
    ("/api/v1/webhook-endpoints/{endpoint_id}", 409): "webhook_endpoints_full",
    ("/api/v1/webhook-endpoints/{endpoint_id}", 422): "webhook_url",
    ("/api/v1/webhook-messages/{message_id}/redeliver", 404): "webhook_message_unknown",
    ("/api/v1/webhook-messages/{message_id}/redeliver", 409): "webhook_endpoint_deleted",
}


def add(schema: dict[str, Any]) -> None:
    """Add the words to the description."""
    known = sorted({one.code for one in codes.listed()})
    for name in ("Problem", "InsufficientCreditsProblem", "ItemProblem"):
        schema["components"]["schemas"][name]["properties"]["code"]["enum"] = known
    shapes = schema["components"]["schemas"]
    for kind in _structs(msgspec.Struct):
        if kind.__name__ in shapes and kind.__module__.startswith("app."):
            _shape(shapes[kind.__name__], kind)
    for path, item in schema["paths"].items():
        for operation in item.values():
            operation.setdefault("description", operation["summary"])
            told = _sentence(_paragraph(operation["description"]))
            operation["summary"] = _title(operation["operationId"])
            for status, answer in operation["responses"].items():
                _answer(told, answer, int(status), shapes)
                _refusal(operation, answer, int(status), path)


def _structs(above: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    for below in above.__subclasses__():
        yield below
        yield from _structs(below)


def _shape(described: dict[str, Any], kind: type[msgspec.Struct]) -> None:
    """Litestar leaves out what a struct says of itself, and that a text is an instant."""
    described["description"] = _paragraph(kind.__doc__ or "")
    for field in msgspec.structs.fields(kind):
        if field.type in (Instant, Instant | None):
            told = described["properties"][field.encode_name]
            for one in told.get("oneOf", [told]):
                if one.get("type") == "string":
                    one["format"] = "date-time"


def _answer(told: str, answer: dict[str, Any], status: int, shapes: dict[str, Any]) -> None:
    """Say what a success holds, if it says no more than its number."""
    if status >= 400 or answer["description"] != HTTPStatus(status).description:
        return
    answer["description"] = told
    for content in answer.get("content", {}).values():
        name = content["schema"].get("$ref", "").rpartition("/")[2]
        if name:
            answer["description"] = _sentence(shapes[name]["description"])


def _refusal(operation: dict[str, Any], answer: dict[str, Any], status: int, path: str) -> None:
    known = {one.code: one for one in reversed(codes.listed()) if one.status == status}
    if status < 400 or not known:
        return
    one = known.get(_code(operation, status, path)) or list(known.values())[-1]
    for content in answer["content"].values():
        problem = {
            "type": f"urn:tallybook:problem:{one.code}",
            "title": answer["description"],
            "status": one.status,
            "detail": one.meaning,
            "code": one.code,
            "retryable": one.retryable,
        }
        content.setdefault("example", problem)


def _code(operation: dict[str, Any], status: int, path: str) -> str:
    names = [one["name"] for one in operation.get("parameters", ())]
    usual = _OF_ROUTES.get((path, status)) or _USUAL.get(status)
    if usual is not None:
        return usual
    if status == 404:  # what the path names last
        return f"{path.rpartition('{')[2].partition('_id}')[0]}_unknown"
    if "Idempotency-Key" in names:
        return {409: "idempotency_key_in_flight", 422: "idempotency_key_reused"}.get(status, "")
    return "invalid_cursor" if "cursor" in names else ""


def _title(operation_id: str) -> str:
    """`place_hold` as a title; no Markdown stands in it, which pages show as it is."""
    return operation_id.replace("_", " ").capitalize().replace("stripe", "Stripe")


def _paragraph(docstring: str) -> str:
    return " ".join(docstring.partition("\n\n")[0].replace("``", "`").split())


def _sentence(text: str) -> str:
    return f"{text.partition('. ')[0].rstrip('.')}."
