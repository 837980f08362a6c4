"""What is due: the pure function and the set-based statement write the same rows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from app.accounts import standing
from app.accounts.put import put
from app.allowance import load
from app.allowance.catalogue import default_text
from app.allowance.origin import Origin
from app.allowance.store import store_days
from app.book import Book
from app.errors import HoldExpiredError
from app.infrastructure import clock
from app.infrastructure.db import Database
from app.ledger.clawbacks import Policy
from app.ledger.idempotency import request_key
from app.operators.acts import Operator
from app.reversals import journal
from app.reversals.record import ReversalOrder
from app.runs import bulk, due_waves, run, run_row
from app.runs.plan import planned
from app.spending import corrections, hold
from app.spending.keyed import Order
from app.spending.spend import SpendOrder, spend
from app.webhooks.receive import receive
from tests.as_owner import apply_tiers
from tests.both_ways import differing, undone, written
from tests.conftest import NOW
from tests.invariants import differences
from tests.stripe_events import make_subscription_event

ZONES = ("UTC", "Asia/Tokyo", "America/New_York", "Pacific/Niue", "Pacific/Kiritimati")
PRICES = ("price_pro_monthly", "price_enterprise_monthly")


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """What befalls one account before its day ends."""

    zone: str
    prices: list[str]  # a subscription each
    status: str
    spent: int
    held_s: int | None  # a hold's deadline
    granted_h: int | None  # hours until a promotional lot ends, from midnight
    owes: bool
    withdrawn: bool
    joined: bool
    closed: bool


def people(**given_: st.SearchStrategy[Any]) -> st.SearchStrategy[Person]:
    seldom = st.sampled_from([False] * 7 + [True])
    return st.builds(
        Person,
        zone=st.sampled_from(ZONES),
        prices=st.lists(st.sampled_from(PRICES), max_size=2),
        status=st.sampled_from(["active", "active", "trialing", "past_due", "unpaid"]),
        spent=st.sampled_from([*range(7), 9]),
        held_s=st.sampled_from([None] * 5 + [60, 86_400]),
        granted_h=st.sampled_from([None] * 4 + [-2, 0, 20, 10_000]),
        owes=seldom,
        withdrawn=seldom,
        joined=seldom,
        closed=seldom,
        **given_,
    )


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """A catalogue, and the one that is applied before the day ends."""

    carry: int
    grace: int
    trial: bool
    later_grace: int
    later_pro: int
    days_between: int  # runs before: what they carried over ends with the day that is compared


rules = st.builds(
    Rules,
    carry=st.sampled_from([0, 3, 20, 70]),
    grace=st.integers(0, 3),
    trial=st.booleans(),
    later_grace=st.integers(0, 3),
    later_pro=st.sampled_from([20, 20, 4, 60]),
    days_between=st.integers(0, 3),
)


def catalogue(carry: int, grace: int, trial: bool, pro: int = 20) -> str:
    return (
        default_text()
        .replace("carry_over_max = 0", f"carry_over_max = {carry}")
        .replace("past_due_grace_days = 7", f"past_due_grace_days = {grace}")
        .replace("trial_grants = true", f"trial_grants = {str(trial).lower()}")
        .replace("daily_credits = 20", f"daily_credits = {pro}")
    )


def order(name: str) -> Order:
    return Order(actor="test", key=request_key(name, "POST", name, None), reason="a reason")


async def live(book: Book, n: int, person: Person) -> None:
    """Let it befall the account."""
    name, customer = f"user-{n}", f"cus_{n}"
    await put(book, name, None if person.joined else customer, person.zone, "test")
    for number, price in enumerate(person.prices):
        await subscribe(book, f"{n}_{number}", customer, price, person.status)
    if person.granted_h is not None:
        ends_at = NOW + timedelta(hours=12 + person.granted_h)
        # Of a priority that burns before the day's own.
        await corrections.grant(book, name, 9, order(f"grant-{n}"), expires_at=ends_at, priority=50)
    if person.spent:
        key = order(f"spend-{n}").key
        await spend(book, [SpendOrder(account_id=name, amount=person.spent, actor="t", key=key)])
    for policy, wanted in ((Policy.WRITE_OFF, person.withdrawn), (Policy.DEBT, person.owes)):
        if wanted:
            await withdraw(book, name, policy)
            break
    else:
        if person.held_s is not None and person.spent < 5:
            await hold.place(book, name, 1, person.held_s, order(f"hold-{n}"))
    if person.joined and person.prices:
        await put(book, name, customer, None, "test")
    if person.closed:
        await standing.close(book, name, Operator(actor="test", reason=None))


async def subscribe(book: Book, name: str, customer: str, price: str, status: str) -> None:
    """Active first, but for a trial; then what it is."""
    for kind, told in (("created", "active"), ("updated", status)):
        if (kind, status) != ("created", "trialing"):
            event = make_subscription_event(
                f"evt_{name}_{kind}",
                kind,
                NOW,
                status=told,
                price=price,
                subscription=f"sub_{name}",
                customer=customer,
            )
            await receive(book, json.dumps(event).encode(), livemode=False)


async def withdraw(book: Book, name: str, policy: Policy) -> None:
    """Take back the running day's opening."""
    number = await book.database.fetchval(
        """SELECT max(journals.id) FROM journals JOIN entries ON journal_id = journals.id
             JOIN accounts ON accounts.id = account_id
            WHERE external_id = $1 AND journals.kind = 'opening'""",
        name,
    )
    wanted = ReversalOrder(
        reason="a reason", policy=policy, actor="test", key=order(f"{policy}-{name}").key
    )
    await journal.reverse_journal(book, number, wanted, dry_run=False)


ROWS = {
    "accounts": "id, free, held, debt, tier, day_on, day_starts_at, day_ends_at, due_at,"
    " day_opening, day_used_brought, day_withdrawn, day_catalogue_id, closed_at IS NULL,"
    " day_carried_lot_id IS NULL",
    "lots": "account_id, source, priority, granted_at, expires_at, granted, lapsed, moved,"
    " refunded, free, held, live",
    "daily_grants": "account_id, day_on, opening, starts_at, ends_at, time_zone, tier, credits,"
    " previous_on, run_id, carried_lot_id IS NULL, carry_over_max, previous_allowed",
    "entries": "account_id, kind, debit, credit, amount, free_after, held_after, debt_after,"
    " effective_at",
    "journals": "kind, source, actor, effective_at, run_id",
    "holds": "account_id, state, captured",
}


async def one_by_one(book: Book) -> dict[str, list[dict[str, Any]]]:
    """Every account's day by the pure function, undone afterwards."""
    database = book.database
    due = await due_waves.due_zones(database)
    async with undone(database):
        runs = await run._begin_runs(database, book.catalogues, "tick", due)
        accounts = await database.fetch("SELECT id FROM accounts WHERE due_at <= tallybook_now()")
        days = await load.lock(database, book.catalogues, [row["id"] for row in accounts])
        for day in days.values():
            day.runs = runs
            day.post_due(Origin("grants", "tick"))
        await store_days(database, days.values())
        await let_all_come_back(book)
        rows = await written(database, ROWS)
    # The second way's runs have other numbers.
    waves_of_runs = {number: f"{wave}" for wave, number in runs.items()}
    return renamed(rows, waves_of_runs)


async def let_all_come_back(book: Book) -> None:
    """Holds are released and spends reversed, into days that either way has opened."""
    held = await book.database.fetch("SELECT id FROM holds WHERE state = 'held' ORDER BY id")
    for row in held:
        with suppress(HoldExpiredError):
            await hold.release(book, row["id"], order(f"release-{row['id']}"))
    spent = await book.database.fetch("SELECT id FROM journals WHERE kind = 'spend' ORDER BY id")
    for row in spent:
        wanted = ReversalOrder(
            reason="a reason",
            policy=Policy.WRITE_OFF,
            actor="test",
            key=order(f"undo-{row['id']}").key,
        )
        await journal.reverse_journal(book, row["id"], wanted, dry_run=False)


def renamed(
    rows: dict[str, list[dict[str, Any]]], waves_of_runs: dict[int, str]
) -> dict[str, list[dict[str, Any]]]:
    for table in ("daily_grants", "journals"):
        for row in rows[table]:
            row["run_id"] = waves_of_runs.get(row["run_id"])
        rows[table].sort(key=repr)
    return rows


@pytest.fixture
def loop(server: Any) -> Iterator[tuple[asyncio.Runner, Book]]:
    """A loop with a book; the examples of a property share it and undo what they did."""
    with asyncio.Runner() as runner:
        database = Database(server.application_url, 2)
        runner.run(database.open())
        yield runner, Book(database)
        runner.run(database.close())


@settings(max_examples=25, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    everybody=st.lists(people(), min_size=1, max_size=5),
    drawn=rules,
    hours=st.sampled_from([11, 12, 13, 25, 36, 90]),
)
def test_both_ways_of_opening_a_day_write_the_same_rows(loop, everybody, drawn, hours) -> None:
    runner, book = loop
    told = runner.run(both_ways(book, everybody, drawn, hours))
    assert not told.differing, "\n".join(told.differing)
    for counted, rows in told.runs:
        assert counted == rows
    if told.plain:
        assert told.planned == told.opened


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one example, done in both ways."""

    differing: list[str]
    runs: list[tuple[dict[str, Any], dict[str, Any]]]  # what it counted, what its rows say
    plain: bool | None  # whether nothing but days is due, which is all that a plan knows
    planned: list[tuple[Any, ...]]
    opened: list[tuple[Any, ...]]


async def both_ways(book: Book, everybody: list[Person], drawn: Rules, hours: int) -> Told:
    async with undone(book.database):
        await let_live(book, everybody, drawn, hours)
        return await opened_both_ways(book)


async def let_live(book: Book, everybody: list[Person], drawn: Rules, hours: int) -> None:
    """All that befalls them, up to the hour at which their days are opened."""
    await clock.stand(book.database, NOW)
    content = catalogue(drawn.carry, drawn.grace, drawn.trial)
    await apply_tiers(book, content)
    for n, person in enumerate(everybody):
        await live(book, n, person)
    for _ in range(drawn.days_between):
        await clock.stand(book.database, NOW + timedelta(hours=hours))
        await run.run_due(book.database, book.catalogues, "tick", 60)
        hours += 25
    later = catalogue(drawn.carry, drawn.later_grace, drawn.trial, drawn.later_pro)
    await apply_tiers(book, later)
    await clock.stand(book.database, NOW + timedelta(hours=hours))


async def opened_both_ways(book: Book) -> Told:
    database = book.database
    before = await database.fetchval("SELECT coalesce(max(id), 0) FROM runs")
    wanted = await one_by_one(book)
    plan = await planned(database, book.catalogues)
    plain = await database.fetchval(
        "SELECT bool_and(due_at = day_ends_at AND held = 0) FROM accounts"
        " WHERE due_at <= tallybook_now()"
    )
    await run.run_due(database, book.catalogues, "tick", 60)
    runs = await database.fetch("SELECT * FROM runs WHERE id > $1 ORDER BY id", before)
    names = {row["id"]: f"{(row['day_on'], row['wave_at'])}" for row in runs}
    await let_all_come_back(book)
    return Told(
        differing=differing(renamed(await written(database, ROWS), names), wanted),
        runs=[(counted(row), await rows_of_run(database, row)) for row in runs],
        plain=plain,
        planned=sorted(
            (
                one.day_on,
                one.wave_at,
                sum(tier.accounts for tier in one.tiers),
                sum(tier.issued_credits for tier in one.tiers),
                sum(tier.expired_credits for tier in one.tiers),
                one.not_opened,
            )
            for one in plan
        ),
        opened=sorted(
            (
                row["day_on"],
                row["wave_at"],
                row["issued"],
                row["issued_credits"],
                row["expired_credits"],
                row["not_opened"],
            )
            for row in runs
        ),
    )


def counted(run_row: Any) -> dict[str, Any]:
    """The counters that chunks added up."""
    names = ("issued", "issued_credits", "not_opened", "expired_credits", "state", "failed")
    return {name: run_row[name] for name in names} | {
        "opened or skipped": run_row["expected"] - run_row["skipped"]
    }


async def rows_of_run(database: Database, run_row: Any) -> dict[str, Any]:
    """The same out of the rows that the run wrote."""
    opened = await database.fetchrow(
        """SELECT count(*), coalesce(sum(credits), 0) AS credits,
                  coalesce(sum(day_on - previous_on - 1), 0) AS missed
             FROM daily_grants WHERE run_id = $1""",
        run_row["id"],
    )
    expired = await database.fetchval(
        """SELECT coalesce(sum(amount), 0) FROM entries
             JOIN journals ON journals.id = journal_id
            WHERE run_id = $1 AND entries.kind = 'expiry'""",
        run_row["id"],
    )
    return {
        "issued": opened["count"],
        "issued_credits": opened["credits"],
        "not_opened": opened["missed"],
        "expired_credits": expired,
        "state": "done",
        "failed": 0,
        "opened or skipped": opened["count"],
    }


@pytest.mark.parametrize(
    ("befell", "carry", "expired"),
    [
        ({}, 0, 17),
        ({}, 3, 14),
        ({"granted_h": 0}, 0, 20),
        ({"held_s": 86_400}, 0, 16),
        ({"withdrawn": True}, 0, 0),
        ({"owes": True}, 0, 0),
    ],
)
async def test_the_set_based_way_takes_all_of_whom_nothing_is_due_before(
    book: Book, befell: dict[str, Any], carry: int, expired: int
) -> None:
    """Else the property above would compare the pure way with itself."""
    database = book.database
    await apply_tiers(book, catalogue(carry, 7, True))
    plain = Person(
        zone="UTC",
        prices=[PRICES[0]],
        status="past_due",
        spent=3,
        held_s=None,
        granted_h=None,
        owes=False,
        withdrawn=False,
        joined=False,
        closed=False,
    )
    person = msgspec.structs.replace(plain, **befell)
    for n in range(4):
        await live(book, n, person)
    await clock.stand(database, NOW + timedelta(days=1))
    (one,) = (await due_waves.due_zones(database)).values()
    catalogue_id, _ = await book.catalogues.present(database)
    number = await run_row.begin(database, one.wave, catalogue_id, "tick", {"UTC": 4})
    async with database.transaction():
        counted = await bulk.open_days(
            database, book.catalogues, "UTC", one.day, Origin("grants", "tick", run_id=number)
        )
        await run_row.add(database, number, counted, 1)
    assert (counted.issued, counted.issued_credits, counted.expired_credits) == (
        4,
        80,
        4 * expired,
    )
    assert await differences(database) == []


async def test_a_second_pass_opens_nothing(book: Book) -> None:
    for n in range(6):
        await put(book, f"user-{n}", None, ZONES[n % 3], "test")
    await clock.stand(book.database, NOW + timedelta(days=1))
    await run.run_due(book.database, book.catalogues, "tick", 30)
    before = await written(book.database, ROWS)
    runs = await run_row.going(book.database)
    await run.run_due(book.database, book.catalogues, "cron", 30)
    assert await written(book.database, ROWS) == before
    assert runs == {}
