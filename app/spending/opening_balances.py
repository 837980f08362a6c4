"""Accounts, their customers and their opening balances, from a file of another system.

A line's key is its account and its reference, so that the same file again changes nothing, and one
that was broken off goes on.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec

from app.accounts.put import put
from app.book import Book
from app.errors import RefusedError, TallybookError
from app.infrastructure import ids
from app.infrastructure.clock import NEVER
from app.ledger import idempotency
from app.ledger.idempotency import request_key
from app.ledger.kinds import AMOUNT_MAX
from app.operators.acts import at_the_machine
from app.spending.grants import GrantOrder, GrantSource, grant_many
from app.spending.keyed import Done, Order

CHUNK_ROWS: Final = 200
SHOWN_MAX: Final = 20
COLUMNS: Final = (
    "account_id, amount, reference, source (promotional or purchased), expires_at, "
    "stripe_customer_id, time_zone, reason"
)


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of the file. Without an amount the account is only opened and tied."""

    account_id: Annotated[str, msgspec.Meta(pattern=rf"^{ids.ACCOUNT_ID}\Z")]
    amount: Annotated[int, msgspec.Meta(ge=0, le=AMOUNT_MAX)] = 0
    # What the credits are of in the system that they come from: with the account the line's key.
    reference: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._:@|+=~/-]{1,100}\Z")] | None = (
        None
    )
    source: GrantSource = GrantSource.PROMOTIONAL
    expires_at: datetime | None = None
    stripe_customer_id: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] | None = None
    time_zone: str | None = None
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=500)] | None = None


class Imported(msgspec.Struct):
    """Counts of the lines so far, and a sentence for each that was refused."""

    opened: int = 0
    granted: int = 0
    credits: int = 0
    stood: int = 0  # granted by an earlier import of this file
    refused: list[str] = []


Line = tuple[int, Row]


async def carry_out(
    book: Book, chunk: Sequence[Line], reason: str, secret: bytes, done: Imported
) -> None:
    """Open, tie and grant what the lines say, and count it in ``done``."""
    by = at_the_machine(reason)
    wanted: list[tuple[int, GrantOrder]] = []
    lines = [(number, row, _order(row, by.actor, reason, secret)) for number, row in chunk]
    erased = await idempotency.erased(book.database, [order.order.key for *_, order in lines])
    for number, row, order in lines:
        if order.order.key.key in erased:  # nothing opens the account of a person again
            done.stood += 1
            continue
        try:
            _, new = await put(
                book, row.account_id, row.stripe_customer_id, row.time_zone, by.actor
            )
        except TallybookError as error:
            done.refused.append(f"Line {number}: {error.detail}")
            continue
        done.opened += new
        if row.amount:
            wanted.append((number, order))
    results = await grant_many(book, [order for _, order in wanted])
    for (number, order), result in zip(wanted, results, strict=True):
        if not isinstance(result, Done):
            done.refused.append(f"Line {number}: {result.detail}")
        elif result.replayed:
            done.stood += 1
        else:
            done.granted += 1
            done.credits += order.amount


def _order(row: Row, actor: str, reason: str, secret: bytes) -> GrantOrder:
    ends_at = row.expires_at
    if ends_at is not None:
        ends_at = ends_at.astimezone(UTC) if ends_at.tzinfo else ends_at.replace(tzinfo=UTC)
        ends_at = None if ends_at.year == NEVER.year else ends_at
    said = {
        "account_id": row.account_id,
        "amount": row.amount,
        "source": row.source,
        "expires_at": ends_at,
    }
    key = f"import:{row.reference}:{row.account_id}"
    return GrantOrder(
        account_id=row.account_id,
        amount=row.amount,
        source=row.source,
        expires_at=ends_at,
        order=Order(
            actor=actor,
            key=request_key(key, "CLI", "import", said, secret),
            reason=row.reason or reason,
            metadata={"reference": str(row.reference)},
        ),
    )


def read(file: Path) -> list[Line]:
    """The lines of a CSV or NDJSON file; raises RefusedError naming all that is wrong with them."""
    text = file.read_text(encoding="utf-8-sig")
    lines: list[Line] = []
    wrong: list[str] = []
    first: dict[tuple[str, str | None], int] = {}
    for number, raw in _json(text) if text.lstrip().startswith("{") else _csv(text):
        if not isinstance(raw, dict):
            wrong.append(f"line {number}: {raw if isinstance(raw, str) else 'no JSON object'}")
            continue
        try:
            row = msgspec.convert(raw, Row, strict=False)
        except msgspec.ValidationError as error:
            wrong.append(f"line {number}: {error}")
            continue
        if row.amount and row.reference is None:
            wrong.append(f"line {number}: an amount needs a reference")
        stands = first.setdefault((row.account_id, row.reference), number)
        if stands != number:
            wrong.append(f"line {number}: the account and reference of line {stands} again")
        lines.append((number, row))
    if wrong or not lines:
        shown = "\n".join(f"  - {one}" for one in wrong[:SHOWN_MAX]) or "  - it has no lines"
        more = f"\n  … and {len(wrong) - SHOWN_MAX:,} more" if len(wrong) > SHOWN_MAX else ""
        raise RefusedError(f"{file} was not imported:\n{shown}{more}\nColumns: {COLUMNS}.")
    return lines


def _json(text: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                yield number, msgspec.json.decode(line)
            except msgspec.DecodeError as error:
                yield number, f"no JSON: {error}"


def _csv(text: str) -> Iterator[tuple[int, Any]]:
    reader = csv.DictReader(io.StringIO(text), restkey="(more)", strict=True)
    try:
        for raw in reader:
            if "(more)" in raw:
                yield reader.line_num, "more cells than the first line has names"
            else:
                yield reader.line_num, {name: cell for name, cell in raw.items() if cell}
    except csv.Error as error:
        yield reader.line_num, f"no CSV: {error}"
