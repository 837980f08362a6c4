"""Days as accounts live them: ticks, outages, midnight, graces, zones, carried credits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from app.allowance.catalogue import default_text
from app.jobs.tick import tick
from app.runs.plan import planned
from tests.api_client import Api
from tests.as_owner import apply_tiers
from tests.conftest import NOW
from tests.invariants import differences
from tests.stripe_events import make_subscription_event

ENTERPRISE = "price_enterprise_monthly"
ELEVEN = NOW + timedelta(hours=11)


@pytest.fixture
async def pro(api) -> Api:
    """The service with a PRO account, user-1."""
    await api.put("/api/v1/accounts/user-1", {"stripe_customer_id": "cus_1"})
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    return api


async def available(api: Api, account_id: str = "user-1") -> int:
    return int((await api.account(account_id))["available"])


async def days(database) -> list[tuple[str, int]]:
    """(date, credits) of every account-day that was opened."""
    rows = await database.fetch("SELECT * FROM daily_grants ORDER BY starts_at, account_id")
    return [(str(row["day_on"]), row["credits"]) for row in rows]


async def days_of(database, external_id: str) -> list[str]:
    rows = await database.fetch(
        """SELECT daily_grants.day_on FROM daily_grants JOIN accounts ON accounts.id = account_id
            WHERE external_id = $1 ORDER BY daily_grants.starts_at""",
        external_id,
    )
    return [str(row["day_on"]) for row in rows]


# Outages


@pytest.mark.parametrize("missed", [1, 2, 7, 40])
async def test_after_an_outage_the_next_spend_posts_what_is_due_first(
    pro, database, missed
) -> None:
    await pro.spend("user-1", 6, "key-1")
    await pro.set_clock(NOW + timedelta(days=missed), tick=False)
    account = await pro.account("user-1")
    assert (account["available"], account["free"], account["balance"]) == (20, 14, 14)
    assert len(await days(database)) == 1  # reading wrote nothing
    spent = await pro.spend("user-1", 3, "key-2")
    assert (spent.status_code, spent.json()["available"]) == (201, 17)
    today = (NOW + timedelta(days=missed)).date()
    assert await days(database) == [("2026-01-01", 5), (str(today), 20)]
    rows = await database.fetch("SELECT kind, amount, effective_at FROM entries ORDER BY id DESC")
    assert [(row["kind"], row["amount"]) for row in rows[:3]] == [
        ("spend", 3),
        ("grant", 20),
        ("expiry", 14),
    ]
    assert rows[2]["effective_at"] == datetime(2026, 1, 2, tzinfo=UTC)
    assert rows[1]["effective_at"] == datetime(today.year, today.month, today.day, tzinfo=UTC)
    await pro.set_clock(NOW + timedelta(days=missed, hours=1))
    assert await available(pro) == 17
    assert await differences(database) == []


async def test_a_refused_spend_past_midnight_keeps_what_was_due(pro, database) -> None:
    await pro.set_clock(NOW + timedelta(days=1), tick=False)
    refused = await pro.spend("user-1", 21, "key-1")
    assert (refused.status_code, refused.json()["available"]) == (402, 20)
    assert await days(database) == [("2026-01-01", 5), ("2026-01-02", 20)]
    assert await database.fetchval("SELECT count(*) FROM journals WHERE kind = 'spend'") == 0
    assert (await pro.account("user-1"))["balance"] == 20


async def test_midnight_is_no_gap(pro, database) -> None:
    midnight = datetime(2026, 1, 2, tzinfo=UTC)
    await pro.set_clock(midnight - timedelta(microseconds=1), tick=False)
    assert (await pro.spend("user-1", 20, "key-1")).status_code == 201
    await pro.set_clock(midnight, tick=False)
    assert await available(pro) == 20
    assert (await pro.spend("user-1", 20, "key-2")).status_code == 201
    assert await available(pro) == 0
    assert await differences(database) == []


async def test_a_day_used_up_can_still_be_upgraded(pro, database) -> None:
    await pro.spend("user-1", 20, "key-1")
    upgrade = make_subscription_event("evt_2", "updated", NOW, price=ENTERPRISE, previous={})
    await pro.deliver(upgrade)
    assert await available(pro) == 30
    await pro.spend("user-1", 30, "key-2")
    await pro.set_clock(NOW + timedelta(days=1))
    assert await available(pro) == 50
    assert await differences(database) == []


async def test_flipping_tiers_within_a_day_gains_nothing(pro, database) -> None:
    await pro.spend("user-1", 12, "key-1")
    for n in range(6):
        price = "price_pro_monthly" if n % 2 else ENTERPRISE
        at = NOW + timedelta(seconds=n + 1)
        await pro.deliver(
            make_subscription_event(f"evt_f{n}", "updated", at, price=price, previous={})
        )
        assert await available(pro) == (8 if n % 2 else 38)
    await pro.deliver(make_subscription_event("evt_9", "deleted", NOW + timedelta(seconds=9)))
    assert await available(pro) == 0
    again = make_subscription_event("evt_10", "created", NOW + timedelta(10), subscription="sub_2")
    await pro.deliver(again)
    assert await available(pro) == 8
    assert await differences(database) == []


async def test_the_database_refuses_a_second_opening_of_a_day(pro, database) -> None:
    with pytest.raises(asyncpg.UniqueViolationError, match="daily_grants_pkey"):
        await database.execute(
            """INSERT INTO daily_grants (account_id, day_on, opening, starts_at, ends_at,
                   time_zone, tier, credits, previous_on, lot_id, run_id, recorded_at)
               SELECT account_id, day_on, opening, starts_at, ends_at, time_zone, tier, credits,
                      previous_on, lot_id, run_id, recorded_at FROM daily_grants"""
        )


async def test_a_closed_account_gets_no_grants(pro, database) -> None:
    await database.execute("UPDATE accounts SET closed_at = tallybook_now()")
    await pro.set_clock(NOW + timedelta(days=3))
    account = await pro.account("user-1")
    assert (account["available"], account["next_grant_at"]) == (0, None)
    assert len(await days(database)) == 1


# Grace


async def past_due(api: Api) -> datetime:
    """The subscription falls due now; returns when its grace ends."""
    await api.deliver(
        make_subscription_event("evt_due", "updated", NOW, status="past_due", previous={})
    )
    assert await available(api) == 20
    return NOW + timedelta(days=7)


async def test_a_tick_finds_the_end_of_a_grace(pro, database) -> None:
    ends_at = await past_due(pro)
    await pro.set_clock(ends_at - timedelta(minutes=1))
    await pro.spend("user-1", 2, "key-1")
    assert await available(pro) == 18
    await pro.set_clock(ends_at)
    account = await pro.account("user-1")
    assert (account["tier"], account["state"]) == ("FREE", "past_due")
    assert (account["available"], account["balance"]) == (3, 3)
    assert await differences(database) == []


async def test_a_spend_finds_the_end_of_a_grace(pro, database) -> None:
    ends_at = await past_due(pro)
    await pro.set_clock(ends_at - timedelta(minutes=1))
    await pro.set_clock(ends_at, tick=False)
    account = await pro.account("user-1")
    assert (account["tier"], account["available"], account["balance"]) == ("FREE", 5, 20)
    refused = await pro.spend("user-1", 6, "key-1")
    assert (refused.status_code, refused.json()["available"]) == (402, 5)
    assert (await pro.account("user-1"))["balance"] == 5
    trim = await database.fetchrow("SELECT * FROM entries ORDER BY id DESC LIMIT 1")
    assert (trim["kind"], trim["amount"], trim["effective_at"]) == ("expiry", 15, ends_at)
    assert await differences(database) == []


async def test_a_grace_that_ended_in_an_outage_is_over_when_the_day_opens(pro, database) -> None:
    await past_due(pro)
    await pro.set_clock(NOW + timedelta(days=30), tick=False)
    assert await available(pro) == 5
    assert (await pro.spend("user-1", 5, "key-1")).status_code == 201
    assert (await days(database))[-1] == ("2026-01-31", 5)
    assert await differences(database) == []


async def test_paying_within_the_grace_leaves_no_trace_in_the_credits(pro, database) -> None:
    await past_due(pro)
    before = await database.fetchval("SELECT count(*) FROM entries")
    paid = make_subscription_event("evt_p", "updated", NOW + timedelta(seconds=5), previous={})
    await pro.deliver(paid)
    assert await database.fetchval("SELECT count(*) FROM entries") == before
    await pro.set_clock(NOW + timedelta(days=9))
    assert await available(pro) == 20


# Carrying over


async def test_what_is_left_of_yesterday_is_carried_and_burns_first(api, book, database) -> None:
    text = default_text().replace("carry_over_max = 0", "carry_over_max = 25")
    await apply_tiers(book, text)
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    await api.spend("cus_1", 13, "key-1")
    await api.set_clock(NOW + timedelta(days=1))
    assert await available(api, "cus_1") == 20 + 7
    await api.set_clock(NOW + timedelta(days=2))
    account = await api.account("cus_1")
    assert [(lot["source"], lot["free"]) for lot in account["lots"]] == [
        ("carried", 25),
        ("daily", 20),
    ]
    spent = await api.spend("cus_1", 30, "key-3")
    assert len(spent.json()["entries"]) == 2  # 25 carried, 5 of the day's own
    await api.set_clock(NOW + timedelta(days=4), tick=False)
    assert await available(api, "cus_1") == 20 + 15  # a day between was not opened
    await api.spend("cus_1", 1, "key-4")
    transfers = "SELECT sum(amount) FROM entries WHERE kind = 'transfer' AND credit = 'free'"
    assert await database.fetchval(transfers) == 7 + 25 + 15
    assert await differences(database) == []


async def test_changed_amounts_count_from_the_next_day(pro, book, database) -> None:
    text = default_text().replace("daily_credits = 20", "daily_credits = 70")
    await apply_tiers(book, text)
    assert await available(pro) == 20
    upgrade = make_subscription_event("evt_2", "updated", NOW, price=ENTERPRISE, previous={})
    await pro.deliver(upgrade)
    await pro.set_clock(NOW + timedelta(days=1))
    assert await available(pro) == 50
    back = make_subscription_event("evt_3", "updated", NOW + timedelta(days=1), previous={})
    await pro.deliver(back)
    assert await available(pro) == 70


async def test_a_changed_grace_counts_from_the_next_day(pro, book) -> None:
    await past_due(pro)
    await pro.set_clock(NOW + timedelta(days=1))
    text = default_text().replace("past_due_grace_days = 7", "past_due_grace_days = 0")
    await apply_tiers(book, text)
    assert await available(pro) == 20
    await pro.set_clock(NOW + timedelta(days=2))
    assert await available(pro) == 5


async def test_a_longer_grace_revives_the_tier_from_the_next_day(pro, book, database) -> None:
    ends_at = await past_due(pro)
    await pro.set_clock(ends_at + timedelta(minutes=1))
    assert await available(pro) == 5
    text = default_text().replace("past_due_grace_days = 7", "past_due_grace_days = 9")
    await apply_tiers(book, text)
    assert await available(pro) == 5
    await pro.set_clock(ends_at + timedelta(days=1))
    account = await pro.account("user-1")
    assert (account["available"], account["tier"], account["state"]) == (20, "PRO", "past_due")
    await pro.set_clock(ends_at + timedelta(days=2), tick=False)
    assert await available(pro) == 5
    await pro.spend("user-1", 1, "key-1")
    assert await differences(database) == []


# Zones


async def test_a_new_zone_takes_effect_at_the_next_reset_and_grants_nothing_now(
    pro, database
) -> None:
    for zone, next_grant_at in [
        ("Pacific/Niue", "2026-01-02T11:00:00.000000Z"),
        ("Asia/Tokyo", "2026-01-01T15:00:00.000000Z"),
        ("Pacific/Kiritimati", "2026-01-02T10:00:00.000000Z"),
        ("Pacific/Niue", "2026-01-02T11:00:00.000000Z"),
    ]:
        answer = await pro.put("/api/v1/accounts/user-1", {"time_zone": zone})
        account = answer.json()
        assert (account["available"], account["next_grant_at"]) == (20, next_grant_at)
    assert len(await days(database)) == 1
    await pro.set_clock(datetime(2026, 1, 2, 11, tzinfo=UTC) - timedelta(microseconds=1))
    assert len(await days(database)) == 1
    await pro.set_clock(datetime(2026, 1, 2, 11, tzinfo=UTC))
    assert await days_of(database, "user-1") == ["2026-01-01", "2026-01-02"]
    assert await available(pro) == 20
    assert await differences(database) == []


async def test_a_day_whose_end_tzdata_has_put_off_goes_on_until_its_new_end(
    pro, database, book
) -> None:
    """As in a country that decides to keep summer time: the next date has not begun there yet."""
    await database.execute("UPDATE accounts SET day_ends_at = $1, due_at = $1", ELEVEN)
    await database.execute("UPDATE lots SET expires_at = $1", ELEVEN)
    await pro.set_clock(ELEVEN + timedelta(minutes=1), tick=False)
    account = await pro.account("user-1")
    assert (account["available"], account["next_grant_at"][:16]) == (20, "2026-01-02T00:00")
    spent = await pro.spend("user-1", 6, "key-1")
    assert (spent.status_code, spent.json()["available"]) == (201, 14)
    await pro.set_clock(NOW + timedelta(hours=12))
    assert await available(pro) == 20
    assert await days(database) == [("2026-01-01", 5), ("2026-01-02", 20)]
    (run,) = await database.fetch("SELECT * FROM runs")
    assert (run["expected"], run["issued"], run["failed"]) == (1, 1, 0)
    assert await differences(database) == []


async def test_a_run_does_not_expect_those_whose_day_goes_on(pro, database, book) -> None:
    await pro.set_clock(NOW + timedelta(days=1))
    later = ELEVEN + timedelta(days=1)
    await database.execute("UPDATE accounts SET day_ends_at = $1, due_at = $1", later)
    await pro.set_clock(later, tick=False)
    assert await planned(database, book.catalogues) == []
    assert (await tick(book)).done
    (run,) = await database.fetch("SELECT * FROM runs")
    assert (run["expected"], run["issued"], run["failed"], run["state"]) == (1, 1, 0, "done")


async def test_hopping_over_the_date_line_opens_no_date_twice(pro, database) -> None:
    now = NOW
    for n in range(8):
        zone = "Pacific/Niue" if n % 2 else "Pacific/Kiritimati"
        await pro.put("/api/v1/accounts/user-1", {"time_zone": zone})
        now += timedelta(hours=9)
        await pro.set_clock(now, tick=bool(n % 3))
        assert await available(pro) == 20
    await pro.spend("user-1", 1, "key-1")
    dates = await days_of(database, "user-1")
    assert dates == sorted(set(dates))
    assert len(dates) <= 4  # in 72 hours
    assert await differences(database) == []


async def test_what_was_due_before_an_event_is_posted_as_it_was_known_then(api, database) -> None:
    """The day that began as FREE is opened so, and the upgrade of that day adds the rest."""
    await api.put("/api/v1/accounts/user-1", {"stripe_customer_id": "cus_1"})
    await api.set_clock(NOW + timedelta(days=1), tick=False)
    await api.deliver(make_subscription_event("evt_1", "created", NOW + timedelta(days=1)))
    assert await days(database) == [("2026-01-01", 5), ("2026-01-02", 5)]
    rows = await database.fetch(
        """SELECT journals.kind, amount FROM entries JOIN journals ON journals.id = journal_id
            ORDER BY entries.id"""
    )
    assert [tuple(row) for row in rows] == [
        ("opening", 5),
        ("opening", 5),
        ("opening", 5),
        ("top_up", 15),
    ]
    assert await differences(database) == []


async def test_a_run_grants_nothing_of_a_grace_that_ends_as_the_day_begins(pro, database) -> None:
    failed = datetime(2026, 1, 2, tzinfo=UTC)
    await pro.set_clock(failed)
    event = make_subscription_event("evt_2", "updated", failed, status="past_due", previous={})
    assert await pro.deliver(event) == "applied"
    await pro.set_clock(failed + timedelta(days=6, hours=1))
    assert await days(database) == [(f"2026-01-0{on}", 5 if on == 1 else 20) for on in range(1, 9)]
    await pro.set_clock(failed + timedelta(days=7, seconds=1))
    assert (await days(database))[-1] == ("2026-01-09", 5)
    assert await database.fetchval("SELECT run_id FROM daily_grants WHERE day_on = '2026-01-09'")
    assert await differences(database) == []
