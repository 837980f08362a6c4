"""One line of all that happened to an account: journals, subscriptions' steps, operators' acts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from app.audit import cursor as cursors
from app.audit import entries
from app.audit.entries import EntryQuery, OfAccount
from app.audit.horizon import Horizons
from app.infrastructure import ids, sql
from app.infrastructure.clock import NEVER
from app.infrastructure.db import Database, Record

if TYPE_CHECKING:
    from app.audit.row_types import EntriesOfJournal
    from app.console import row_types


ENTRIES_MAX: Final = 150  # of one page
OTHERS_MAX: Final = 100
_FIRST: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_SQL: Final[row_types.AccountSql] = sql.beside(Path(__file__).with_name("account.sql"))

# What each kind of journal is, as people call it, and its tone.
_JOURNALS: Final = {
    "opening": ("Day opened", "good"),
    "top_up": ("Allowance went up", "good"),
    "trim": ("Allowance went down", "warn"),
    "expiry": ("Expired", ""),
    "grant": ("Granted", "good"),
    "spend": ("Spent", ""),
    "hold": ("Held", "note"),
    "extend": ("Hold extended", "note"),
    "capture": ("Captured", ""),
    "part_capture": ("Captured in part", ""),
    "release": ("Released", "note"),
    "purchase": ("Bought", "good"),
    "refund": ("Refunded", "warn"),
    "freeze": ("Frozen by a dispute", "warn"),
    "unfreeze": ("Dispute ended", "good"),
    "adjustment": ("Adjusted", "warn"),
    "transfer": ("Moved", "note"),
    "return": ("Returned", "good"),
    "reversal": ("Reversed", "warn"),
}
# How the kinds of its entries are told: what moved.
_MOVED: Final = {
    "grant": "granted",
    "spend": "spent",
    "expiry": "expired",
    "hold": "held",
    "release": "released",
    "purchase": "bought",
    "refund": "refunded",
    "freeze": "frozen",
    "unfreeze": "thawed",
    "repayment": "repaid to the debt",
    "adjustment": "adjusted",
    "transfer": "moved",
    "return": "returned",
    "reversal": "reversed",
    "write_off": "written off",
}


class Happened(msgspec.Struct, frozen=True, kw_only=True):
    """One thing on the line. ``change`` and ``balance`` are None where no credits are told of."""

    at: datetime
    recorded_at: datetime
    title: str
    tone: str
    told: str
    change: int | None = None
    balance: int | None = None
    journal_id: str | None = None
    event_id: str | None = None
    run_id: str | None = None
    actor: str | None = None
    reason: str | None = None
    label: str | None = None


class Line(msgspec.Struct, frozen=True):
    """A page of it, the newest first; the next begins at the cursor, recorded until then."""

    happened: list[Happened]
    next_cursor: str | None
    until: datetime | None


async def line(
    database: Database,
    horizons: Horizons,
    account: OfAccount,
    cursor: str | None,
    until: datetime | None,
) -> Line:
    """One page; raises InvalidCursorError."""
    query = EntryQuery(of_account=account, order="desc")
    page = await entries.page(database, horizons, query, cursor, ENTRIES_MAX)
    journals = [list(rows) for _, rows in groupby(page.rows, key=lambda row: row["journal_id"])]
    next_cursor = page.next_cursor
    if next_cursor is not None and len(journals) > 1:
        # The last one may go on beyond this page: the next begins with it.
        journals.pop()
        next_cursor = cursors.encode(str(journals[-1][-1]["id"]), query.asked)
    after = journals[-1][-1]["recorded_at"] if next_cursor else _FIRST
    asked = {
        "account_ids": list(account.numbers),
        "after": after,
        "until": until or NEVER,
        "limit": OTHERS_MAX,
    }
    steps = await database.fetch(_SQL["transitions"](**asked))
    acts = await database.fetch(_SQL["acts"](**asked))
    happened = [
        *map(_journal, journals),
        *map(_step, steps),
        *map(_act, acts),
    ]
    # A stable sort: within one instant journals keep their order.
    happened.sort(key=lambda one: one.recorded_at, reverse=True)
    return Line(happened, next_cursor, after if next_cursor else None)


def grouped(happened: Sequence[Happened]) -> list[list[Happened]]:
    """The line with days alike, one after another, as one: who looks for a change finds it."""
    groups: list[list[Happened]] = []
    for one in happened:
        if groups and _alike(groups[-1][-1], one):
            groups[-1].append(one)
        else:
            groups.append([one])
    return groups


def _alike(one: Happened, other: Happened) -> bool:
    opened = one.title == other.title == journal_title("opening")
    return opened and (one.told, one.balance) == (other.told, other.balance)


def journal_title(kind: str) -> str:
    """Return the everyday name of a kind of journal."""
    return _JOURNALS.get(kind, (kind, ""))[0]


def _journal(rows: Sequence[Record]) -> Happened:
    newest, oldest = rows[0], rows[-1]
    title, tone = _JOURNALS.get(newest["journal_kind"], (newest["journal_kind"], ""))
    return Happened(
        at=max(row["effective_at"] for row in rows),
        recorded_at=oldest["recorded_at"],
        title=title,
        tone=tone,
        told=moved(rows),
        change=sum(row["change"] for row in rows),
        balance=newest["balance_after"],
        journal_id=ids.public(ids.JOURNAL, newest["journal_id"]),
        event_id=newest["event_id"],
        run_id=None if newest["run_id"] is None else ids.public(ids.RUN, newest["run_id"]),
        actor=newest["actor"],
        reason=newest["reason"],
        label=newest["label"],
    )


def moved(rows: Iterable[EntriesOfJournal]) -> str:
    """Return a journal's movements, such as `20 granted, 3 expired`; carried credits net to 0."""
    sums: dict[str, int] = {}
    for row in rows:
        if row["kind"] != "transfer" or row["change"] > 0:
            sums[row["kind"]] = sums.get(row["kind"], 0) + row["amount"]
    return ", ".join(f"{amount:,} {_MOVED.get(kind, kind)}" for kind, amount in sums.items())


def _step(row: Record) -> Happened:
    before = row["from_state"]
    went = f"{before} to {row['to_state']}" if before else f"began as {row['to_state']}"
    tones = {"active": "good", "past_due": "warn", "canceled": "bad"}
    return Happened(
        at=row["effective_at"],
        recorded_at=row["recorded_at"],
        title="Subscription",
        tone=tones.get(row["to_state"], "note"),
        told=f"{went} by {row['trigger']}: ".replace("_", " ") + str(row["subscription_id"]),
        event_id=row["event_id"],
    )


def _act(row: Record) -> Happened:
    return Happened(
        at=row["at"],
        recorded_at=row["at"],
        title="Operator",
        tone="warn",
        told=str(row["act"]).replace("_", " "),
        actor=row["actor"],
        reason=row["reason"],
    )
