"""Tools for assistants: existing routes served by the Model Context Protocol, at `/mcp`.

litestar-mcp makes a tool of each route that is named here and runs it with its guards, so that a
tool may do what the caller's key may do over HTTP, and no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import msgspec
import structlog
from litestar import Request
from litestar.handlers import HTTPRouteHandler
from litestar_mcp import LitestarMCP, MCPConfig, mcp_tool

from app.infrastructure.settings import Assistants
from app.web import (
    account_acts,
    accounts,
    adjustments,
    alerts,
    balances,
    entries,
    events,
    grants,
    holds,
    ledger,
    returns,
    reversals,
    runs,
    seals,
    subscriptions,
    usage,
    verifications,
    why,
)
from app.web.http.access import ANY_KEY

PATH: Final = "/mcp"
READS: Final[Sequence[HTTPRouteHandler]] = (
    accounts.list_accounts,
    accounts.get_account,
    balances.get_balance,
    balances.explain_balance,
    why.explain_why,
    holds.list_holds,
    subscriptions.list_subscriptions,
    subscriptions.get_subscription,
    subscriptions.list_transitions,
    events.list_events,
    events.get_event,
    runs.list_runs,
    runs.get_run,
    runs.list_taken_back,
    reversals.list_reversals,
    reversals.get_reversal,
    entries.list_entries,
    entries.get_journal,
    ledger.get_trial_balance,
    ledger.get_roll_forward,
    usage.get_usage,
    alerts.list_alerts,
    seals.list_seals,
    verifications.verify,
    verifications.list_verifications,
    verifications.get_verification,
)
CORRECTIONS: Final[Sequence[HTTPRouteHandler]] = (
    reversals.reverse,
    returns.return_credits,
    grants.grant_credits,
    adjustments.adjust_balance,
    account_acts.suspend_account,
    account_acts.resume_account,
    events.replay_event,
)
INSTRUCTIONS: Final = (
    "Tallybook keeps credits of customers on an append-only ledger. Amounts are whole credits, "
    "instants are UTC. Begin with explain_why for questions such as: where did my credits go? "
    "Lists have a cursor: pass next_cursor on until it is null."
)
CORRECTING: Final = (
    " Corrections are final acts under the caller's key. Ask the person before each, reverse with "
    "dry_run first, give the person's own reason, and choose a new idempotency_key for each act; "
    "the same key again returns the first answer."
)
_KEY_HEADER: Final = "Idempotency-Key"
_KEY_ARGUMENT: Final = "idempotency_key"


def tools(serves: Assistants, openapi_json: bytes) -> LitestarMCP:
    """The plugin that serves the tools of this setting, which is not `off`.

    Each tool's arguments are those of the description, which fuzzers hold to be true.
    """
    description = msgspec.json.decode(openapi_json)
    schemas = description["components"]["schemas"]
    operations = {
        operation["operationId"]: operation
        for item in description["paths"].values()
        for operation in item.values()
    }
    for handler in (*READS, *CORRECTIONS):
        name = handler.fn.__name__
        mcp_tool(
            name,
            input_schema=_arguments(operations[name], schemas),
            annotations={"readOnlyHint": handler in READS, "openWorldHint": False},
        )(handler.fn)
    served = READS if serves == "read" else (*READS, *CORRECTIONS)
    return LitestarMCP(
        MCPConfig(
            base_path=PATH,
            name="Tallybook",
            instructions=INSTRUCTIONS + (CORRECTING if serves == "corrections" else ""),
            include_operations=[handler.fn.__name__ for handler in served],
            route_opt=ANY_KEY,
            before_tool_call=_prepare,
        )
    )


def _arguments(operation: dict[str, Any], schemas: dict[str, Any]) -> dict[str, Any]:
    """Parameters and members of the body, side by side."""
    properties, required = {}, []
    for parameter in operation.get("parameters", []):
        name = parameter["name"]
        name = _KEY_ARGUMENT if name == _KEY_HEADER else name
        properties[name] = _inlined(parameter["schema"], schemas)
        if "description" in parameter:
            properties[name]["description"] = parameter["description"]
        if parameter.get("required"):
            required.append(name)
    body = operation.get("requestBody")
    if body is not None:
        schema = _inlined(body["content"]["application/json"]["schema"], schemas)
        schema = next(one for one in (schema, *schema.get("oneOf", ())) if "properties" in one)
        properties |= schema["properties"]
        required += schema.get("required", [])  # also where a person may leave the body out
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _inlined(node: Any, schemas: dict[str, Any]) -> Any:
    """The schema without references: a tool's stands by itself."""
    if isinstance(node, list):
        return [_inlined(one, schemas) for one in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        return _inlined(schemas[node["$ref"].rsplit("/", 1)[1]], schemas)
    return {name: _inlined(one, schemas) for name, one in node.items()}


def _prepare(name: str, arguments: dict[str, Any], request: Request[Any, Any, Any]) -> None:
    """Name the tool in the log line, and mend what the library makes of two kinds of arguments.

    It sends a null as the word None, and the idempotency key, which is a header, in the query.
    """
    structlog.contextvars.bind_contextvars(tool=name)
    scope = request.scope
    query = [
        (each, value)
        for each, value in parse_qsl(scope["query_string"].decode(), keep_blank_values=True)
        if each not in (_KEY_HEADER, _KEY_ARGUMENT) and arguments.get(each, value) is not None
    ]
    scope["query_string"] = urlencode(query).encode()
    key = arguments.get(_KEY_ARGUMENT)
    if isinstance(key, str):
        header = (_KEY_HEADER.lower().encode(), key.encode())
        scope["headers"] = [*scope["headers"], header]
