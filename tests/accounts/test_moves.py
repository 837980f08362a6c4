"""Moving a subscription between accounts gains nobody a day, and costs no innocent account one.

Every move is tried on both sides of each midnight of the accounts' zones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from itertools import count, product
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.accounts.view import view
from app.allowance.catalogue import default_text
from app.book import Book
from app.infrastructure import clock
from app.infrastructure.db import Database
from app.ledger.idempotency import request_key
from app.spending.spend import SpendOrder, Spent, spend
from tests.api_client import Api
from tests.as_owner import apply_tiers
from tests.conftest import NOW
from tests.invariants import differences
from tests.stripe_events import make_customer_event, make_subscription_event

# The farthest east, the farthest west, one between, one of a half hour, one with clock changes.
KIRITIMATI, UTC_ZONE, PAGO_PAGO = "Pacific/Kiritimati", "Etc/UTC", "Pacific/Pago_Pago"
ZONES = (KIRITIMATI, UTC_ZONE, PAGO_PAGO, "Australia/Lord_Howe", "America/New_York")
PRO, ENTERPRISE = 20, 50
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
NUMBERS = count(1)
KEYS = count(1)
NOTHING_FREE = default_text().replace("daily_credits = 5\n", "daily_credits = 0\n")


class Mover:
    """A subscription and the accounts that it moves between, one in each zone."""

    def __init__(self, book: Book, api: Api, zones: Sequence[str]) -> None:
        self.book = book
        self.api = api
        self.number = next(NUMBERS)
        self.names = [f"m{self.number}-{at}" for at in range(len(zones))]
        self.zones = zones
        self.subscription = f"sub_{self.number}"
        self.price = ""
        self.at = 0
        self.moves = 0

    async def begin(self, price: str = "price_pro_monthly") -> Mover:
        """Open the accounts, and subscribe on the first."""
        for name, zone in zip(self.names, self.zones, strict=True):
            await self.api.put(f"/api/v1/accounts/{name}", {"time_zone": zone})
        self.price = price
        assert await self.api.deliver(self.event("created", NOW, 0)) == "applied"
        return self

    def event(self, kind: str, at: datetime, to: int, **more: Any) -> dict[str, Any]:
        """Of the subscription, whose metadata names one of the accounts."""
        return make_subscription_event(
            f"evt_{self.subscription}_{self.moves}",
            kind,
            at,
            price=self.price,
            subscription=self.subscription,
            customer=f"cus_{self.number}",
            metadata={"tallybook_account_id": self.names[to]},
            **more,
        )

    async def move(self, to: int) -> None:
        """Let another of the accounts receive the subscription."""
        if to == self.at:
            return
        self.moves += 1
        event = self.event("updated", NOW + timedelta(seconds=self.moves), to, previous={})
        assert await self.api.deliver(event) == "applied"
        self.at = to

    async def available(self, which: int) -> int:
        return (await view(self.book, self.names[which])).available

    async def spend(self, which: int, amount: int | None = None) -> int:
        """Spend so much, or all that there is; returns how much it was."""
        name = self.names[which]
        amount = await self.available(which) if amount is None else amount
        if amount:
            key = request_key(f"key-{next(KEYS)}", "POST", "/", {})
            order = SpendOrder(account_id=name, amount=amount, actor="tests", key=key)
            (done,) = await spend(self.book, [order])
            assert isinstance(done, Spent), done
        return amount

    async def allowances(self) -> tuple[int, int]:
        """All that was spent; and how many of the days on which it was can stand side by side."""
        rows = await self.book.database.fetch(
            """SELECT starts_at, expires_at AS ends_at, sum(amount)::bigint AS spent
                 FROM entries JOIN lots ON lots.id = lot_id JOIN daily_grants USING (lot_id)
                WHERE kind = 'spend' AND entries.account_id IN (
                      SELECT id FROM accounts WHERE external_id = ANY($1::text[]))
                GROUP BY 1, 2 ORDER BY ends_at""",
            self.names,
        )
        days, free_from = 0, datetime.min.replace(tzinfo=UTC)
        for row in rows:
            if row["starts_at"] >= free_from:
                days, free_from = days + 1, row["ends_at"]
        return sum(row["spent"] for row in rows), days


def midnights(zones: Sequence[str], first: datetime, days: int) -> list[datetime]:
    """The instants a second before and after each midnight of the zones, in order."""
    found = set()
    for zone, day in product(zones, range(days)):
        on = (first + day * DAY).astimezone(ZoneInfo(zone)).date() + DAY
        at = datetime.combine(on, time.min, ZoneInfo(zone)).astimezone(UTC)
        found |= {at - SECOND, at + SECOND}
    return sorted(found)


@pytest.fixture
async def nothing_free(api: Api, book: Book) -> Api:
    """A book in which accounts have what their subscriptions give and no more."""
    await apply_tiers(book, NOTHING_FREE)
    return api


async def test_two_accounts_of_two_zones_share_one_allowance_a_day(
    nothing_free: Api, book: Book
) -> None:
    """Just after its own midnight each, where nothing of the day is used yet, for three days."""
    mover = await Mover(book, nothing_free, (KIRITIMATI, UTC_ZONE)).begin()
    spent = []
    for day in range(3):
        for to, hour in ((0, 0), (1, 10)):
            at = datetime(2026, 1, 3 + day, hour, 0, 1, tzinfo=UTC)
            await clock.stand(book.database, at)
            await mover.move(to)
            spent.append(await mover.spend(to))
    assert spent == [20, 0] * 3
    assert await differences(book.database) == []


@pytest.mark.parametrize(
    ("zones", "instants"), [((KIRITIMATI, UTC_ZONE), 7), ((UTC_ZONE, PAGO_PAGO), 6)]
)
async def test_whichever_way_it_moves_around_each_midnight_it_gives_one_allowance_a_day(
    nothing_free: Api, book: Book, zones: Sequence[str], instants: int
) -> None:
    """Every way to be at one of two accounts at each instant, spending all that there is."""
    ways = list(product((0, 1), repeat=instants))
    movers = [await Mover(book, nothing_free, zones).begin() for _ in ways]
    for at, instant in enumerate(midnights(zones, datetime(2026, 1, 3, tzinfo=UTC), 2)[:instants]):
        await clock.stand(book.database, instant)
        for way, mover in zip(ways, movers, strict=True):
            await mover.move(way[at])
            await mover.spend(way[at])
    totals = defaultdict(list)
    for way, mover in zip(ways, movers, strict=True):
        spent, days = await mover.allowances()
        assert spent <= PRO * days, way
        totals[days].append(spent)
    # Who stays gets every day of his zone whole.
    assert PRO * max(totals) in totals[max(totals)]
    assert await differences(book.database) == []


@settings(max_examples=20)
@given(
    zones=st.lists(st.sampled_from(ZONES), min_size=3, max_size=3),
    steps=st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from((None, 7, 12))), min_size=4, max_size=10
    ),
)
async def test_among_three_accounts_of_any_zones_too(api, book, zones, steps) -> None:
    """Moves at every third midnight's side, spending all or a part; days with clock changes."""
    await apply_tiers(book, NOTHING_FREE)
    began = await clock.now(book.database)
    # 2026-03-08 and 2026-04-05 are days on which clocks change in two of the zones.
    first = max(datetime(2026, 3, 6, tzinfo=UTC), began)
    mover = await Mover(book, api, zones).begin()
    instants = [one for one in midnights(zones, first, 5) if one > began]
    for instant, (to, amount) in zip(instants[::3], steps, strict=False):
        await clock.stand(book.database, instant)
        await mover.move(to)
        left = await mover.available(to)
        await mover.spend(to, left if amount is None else min(amount, left))
    spent, days = await mover.allowances()
    assert spent <= PRO * days
    assert await differences(book.database) == []


async def test_an_innocent_account_loses_nothing_today_or_tomorrow(api: Api, book: Book) -> None:
    """It has what it would have without the subscription that came, used up elsewhere."""
    mover = await Mover(book, api, (KIRITIMATI, UTC_ZONE)).begin()
    own = make_subscription_event(
        "evt_own",
        "created",
        NOW,
        subscription="sub_own",
        customer="cus_own",
        metadata={"tallybook_account_id": mover.names[1]},
    )
    await api.deliver(own)
    assert await mover.spend(0) == PRO
    await mover.spend(1, 3)
    await mover.move(1)
    assert await mover.available(1) == PRO - 3
    assert await mover.available(0) == 0
    # The day that starts at midnight does so before 10:00, where the other day would have ended.
    await api.set_clock(datetime(2026, 1, 2, 0, 0, 1, tzinfo=UTC))
    assert await mover.available(1) == PRO
    assert await differences(book.database) == []


async def test_it_lowers_only_what_the_subscription_adds(api: Api, book: Book) -> None:
    """FREE's 5 stay; of ENTERPRISE's 50 what was used before is gone, until its day would end."""
    mover = Mover(book, api, (KIRITIMATI, UTC_ZONE, PAGO_PAGO))
    await mover.begin("price_enterprise_monthly")
    await mover.spend(0, 48)
    await mover.move(1)
    assert await mover.available(1) == 5
    await api.set_clock(datetime(2026, 1, 2, 0, 0, 1, tzinfo=UTC), tick=True)
    assert await mover.available(1) == 5  # a run opened it so
    await mover.move(2)
    assert await mover.available(2) == 5
    assert await mover.available(1) == 5
    # Back where it was used nothing is counted twice: 48 of 50 as if it had never left.
    await mover.move(0)
    assert await mover.available(0) == 2
    await api.set_clock(datetime(2026, 1, 2, 10, 0, 1, tzinfo=UTC))
    assert await mover.available(0) == ENTERPRISE
    assert await differences(book.database) == []


async def test_of_two_that_came_each_brings_its_own_use(api: Api, book: Book) -> None:
    used, fresh = [Mover(book, api, (UTC_ZONE,)) for _ in range(2)]
    await used.begin("price_enterprise_monthly")
    await fresh.begin()
    await used.spend(0, 45)
    target = Mover(book, api, (UTC_ZONE,))
    await api.put(f"/api/v1/accounts/{target.names[0]}", {})
    for mover in (used, fresh):
        moved = make_customer_event(
            f"evt_{mover.number}", "updated", NOW + SECOND, customer=f"cus_{mover.number}"
        )
        assert await api.deliver(moved)
        event = make_subscription_event(
            f"evt_{mover.number}_2",
            "updated",
            NOW + 2 * SECOND,
            price="price_enterprise_monthly" if mover is used else "price_pro_monthly",
            subscription=mover.subscription,
            customer=f"cus_{mover.number}",
            metadata={"tallybook_account_id": target.names[0]},
            previous={},
        )
        assert await api.deliver(event) == "applied"
    # 50 - 45 with the one, 20 with the other, 5 with none: the best of these.
    account = await api.account(target.names[0])
    assert (account["tier"], account["available"]) == ("ENTERPRISE", PRO)
    assert await differences(book.database) == []


async def test_what_was_used_before_it_came_is_not_its_use(api: Api, book: Book) -> None:
    """A day that ended before the subscription came to an account is none of its days there."""
    mover = await Mover(book, api, (UTC_ZONE, KIRITIMATI, PAGO_PAGO)).begin()
    await mover.spend(1, 5)  # on the day in Kiritimati that ends at 10:00 tomorrow
    await clock.stand(book.database, datetime(2026, 1, 2, 10, 0, 1, tzinfo=UTC))
    await mover.move(1)
    await mover.move(2)
    assert await mover.available(2) == PRO
    assert await differences(book.database) == []


async def test_a_join_adds_up_the_use_of_days_that_overlap(api: Api, book: Book) -> None:
    """A customer's account in Kiritimati is joined just after its midnight, with nothing used."""
    database: Database = book.database
    await api.deliver(make_subscription_event("evt_1", "created", NOW))
    await api.put("/api/v1/accounts/cus_1", {"time_zone": KIRITIMATI})
    await clock.stand(database, datetime(2026, 1, 3, 0, 0, 1, tzinfo=UTC))
    assert (await api.spend("cus_1", PRO, "key-1")).status_code == 201
    await clock.stand(database, datetime(2026, 1, 3, 10, 0, 1, tzinfo=UTC))
    await api.put("/api/v1/accounts/user-1", {})
    joined = await api.put("/api/v1/accounts/user-1", {"stripe_customer_id": "cus_1"})
    assert joined.status_code == 200
    assert (await api.account("user-1"))["available"] == 0
    await api.set_clock(datetime(2026, 1, 4, 0, 0, 1, tzinfo=UTC))
    assert (await api.account("user-1"))["available"] == PRO
    assert await differences(database) == []
