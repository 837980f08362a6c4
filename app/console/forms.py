"""Read forms of acts, and queries; an empty field counts as not given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Annotated, Any, Final, TypeVar

import msgspec
from litestar import Request

from app.console.frame import address
from app.errors import InvalidRequestError
from app.infrastructure.db import Database
from app.ledger import idempotency
from app.ledger.idempotency import RequestKey, request_key
from app.operators.acts import Operator
from app.spending.keyed import Order
from app.web.http.access import caller
from app.web.http.acts import Reason
from app.web.http.patterns import ACCOUNT_ID, CURSOR, KEY, in_words

Query = TypeVar("Query", bound=msgspec.Struct)
Result = TypeVar("Result")
CONFIRM: Final = "confirm"
Choice = Annotated[str, msgspec.Meta(max_length=100)]
CursorText = Annotated[str, msgspec.Meta(pattern=CURSOR)]
AccountText = Annotated[str, msgspec.Meta(pattern=ACCOUNT_ID)]
ActKey = Annotated[str, msgspec.Meta(pattern=KEY, min_length=1, max_length=255)]
# Of each form, but no part of what is asked for: so they are left out of the request's hash.
_OF_THE_FORM: Final = ("form_token", "act_key", "step")


class Form(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Root of all forms: the session's token, which the guard has judged."""

    form_token: str = ""


class ActForm(Form, frozen=True, kw_only=True):
    """Root of the forms of acts: why, the key drawn into the form, and whether it is agreed to."""

    reason: Reason
    act_key: ActKey
    step: Choice = ""

    @property
    def confirmed(self) -> bool:
        """Return whether what the act comes to was shown, and agreed to."""
        return self.step == CONFIRM

    @property
    def asked(self) -> dict[str, object]:
        """Return what is asked for."""
        fields = msgspec.to_builtins(self)
        return {
            name: value
            for name, value in fields.items()
            if name not in _OF_THE_FORM and value not in (None, "", False)
        }

    @property
    def kept(self) -> dict[str, object]:
        """The fields that are sent again when it is agreed to."""
        told = {name: "true" if value is True else value for name, value in self.asked.items()}
        return {**told, "act_key": self.act_key, "step": CONFIRM}


def query(request: Request[Any, Any, Any], kind: type[Query]) -> Query:
    """Read the query; raises InvalidRequestError that names the field."""
    given = {
        name: value.strip()
        for name, value in request.query_params.multi_items()
        if value.strip() and "\0" not in value
    }
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidRequestError(in_words(str(error), kind)) from None


def names_of(kind: type[msgspec.Struct]) -> tuple[str, ...]:
    """The names of the query that a page reads so."""
    return kind.__struct_encode_fields__


def sent(asked: msgspec.Struct) -> dict[str, str]:
    """Return the confirmed wishes in the form of a query."""
    told = {name: value for name, value in msgspec.to_builtins(asked).items() if value is not None}
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in told.items()
    }


def pages(path: str, asked: dict[str, str], next_cursor: str | None) -> dict[str, Any]:
    """The addresses of a list's next page and of its first, where there are others."""
    others = {name: value for name, value in asked.items() if name != "cursor"}
    return {
        "next_path": address(path, **others, cursor=next_cursor) if next_cursor else None,
        "first_path": address(path, **others) if "cursor" in asked else None,
    }


def looked(rows: Sequence[object], most: int, next_cursor: str | None, looked_max: int) -> int:
    """Return how many rows were looked at if the page ended before it was full, else 0."""
    return looked_max if next_cursor is not None and len(rows) < most else 0


def choices(values: Iterable[object]) -> list[tuple[str, str]]:
    """A filter's choices, with their words; the first filters nothing."""
    return [("", "any"), *((str(one), str(one).replace("_", " ")) for one in values)]


def keyed(request: Request[Any, Any, Any], act: ActForm) -> RequestKey:
    """The idempotency key that was drawn into the form, and what is asked for under it."""
    secret = request.app.state.key_secret
    return request_key(act.act_key, "POST", request.url.path, act.asked, secret)


def order(request: Request[Any, Any, Any], act: ActForm) -> Order:
    """The act as the use cases take it."""
    return Order(actor=caller(request).id, key=keyed(request, act), reason=act.reason)


def operator(request: Request[Any, Any, Any], act: ActForm) -> Operator:
    """Return who acts, and why."""
    return Operator(actor=caller(request).id, reason=act.reason)


async def once(
    request: Request[Any, Any, Any], act: ActForm, do: Callable[[Operator], Awaitable[Result]]
) -> Result | None:
    """Do an act that records itself by this operator, in one transaction; None if it was before.

    For acts that keep no key of their own. Raises KeyReusedError.
    """
    key = keyed(request, act)
    database: Database = request.app.state.book.database
    async with database.transaction():
        if await idempotency.stored_for_operator(database, key) is not None:
            return None
        by = operator(request, act)
        return await do(msgspec.structs.replace(by, key=(key.key, key.request_hash)))


def instant(text: str | None, zone: tzinfo, name: str) -> datetime | None:
    """An instant as people write it: without an offset it is meant in their zone."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRequestError(
            f"{name}: {text!r} is no instant such as 2026-01-31T18:00 or 2026-01-31."
        ) from None
    local = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    try:
        return local.astimezone(UTC)
    except OverflowError:
        raise InvalidRequestError(f"{name}: {text!r} is too far away.") from None
