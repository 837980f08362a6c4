"""What tells of an account's last days reads those, however long its history is."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import date, timedelta

from app.audit import entries
from app.audit.entries import EntryQuery
from app.audit.explain import explain
from app.audit.horizon import Horizons
from app.infrastructure.db import Database
from app.usage.report import By, UsageQuery, usage
from tests.acts import DAY, Acts
from tests.api_client import Api
from tests.audit.busy_ledger import BusyLedger
from tests.conftest import NOW

READ = """
SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)
  FROM pg_stat_xact_user_tables WHERE relname = 'entries'
"""


async def entries_read(database: Database, look: Awaitable[object]) -> int:
    """How many rows of entries it reads; it runs in this task's transaction."""
    await database.execute("SET LOCAL enable_seqscan = off")  # the table is small
    before: int = await database.fetchval(READ)
    await look
    after: int = await database.fetchval(READ)
    return after - before


async def reads(database: Database, day: date) -> dict[str, int]:
    """What each look at the account's last day reads, and at what it has now."""
    horizons = Horizons()
    horizon = await horizons.find(database)
    owners = await entries.of_account(database, "ada")
    days = UsageQuery(by=(By.DAY,), start=day, of_account=owners)
    accounts = UsageQuery(by=(By.ACCOUNT,), start=day)
    newest = EntryQuery(of_account=owners, order="desc")
    found = {}
    for name, look in (
        ("usage of one account", lambda: usage(database, days, None, 100)),
        ("usage by account", lambda: usage(database, accounts, None, 100)),
        ("explain", lambda: explain(database, horizons, "ada", None)),
        ("explain as of", lambda: explain(database, horizons, "ada", horizon.complete_to)),
        ("entries", lambda: entries.page(database, horizons, newest, None, 5)),
    ):
        async with database.transaction():
            found[name] = await entries_read(database, look())
    return found


async def test_no_look_at_the_last_days_reads_the_days_before(api: Api, database: Database) -> None:
    ada = Acts(api, "ada")
    assert (await api.put("/api/v1/accounts/ada", {})).status_code == 201
    counts = []
    for number in range(24):
        await ada.spend(1)
        await ada.spend(1)
        await api.set_clock(NOW + DAY * (number + 1))
        if number in (5, 23):
            await ada.spend(1)
            counts.append(await reads(database, (NOW + DAY * (number + 1)).date()))
    short, long = counts
    assert all(short.values()), short
    assert long == short


async def test_usage_from_a_day_on_is_the_rest_of_all_usage(busy: BusyLedger) -> None:
    """In whatever zone the accounts' days are, and however late an entry comes."""
    whole = await rows(busy.api, {})
    days = sorted({row["day_on"] for row in whole})
    assert len(days) > 1
    for day in [*days, str(date.fromisoformat(days[-1]) + timedelta(days=1))]:
        rest = [row for row in whole if str(row["day_on"]) >= str(day)]
        assert await rows(busy.api, {"from": str(day)}) == rest


async def rows(api: Api, given: dict[str, str]) -> list[dict[str, object]]:
    answer = await api.get("/api/v1/usage", by="account,day,tier", limit="1000", **given)
    assert answer.status_code == 200, answer.text
    assert answer.json()["next_cursor"] is None
    return list(answer.json()["data"])
