"""Journals of an account that was joined to another are reversed there; nobody gains a credit."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count
from typing import Any

import asyncpg
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.accounts.join import join
from app.accounts.put import put
from app.allowance.origin import Origin
from app.book import Book
from app.errors import HoldClosedError, HoldExpiredError, InsufficientCreditsError, ShortfallError
from app.infrastructure import clock
from app.infrastructure.db import Database
from app.jobs.tick import tick
from app.ledger.clawbacks import Policy
from app.ledger.idempotency import RequestKey, request_key
from app.reversals.journal import reverse_journal
from app.reversals.record import ReversalOrder, Reversed
from app.spending import corrections, hold
from app.spending.keyed import Order
from app.spending.spend import SpendOrder, Spent, spend
from app.webhooks.receive import receive
from tests.acts import DAY, Acts, ledger_differences
from tests.conftest import NOW
from tests.invariants import differences
from tests.money_events import make_refund_event, make_session_event
from tests.reversals.test_run_again import again, latest_run
from tests.stripe_events import make_subscription_event

FIVE = ("requested", "clawed", "held", "shortfall", "expired")


@pytest.fixture
async def two(api) -> tuple[Acts, Acts]:
    """A PRO customer nobody named (20 a day), and a FREE account of the application (5 a day)."""
    assert await api.deliver(make_subscription_event("evt_1", "created", NOW)) == "applied"
    await api.put("/api/v1/accounts/user-1", {})
    return Acts(api, "cus_1"), Acts(api, "user-1")


async def joined(api) -> None:
    answer = await api.put("/api/v1/accounts/user-1", {"stripe_customer_id": "cus_1"})
    assert answer.status_code == 200


async def five(acts: Acts, journal_id: str, policy: str = "write_off") -> list[int]:
    """Reverse it; the answer's five numbers."""
    told = await acts.done(await acts.reverse(journal_id, policy))
    return [told[name] for name in FIVE]


@pytest.mark.parametrize(("there", "here"), [(8, 0), (8, 3), (20, 5), (20, 0)])
async def test_a_spend_that_is_reversed_counts_no_more_against_the_day_it_was_brought_to(
    api, database, two, there, here
) -> None:
    """As if it had been reversed before the join."""
    customer, user = two
    spent = await customer.journal(await customer.spend(there - 2))
    await customer.done(await customer.spend(2))
    if here:
        await user.done(await user.spend(here))
    await joined(api)
    told = await user.done(await user.reverse(spent))
    assert [told[name] for name in FIVE] == [there - 2, 0, 0, 0, there - 2]
    assert await user.available() == 20 - 2 - here
    assert await differences(database) == []
    again_told = await user.reverse(spent)
    assert again_told.json() == told
    assert await user.available() == 20 - 2 - here


async def test_what_comes_back_of_a_day_that_is_over_lapses(api, database, two) -> None:
    customer, user = two
    yesterday = await customer.journal(await customer.spend(6))
    await api.set_clock(NOW + DAY)
    today = await customer.journal(await customer.spend(9))
    await joined(api)
    assert await user.available() == 11
    assert await five(user, yesterday) == [6, 0, 0, 0, 6]
    assert await user.available() == 11
    await api.set_clock(NOW + 2 * DAY)
    assert await five(user, today) == [9, 0, 0, 0, 9]
    assert await user.available() == 20
    assert await differences(database) == []


@pytest.mark.parametrize("left", [0, 4])
async def test_what_was_spent_of_a_gift_comes_back_to_whom_the_gift_went(
    api, database, two, left
) -> None:
    customer, user = two
    await customer.grant(10, ends=NOW + 3 * DAY)
    spent = await customer.journal(await customer.spend(30 - left))
    await joined(api)
    assert await user.available() == left
    told = await user.done(await user.reverse(spent))
    assert told["expired"] == 20
    account = await api.account("user-1")
    assert {lot["source"]: lot["free"] for lot in account["lots"] if lot["free"]} == {
        "daily": 20,
        "promotional": 10,
    }
    assert {
        lot["expires_at"][:10] for lot in account["lots"] if lot["source"] == "promotional"
    } == {"2026-01-04"}
    assert await differences(database) == []
    await api.set_clock(NOW + 3 * DAY)
    assert await user.available() == 20


async def test_a_capture_of_a_hold_is_reversed_whether_it_was_taken_before_the_join_or_after(
    api, database, two
) -> None:
    customer, user = two
    before, after = await customer.held(5), await customer.held(7)
    await customer.done(await customer.capture(before, 4))
    first = await latest_journal(api, "spend")
    await joined(api)
    await user.done(await user.capture(after, 6))
    second = await latest_journal(api, "spend")
    assert await user.available() == 10
    assert await five(user, first) == [4, 0, 0, 0, 4]
    assert await user.available() == 14
    assert await five(user, second) == [6, 0, 0, 0, 0]
    assert await user.available() == 20
    assert await differences(database) == []


@pytest.mark.parametrize("policy", ["write_off", "debt", "reject"])
async def test_a_gift_is_taken_back_from_where_it_went(api, database, two, policy) -> None:
    customer, user = two
    gift = await customer.journal(await customer.grant(10, priority=0))
    await customer.done(await customer.spend(3))
    held = await customer.held(2)
    await joined(api)
    answer = await user.reverse(gift, policy)
    if policy == "reject":
        assert (answer.status_code, answer.json()["code"]) == (409, "shortfall")
        assert await user.sides() == (25, 2, 0)
        return
    told = await user.done(answer)
    assert [told[name] for name in FIVE] == [10, 5, 2, 3, 0]
    assert await user.sides() == (20 if policy == "write_off" else 17, 2, 0)
    await user.done(await user.release(held))
    assert await user.sides() == (20 if policy == "write_off" else 17, 0, 0)
    assert await differences(database) == []


async def test_a_spend_of_a_gift_that_was_taken_back_undoes_its_shortfall_first(
    api, database, two
) -> None:
    customer, user = two
    gift = await customer.journal(await customer.grant(10, priority=0))
    spent = await customer.journal(await customer.spend(4))
    rest = await customer.journal(await customer.spend(3))
    assert await five(customer, gift) == [10, 3, 0, 7, 0]
    await joined(api)
    assert await five(user, spent) == [4, 0, 0, 0, 0]
    assert await user.sides() == (20, 0, 0)
    assert await five(user, rest) == [3, 0, 0, 0, 0]
    assert await user.sides() == (20, 0, 0), "the gift is not the account's, spent or not"
    assert await differences(database) == []


async def test_a_debt_that_moved_is_undone_where_it_is_owed(api, database, two) -> None:
    customer, user = two
    await customer.done(await customer.spend(20))
    await user.done(await user.spend(5))
    gift = await customer.journal(await customer.grant(10))
    spent = await customer.journal(await customer.spend(10))
    assert await five(customer, gift, "debt") == [10, 0, 0, 10, 0]
    await joined(api)
    assert await user.sides() == (0, 0, 10)
    assert await five(user, spent) == [10, 0, 0, 0, 0]
    assert await user.sides() == (0, 0, 0)
    assert await differences(database) == []


async def test_adjustments_are_reversed_both_ways(api, database, two) -> None:
    customer, user = two
    given_ = await customer.journal(await customer.adjust(10))
    taken = await customer.journal(await customer.adjust(-23))
    await joined(api)
    assert await user.sides() == (7, 0, 0)
    assert await five(user, taken) == [23, 0, 0, 0, 20]
    assert await user.sides() == (30, 0, 0)
    assert await five(user, given_) == [10, 10, 0, 0, 0]
    assert await user.sides() == (20, 0, 0)
    assert await differences(database) == []


async def test_a_purchase_is_taken_back_whole_with_what_went_back_in_money(
    api, database, two
) -> None:
    customer, user = two
    assert await api.deliver(make_session_event("evt_p", NOW)) == "applied"
    await customer.done(await customer.spend(50))
    await joined(api)
    refunded = make_refund_event("evt_r", NOW + timedelta(seconds=1), 200, refund="re_1")
    assert await api.deliver(refunded) == "applied"
    assert await user.sides() == (50, 0, 0)
    assert await five(user, await latest_journal(api, "purchase")) == [80, 50, 0, 30, 0]
    assert await user.sides() == (0, 0, 0)
    assert await differences(database) == []


async def latest_journal(api, kind: str, **filters: str) -> str:
    """The journal's id of the newest entry of this kind."""
    answer = await api.get("/api/v1/ledger/entries", kind=kind, order="desc", limit=1, **filters)
    return str(answer.json()["data"][0]["journal_id"])


@pytest.mark.parametrize("policy", ["write_off", "debt", "reject"])
async def test_an_opening_that_ended_with_the_join_is_reversed_without_a_second_loss(
    api, database, two, policy
) -> None:
    """What is owed of it counts as used no more, and what is written off does."""
    customer, user = two
    await api.set_clock(NOW + DAY)
    opening = await latest_journal(api, "grant", account_id="cus_1")
    spent = await customer.journal(await customer.spend(6))
    held = await customer.held(2)
    await joined(api)
    assert await user.sides() == (12, 2, 0)
    answer = await user.reverse(opening, policy)
    if policy == "reject":
        assert (answer.status_code, answer.json()["code"]) == (409, "shortfall")
    else:
        told = await user.done(answer)
        assert [told[name] for name in FIVE] == [20, 0, 0, 6, 14]
    assert await user.sides() == (12, 2, 0)
    await user.done(await user.release(held))
    assert await user.sides() == (14, 0, 0)
    if policy == "write_off":
        assert await five(user, spent) == [6, 0, 0, 0, 0]
        # The day it was spent of was taken back: what undoes the write-off is nobody's.
        assert await user.sides() == (14, 0, 0)
    assert await differences(database) == []


@pytest.mark.parametrize("policy", ["write_off", "debt"])
async def test_a_run_is_taken_back_and_run_again_with_joined_accounts_in_it(
    api, database, two, policy
) -> None:
    customer, user = two
    other = Acts(api, "user-2")
    await api.put("/api/v1/accounts/user-2", {})
    await api.set_clock(NOW + DAY)
    await customer.done(await customer.spend(6))
    await user.done(await user.spend(1))
    await joined(api)
    assert await user.sides() == (13, 0, 0)
    body = {"run_id": (await latest_run(api))["id"], "reason": "wrong", "shortfall": policy}
    dry = await user.done(await user.post("reversals", {**body, "dry_run": True}, scope="operator"))
    told = await user.done(await user.post("reversals", body, scope="operator"))
    assert [dry[name] for name in FIVE] == [told[name] for name in FIVE]
    assert (told["journal_count"], told["skipped"], told["requested"]) == (3, 0, 30)
    assert (told["clawed"], told["held"]) == (10, 0)
    assert told["shortfall"] + told["expired"] == 20
    # What was owed of the joined account's day was repaid by the rest of this one's.
    assert [await one.sides() for one in (user, other)] == [(0, 0, 0)] * 2
    assert await ledger_differences(database) == []
    (run,) = (await again(api, (NOW + DAY).date())).json()["runs"]
    assert (run["expected"], run["issued"]) == (2, 2)
    assert await user.sides() == (13, 0, 0), "6 and 1 were used, whoever owed them meanwhile"
    assert await other.sides() == (5, 0, 0)
    assert await differences(database) == []


async def test_an_account_that_was_joined_twice_is_followed_to_the_last(book, database) -> None:
    at = Origin("tests", "tests")
    for name in ("first", "second", "third"):
        await put(book, name, None, None, "tests")
    story = Story(book)
    gift = await story.gift("first", 10)
    used = await story.spend("first", 9)
    later = await story.spend("first", 2)
    rows = await database.fetch("SELECT id FROM accounts ORDER BY id")
    first, second, third = (row["id"] for row in rows)
    async with database.transaction():
        await join(book, first, second, at)
    await story.spend("second", 3)
    async with database.transaction():
        await join(book, second, third, at)
    assert (await story.reverse(used, Policy.WRITE_OFF)).requested == 9
    assert await differences(database) == []
    taken = await story.reverse(gift, Policy.DEBT)
    assert (taken.requested, taken.clawed, taken.shortfall) == (10, 5, 5)
    assert await differences(database) == []
    sides = "SELECT free, debt FROM accounts WHERE id = $1"
    # The day's 5 that came back repaid what was owed of the gift.
    assert tuple(await database.fetchrow(sides, third)) == (0, 0)
    assert (await story.reverse(later, Policy.WRITE_OFF)).requested == 2
    assert tuple(await database.fetchrow(sides, third)) == (2, 0), "2 of those were paid for"
    assert await differences(database) == []


async def test_what_went_where_nobody_kept_it_is_told_with_its_remedy(
    api, database, two, server
) -> None:
    """A book that joined accounts before it was kept where their lots went."""
    customer, user = two
    gift = await customer.journal(await customer.grant(10))
    await joined(api)
    await forget_where_lots_went(server)
    answer = await user.reverse(gift)
    assert (answer.status_code, answer.json()["code"]) == (409, "not_reversible")
    assert "adjustment of at most -10 on the account" in answer.json()["detail"]


async def forget_where_lots_went(server) -> None:
    superuser = await asyncpg.connect(server.superuser_url)
    await superuser.execute("SET session_replication_role = replica; DELETE FROM moved_lots")
    await superuser.close()


KEYS = count(1)


class Story:
    """The acts of a book's accounts, through the use cases; what is refused is left out."""

    def __init__(self, book: Book) -> None:
        self.book = book

    def key(self) -> RequestKey:
        return request_key(f"joins-{next(KEYS)}", "POST", "/", None)

    def order(self) -> Order:
        return Order(actor="tests", key=self.key(), reason="why")

    async def spend(self, name: str, amount: int) -> int | None:
        order = SpendOrder(account_id=name, amount=amount, actor="tests", key=self.key())
        (done,) = await spend(self.book, [order])
        return done.journal_id if isinstance(done, Spent) else None

    async def gift(self, name: str, amount: int) -> int | None:
        done = await corrections.grant(
            self.book, name, amount, self.order(), expires_at=None, priority=None
        )
        return done.journal_id

    async def hold(self, name: str, amount: int) -> int | None:
        try:
            done = await hold.place(self.book, name, amount, 900, self.order())
        except InsufficientCreditsError:
            return None
        return int(str(done.answer["hold_id"]))

    async def capture(self, number: int, amount: int) -> int | None:
        try:
            view = await hold.find(self.book, number)
            done = await hold.capture(
                self.book, number, hold.Capture(amount=min(amount, view.amount)), self.order()
            )
        except (HoldClosedError, HoldExpiredError):
            return None
        return done.journal_id

    async def reverse(self, journal_id: int | None, policy: Policy) -> Reversed:
        order = ReversalOrder(reason="why", policy=policy, actor="tests", key=self.key())
        return await reverse_journal(self.book, journal_id, order, dry_run=False)


WHO = st.sampled_from(["customer", "user"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("spend"), WHO, st.integers(1, 12)),
        st.tuples(st.just("gift"), WHO, st.integers(1, 8)),
        st.tuples(st.just("hold"), WHO, st.integers(1, 6)),
        st.tuples(st.just("capture"), WHO, st.integers(1, 4)),
        st.tuples(st.just("reverse"), st.sampled_from(list(Policy)), st.integers(0, 9)),
        st.tuples(st.just("join"), WHO, st.just(0)),
        st.tuples(st.just("day"), WHO, st.just(0)),
    ),
    max_size=14,
)


class Family:
    """A PRO customer and a FREE account that are joined at some time, and what they did."""

    def __init__(self, book: Book, number: int) -> None:
        self.story = Story(book)
        self.book = book
        self.names = {"customer": f"cus_j{number}", "user": f"joined-{number}"}
        self.number = number
        self.journals: list[int] = []
        self.holds: list[int] = []
        self.joined = False

    async def begin(self, now: datetime) -> None:
        event = make_subscription_event(
            f"evt_j{self.number}",
            "created",
            now,
            subscription=f"sub_j{self.number}",
            customer=self.names["customer"],
        )
        await receive(self.book, orjson.dumps(event), livemode=False)
        await put(self.book, self.names["user"], None, None, "tests")

    async def step(self, what: str, who: Any, value: int) -> None:
        journal: int | None = None
        if what in ("spend", "gift"):
            journal = await getattr(self.story, what)(self.names[who], value)
        elif what == "hold":
            held = await self.story.hold(self.names[who], value)
            self.holds += [held] if held is not None else []
        elif what == "capture" and self.holds:
            journal = await self.story.capture(self.holds.pop(), value)
        elif what == "reverse" and self.journals:
            await self._reverse(self.journals[value % len(self.journals)], who)
        elif what == "join":
            await put(self.book, self.names["user"], self.names["customer"], None, "tests")
            self.joined = True
        elif what == "day":
            await clock.stand(self.book.database, await clock.now(self.book.database) + DAY)
            await tick(self.book)
        self.journals += [journal] if journal is not None else []

    async def _reverse(self, journal: int, policy: Policy) -> None:
        try:
            told = await self.story.reverse(journal, policy)
        except ShortfallError:
            return
        moved = await self.book.database.fetchval(
            "SELECT sum(amount) FROM entries WHERE journal_id = $1 AND kind IN ('spend', 'grant')",
            journal,
        )
        assert told.requested == moved
        assert told.clawed + told.held + told.shortfall <= moved

    async def accounts(self) -> list[int]:
        rows = await self.book.database.fetch(
            """SELECT id FROM accounts WHERE external_id = $1 OR id IN (
                   SELECT account_id FROM customers WHERE id = $2)
                  OR joined_to = (SELECT id FROM accounts WHERE external_id = $1)""",
            self.names["user"],
            self.names["customer"],
        )
        return [row["id"] for row in rows]


# What today's own lots of the family were drawn to and still are, and the allowance's lot.
USED = """
SELECT coalesce(sum(entries.amount * ((entries.debit = 'free' AND entries.kind <> 'expiry'
                                       AND entries.credit <> 'transferred')::int
                                      - (entries.credit = 'free'
                                         AND entries.kind NOT IN ('grant', 'transfer'))::int)), 0)
  FROM daily_grants JOIN entries USING (lot_id)
 WHERE daily_grants.account_id = ANY($1) AND daily_grants.day_on = (
       SELECT day_on FROM accounts WHERE external_id = $2)
"""


@given(steps=STEPS)
@settings(max_examples=40)
async def test_spends_joins_and_reversals_in_any_order_gain_nobody_a_credit(
    database: Database, steps: list[tuple[str, Any, int]]
) -> None:
    family = Family(Book(database), next(KEYS))
    await family.begin(await clock.now(database))
    for what, who, value in steps:
        await family.step(what, who, value)
    await tick(family.book)
    numbers = await family.accounts()
    if family.joined:
        used = await database.fetchval(USED, numbers, family.names["user"])
        free = await database.fetchval(
            """SELECT lots.free FROM accounts JOIN lots ON lots.id = day_lot_id
                WHERE external_id = $1""",
            family.names["user"],
        )
        assert free == max(0, 20 - used), "today's allowance, less what the family used of it"
    gifts = await database.fetchrow(
        """SELECT coalesce(sum(amount) FILTER (WHERE kind = 'grant'), 0) AS given,
                  coalesce(sum(amount) FILTER (WHERE kind = 'spend'), 0)
                  - coalesce(sum(amount) FILTER (WHERE debit = 'spent'), 0) AS spent,
                  coalesce(sum(amount) FILTER (WHERE credit = 'issued' AND debit = 'free'), 0)
                      AS taken
             FROM entries JOIN lots ON lots.id = lot_id
            WHERE entries.account_id = ANY($1) AND source = 'promotional'""",
        numbers,
    )
    left = await database.fetchval(
        """SELECT coalesce(sum(free + held), 0) FROM lots
            WHERE account_id = ANY($1) AND source = 'promotional'""",
        numbers,
    )
    assert gifts is not None
    assert left <= gifts["given"] - gifts["spent"] - gifts["taken"]
    assert await differences(database) == []
