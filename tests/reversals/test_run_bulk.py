"""The set-based way of a run's reversal and the pure one write the same rows."""

from __future__ import annotations

import contextlib
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.accounts import standing
from app.accounts.put import put
from app.book import Book
from app.errors import AccountClosedError, InsufficientCreditsError
from app.infrastructure import clock
from app.infrastructure.db import Database
from app.ledger.clawbacks import Policy
from app.ledger.idempotency import request_key
from app.operators.acts import Operator
from app.reversals import journal, run, run_bulk
from app.reversals.record import ReversalOrder, Reversed, find
from app.runs.run import run_due
from app.spending import corrections, hold
from app.spending.keyed import Order
from app.spending.spend import SpendOrder, spend
from tests.acts import ledger_differences
from tests.both_ways import undone, written
from tests.conftest import NOW, new_server, open_database

KEYS = count(1)
DAY = timedelta(days=1)
# Without the numbers that the sequences drew, and whose part it is.
ROWS = {
    "accounts": "id, free, held, debt, day_on, day_withdrawn, due_at, day_lot_id, tier",
    "lots": "id, account_id, source, granted, lapsed, free, held, live, expires_at",
    "entries": "account_id, lot_id, kind, debit, credit, amount, free_after, held_after,"
    " debt_after, reverses_entry_id, effective_at, recorded_at",
    "journals": "kind, source, actor, reverses_journal_id, effective_at, recorded_at, run_id",
    "notes": "reason, metadata, answer",
    "reversals": "of_journal_id, of_run_id, account_id, lot_id, entry_id, house, policy, state,"
    " requested, clawed, held, shortfall, expired, journal_count, skipped, pending,"
    " shortfall_reversed, actor,"
    " reason, created_at",
}

# What happens to an account between its run and the run's reversal.
ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("spend"), st.integers(1, 6)),
        st.tuples(st.just("hold"), st.integers(1, 3)),
        st.tuples(st.just("gift"), st.integers(1, 4)),
        st.tuples(st.just("reverse_gift"), st.sampled_from(["debt", "write_off"])),
        st.tuples(st.just("reverse_opening"), st.just("write_off")),
        st.tuples(st.just("close"), st.just("")),
    ),
    max_size=3,
)


class Story:
    """One account's acts, through the use cases."""

    def __init__(self, book: Book, name: str) -> None:
        self.book = book
        self.name = name
        self.gift: int | None = None

    async def act(self, what: str, value: Any) -> None:
        await getattr(self, f"_{what}")(value)

    async def _spend(self, amount: int) -> None:
        key = request_key(f"key-{next(KEYS)}", "POST", self.name, None)
        order = SpendOrder(account_id=self.name, amount=amount, actor="tests", key=key)
        await spend(self.book, [order])

    async def _hold(self, amount: int) -> None:
        with contextlib.suppress(InsufficientCreditsError):
            await hold.place(self.book, self.name, amount, 900, self._order())

    async def _gift(self, amount: int) -> None:
        with contextlib.suppress(AccountClosedError):
            done = await corrections.grant(
                self.book, self.name, amount, self._order(), expires_at=None, priority=0
            )
            self.gift = done.journal_id

    async def _reverse_gift(self, policy: str) -> None:
        if self.gift is not None:
            await self._reverse(self.gift, policy)

    async def _reverse_opening(self, policy: str) -> None:
        number = await self.book.database.fetchval(
            """SELECT max(journals.id) FROM journals JOIN entries ON journal_id = journals.id
                 JOIN accounts ON accounts.id = account_id
                WHERE journals.kind = 'opening' AND external_id = $1""",
            self.name,
        )
        await self._reverse(number, policy)

    async def _close(self, _: str) -> None:
        await standing.close(self.book, self.name, Operator(actor="tests", reason=None))

    async def _reverse(self, journal_id: int, policy: str) -> None:
        order = reversal_order(Policy(policy))
        await journal.reverse_journal(self.book, journal_id, order, dry_run=False)

    def _order(self) -> Order:
        number = next(KEYS)
        return Order(
            actor="tests", key=request_key(f"key-{number}", "POST", self.name, None), reason="why"
        )


def reversal_order(policy: Policy) -> ReversalOrder:
    key = request_key(f"key-{next(KEYS)}", "POST", "/api/v1/reversals", None)
    return ReversalOrder(reason="a mistake", policy=policy, actor="tests", key=key)


async def taken_back_singly(book: Book, run_id: int, policy: Policy) -> Reversed:
    """The whole run by the pure way, account after account."""
    order = reversal_order(policy)
    number, _ = await run._begin(book.database, run_id, order)
    part = msgspec.structs.replace(order, key=None, part_of=number)
    found = await book.database.fetch(run._NEXT, run_id, 0, 1_000)
    done, skipped = await run._one_by_one(book, found, part)
    nothing = (0, 0, 0, 0, 0, 0)
    await run._progress(book.database, number, 0, len(skipped), [nothing, *done])
    await run._finish(book.database, number)
    return await find(book.database, number)


async def taken_back(book: Book, run_id: int, policy: Policy) -> Reversed:
    order = reversal_order(policy)
    return await run.reverse_run(book, run_id, order, dry_run=False, within_s=60)


async def last_run(database: Database) -> int:
    return int(await database.fetchval("SELECT max(id) FROM runs"))


async def next_day(book: Book) -> datetime:
    now = await clock.stand(book.database, await clock.now(book.database) + DAY)
    await run_due(book.database, book.catalogues, "tick", 60)
    return now


FIVE = ("requested", "clawed", "held", "shortfall", "expired", "journal_count", "skipped")


@given(
    stories=st.lists(ACTS, min_size=1, max_size=6),
    policy=st.sampled_from(Policy),
    later=st.booleans(),
)
@settings(max_examples=20)
async def test_both_ways_of_a_runs_reversal_write_the_same_rows(
    stories: list[list[tuple[str, Any]]], policy: Policy, later: bool
) -> None:
    # A book for each example: no example finds what another left, and none grows with them.
    async with new_server() as server, open_database(server.application_url, 2) as database:
        await clock.stand(database, NOW)
        book = Book(database)
        run_id = await lived(book, stories, later=later)
        async with undone(database):
            singly = await taken_back_singly(book, run_id, policy)
            one_by_one = await written(database, ROWS)
        at_once = await taken_back(book, run_id, policy)
        assert [getattr(at_once, name) for name in FIVE] == [getattr(singly, name) for name in FIVE]
        assert await written(database, ROWS) == one_by_one
        assert await ledger_differences(database) == []


async def lived(book: Book, stories: list[list[tuple[str, Any]]], *, later: bool) -> int:
    """An account for each story: a run opens its day, then it lives; the run's number."""
    named = [f"user-{next(KEYS)}" for _ in stories]
    for name in named:
        await put(book, name, None, None, "tests")
    await next_day(book)
    run_id = await last_run(book.database)
    for name, acts in zip(named, stories, strict=True):
        story = Story(book, name)
        for what, value in acts:
            await story.act(what, value)
    if later:
        await next_day(book)
    return run_id


async def test_the_common_accounts_need_no_look_of_their_own(
    database: Database, book: Book
) -> None:
    for number in range(6):
        await put(book, f"user-{number}", None, None, "tests")
    await next_day(book)
    await Story(book, "user-1").act("spend", 3)
    await Story(book, "user-2").act("hold", 2)
    run_id = await last_run(database)
    found = await database.fetch(run._NEXT, run_id, 0, 1_000)
    order = reversal_order(Policy.DEBT)
    number, _ = await run._begin(database, run_id, order)
    part = msgspec.structs.replace(order, key=None, part_of=number)
    async with database.transaction():
        taken = await run_bulk.take_back(
            database, [row["id"] for row in found], [row["account_id"] for row in found], part
        )
    assert len(taken.journal_ids) == 5
    await run.resume(book, 60)
    told = await find(database, number)
    assert (told.requested, told.clawed, told.held, told.shortfall) == (30, 25, 2, 3)
    assert (told.state, told.journal_count, told.skipped) == ("done", 6, 0)


@pytest.mark.parametrize("policy", list(Policy))
async def test_more_single_accounts_than_a_chunk_takes_are_left_to_the_next(
    database: Database, book: Book, policy: Policy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "SINGLE_ACCOUNTS", 2)
    monkeypatch.setattr(run, "CHUNK_ACCOUNTS", 7)
    for number in range(20):
        await put(book, f"user-{number}", None, None, "tests")
    await next_day(book)
    for number in range(20):
        story = Story(book, f"user-{number}")
        await story.act("spend", 1)
        if number % 2:
            await story.act("hold", 1)
    told = await taken_back(book, await last_run(database), policy)
    if policy is Policy.REJECT:
        assert (told.journal_count, told.skipped, told.requested) == (0, 20, 0)
    else:
        assert (told.journal_count, told.skipped, told.requested) == (20, 0, 100)
        assert (told.clawed, told.held, told.shortfall) == (70, 10, 20)
    assert await ledger_differences(database) == []
