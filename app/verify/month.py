"""Check a month, and write the pack that an accountant keeps."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from app.audit import export
from app.audit.entries import EntryQuery
from app.audit.export import Form
from app.audit.horizon import Horizons
from app.audit.roll_forward import Flows, RollForward, roll_forward
from app.audit.trial_balance import TrialBalance, trial_balance
from app.errors import RefusedError
from app.infrastructure import sql
from app.infrastructure.db import Database, Record
from app.usage.report import By, UsageQuery, usage
from app.verify.verify import verifying

if TYPE_CHECKING:
    from app.verify import row_types


_SQL: Final[row_types.MonthSql] = sql.beside(__file__)
_MICROSECOND: Final = timedelta(microseconds=1)
PAGE_ROWS: Final = 1_000
FLOWS: Final = Flows.__struct_fields__
USAGE: Final = (
    *("granted", "purchased", "refunded", "spent", "returned", "expired"),
    *("reversed", "adjusted", "transferred"),
)


class Check(msgspec.Struct, frozen=True):
    """A line of the report: a rule, and the finding. With ``holds`` None it is a warning."""

    name: str
    found: str
    holds: bool | None

    @property
    def word(self) -> str:
        """As the report says it."""
        return {True: "yes", False: "NO", None: "look"}[self.holds]


class Closed(msgspec.Struct, frozen=True, kw_only=True):
    """The pack as written: the month's movements, the checks, and the files' SHA-256 by name."""

    moved: RollForward
    checks: Sequence[Check]
    sums: Mapping[str, str]


async def close_month(
    database: Database, month: str, folder: Path, form: Form, watch: Callable[[str], None]
) -> Closed:
    """Check the month and write its pack into the folder, the entries in this form.

    ``watch`` is told what begins. Raises RefusedError for a month that is not complete yet, and for
    a folder that has files.
    """
    start, end = month_of(month)
    if await asyncio.to_thread(lambda: folder.exists() and any(folder.iterdir())):
        raise RefusedError(f"{folder} has files already: name another with --output.")
    horizons = Horizons()
    about = await database.fetchrow(_SQL["book"](end=end))
    assert about is not None
    horizon = await horizons.find(database)
    if horizon.complete_to < end - _MICROSECOND:
        raise RefusedError(
            f"{month} is complete after {_instant(end)}; the book is complete to "
            f"{_instant(horizon.complete_to)}."
        )
    moved = await roll_forward(database, horizons, start, end, by_lot_source=True, by_tier=True)
    stood = await trial_balance(database, horizons, end - _MICROSECOND)
    watch("verifying")
    checks = await _checks(database, start, end, moved, stood)
    tiers = await _by_tier(database, start, end)
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    files = {
        "roll-forward.csv": _csv(
            ("lot_source", *FLOWS),
            _forward(moved, {one.lot_source: one for one in moved.by_lot_source or ()}),
        ),
        "roll-forward-by-tier.csv": _csv(
            ("tier", *FLOWS), _forward(moved, {one.tier: one for one in moved.by_tier or ()})
        ),
        "trial-balance.csv": _csv(
            ("account", "debits", "credits", "balance"),
            (msgspec.structs.astuple(line) for line in stood.lines),
        ),
        "usage-by-tier.csv": _csv(
            ("tier", *USAGE), ((row["tier"], *(row[flow] for flow in USAGE)) for row in tiers)
        ),
        "checks.csv": _csv(
            ("check", "found", "holds"), ((one.name, one.found, one.word) for one in checks)
        ),
        "README.txt": _about(month, about, moved).encode(),
    }
    watch("exporting")
    query = EntryQuery(recorded_from=start, recorded_to=end)
    sums = await _write(database, folder, files, query, form)
    return Closed(moved=moved, checks=checks, sums=sums)


def month_of(text: str) -> tuple[datetime, datetime]:
    """A month such as 2026-11, in UTC; raises RefusedError."""
    try:
        start = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
    except ValueError:
        raise RefusedError(f"{text!r} is no month such as 2026-11.") from None
    return start, (start + timedelta(days=32)).replace(day=1)


async def _checks(
    database: Database, start: datetime, end: datetime, moved: RollForward, stood: TrialBalance
) -> list[Check]:
    runs = await database.fetchrow(_SQL["runs"](start=start.date(), end=end.date()))
    events = await database.fetchrow(_SQL["events"](start=start, end=end))
    assert runs is not None
    assert events is not None
    wrong: list[str] = []
    count = 0
    async with aclosing(verifying(database)) as verified:
        async for check in verified:
            count += 1
            wrong += [f"{check.name}: {one}" for one in check.differences]
    shown = "; ".join(wrong[:3]) or "no difference"
    lines = (moved, *(moved.by_lot_source or ()), *(moved.by_tier or ()))
    closes = all(map(_closes, lines))
    return [
        Check("the ledger verifies", f"{count} checks, {shown}", not wrong),
        Check("the roll-forward closes", f"{moved.opening:,} to {moved.closing:,}", closes),
        Check(
            "the trial balance is equal",
            f"{stood.debits:,} and {stood.credits:,}",
            stood.debits == stood.credits,
        ),
        Check(
            "every run is done", f"{runs['runs']:,} runs, {runs['going']} going", not runs["going"]
        ),
        Check("no grant failed", f"{runs['failed']:,}", not runs["failed"]),
        Check(
            "every day was opened",
            f"{runs['not_opened']:,} not",
            None if runs["not_opened"] else True,
        ),
        Check("no event waits", f"{events['queued']:,} queued", not events["queued"]),
        Check("no event is parked", f"{events['parked']:,}", _or_look(events["parked"])),
    ]


def _or_look(count: int) -> bool | None:
    return None if count else True


def _closes(one: RollForward | Flows) -> bool:
    came = one.opening + one.granted + one.purchased - one.spent + one.returned - one.refunded
    signed = one.adjusted + one.transferred + one.reversed - one.expired
    repaid = one.repaid if isinstance(one, Flows) else 0
    return came + signed + repaid == one.closing


async def _by_tier(database: Database, start: datetime, end: datetime) -> Sequence[Record]:
    query = UsageQuery(by=(By.TIER,), start=start.date(), end=end.date())
    return (await usage(database, query, None, PAGE_ROWS)).rows


def _forward(moved: RollForward, lines: Mapping[str, Flows]) -> Iterable[Sequence[object]]:
    for name, one in {"all": moved, **lines}.items():
        yield (name, *(getattr(one, flow, 0) for flow in FLOWS))


def _instant(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def _csv(names: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([names, *rows])
    return text.getvalue().encode()


def _about(month: str, about: row_types.MonthBook, moved: RollForward) -> str:
    return f"""\
The books of {month}, by recorded_at from {_instant(moved.start)} to before {_instant(moved.end)}.
Written {_instant(about["now"])}; epoch {about["epoch"]}, catalogue {about["catalogue_id"]}.

roll-forward.csv   opening + granted + purchased - spent + returned - refunded - expired + adjusted
                   + transferred + reversed + repaid = closing, for each source of credits, for what
                   is owed (debt) and for all. Expired of purchased is breakage; its closing is what
                   was paid for and not used: deferred.
roll-forward-by-tier.csv
                   the same for the days that were opened under each tier, for the lots that are of
                   no day (none), for what is owed (debt) and for all
trial-balance.csv  every side and house account as it stood at the month's end; the totals are equal
usage-by-tier.csv  the same flows by tier, by the accounts' own days: near, not equal to, the above
entries.csv        every entry of the month; its last line has their count and their SHA-256
checks.csv         what was checked when this was written

To check that no file was changed:   sha256sum -c SHA256SUMS
"""


async def _write(
    database: Database, folder: Path, files: dict[str, bytes], query: EntryQuery, form: Form
) -> dict[str, str]:
    """Write the files and their checksums; the checksums."""
    sums = {}
    for name, content in files.items():
        await asyncio.to_thread((folder / name).write_bytes, content)
        sums[name] = hashlib.sha256(content).hexdigest()
    digest = hashlib.sha256()
    horizon = await Horizons().find(database)
    chunks = export.stream(database, horizon, query, form)
    target = await asyncio.to_thread((folder / "entries.csv").open, "wb")
    try:
        async with aclosing(chunks):
            async for chunk in chunks:
                digest.update(chunk)
                await asyncio.to_thread(target.write, chunk)
    finally:
        target.close()
    sums["entries.csv"] = digest.hexdigest()
    lines = "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))
    await asyncio.to_thread((folder / "SHA256SUMS").write_text, lines)
    return sums
