"""An account's day in memory, without a database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from app.allowance.catalogue import Catalogue, parse
from app.allowance.day import AccountDay
from app.allowance.entitlement import Giving
from app.allowance.origin import Origin
from app.ledger.kinds import Act
from app.ledger.sheet import JournalDraft, Sheet

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ORIGIN = Origin("test", "test")
CREDITS = {"FREE": 5, "PRO": 20, "ENTERPRISE": 50}


def catalogue(carry_over_max: int = 0) -> Catalogue:
    """FREE, PRO and ENTERPRISE."""
    tiers = "".join(
        f"[tiers.{name}]\ndaily_credits = {credits}\nprices = []\n"
        f"carry_over_max = {carry_over_max}\n"
        for name, credits in CREDITS.items()
    )
    return parse(tiers, "tiers.toml")


def opened_day(
    *givings: Giving, now: datetime = NOON, zone: str = "UTC", carry_over_max: int = 0
) -> AccountDay:
    """A new account whose first day has just been opened."""
    known = catalogue(carry_over_max)
    day = AccountDay(
        sheet=Sheet(1, 0, 0, 0, [], now),
        tier="FREE",
        time_zone=zone,
        day=None,
        opening=1,
        lot=None,
        carried=None,
        used_brought=0,
        due_at=now,
        closed_at=None,
        catalogue=known,
        catalogue_id=1,
        day_catalogue=known,
        day_catalogue_id=1,
        givings=givings,
        withdrawn=False,
        posted_to=now,
    )
    day.open_first_day(ORIGIN)
    return day


def entitle(day: AccountDay, *givings: Giving) -> None:
    """The subscriptions give this from now on."""
    day.givings = givings
    day.entitle(day.now, ORIGIN)


def move_to(day: AccountDay, now: datetime) -> None:
    """The clock moves, and what is due by then is posted."""
    day.sheet.now = now
    day.post_due(ORIGIN)


def spend(day: AccountDay, amount: int) -> None:
    """Raises InsufficientCreditsError."""
    journal = JournalDraft(Act.SPEND, "test", "test", day.now)
    day.sheet.spend(journal, amount, day.next_grant_at)
    day.sheet.begin(journal)


def acts(day: AccountDay) -> Sequence[tuple[str, int]]:
    """(kind of the entry, amount) of all that was drafted, in order."""
    return [(str(entry.kind), entry.amount) for _, entry in day.sheet.drafted]
