"""The short way of a spend and the way by sheets answer the same and write the same rows."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import asyncpg
import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from app.accounts import names, standing
from app.accounts.put import put
from app.book import Book
from app.errors import TallybookError
from app.infrastructure import clock
from app.infrastructure.db import Database
from app.ledger.idempotency import RequestKey, key_of, request_key
from app.operators.acts import Operator
from app.spending import corrections, hold
from app.spending.keyed import Order
from app.spending.orders import AccountTaken, SpendOrder, Spent
from app.spending.plain import spend_plain
from app.spending.spend import spend, spend_by_sheet
from tests.both_ways import differing, undone, written
from tests.conftest import NOW, open_database
from tests.invariants import differences

ROWS = {
    "accounts": "id, free, held, debt, last_used_at, written_at, due_at",
    "lots": "account_id, source, priority, granted_at, granted, lapsed, moved, refunded, free,"
    " held, live, expires_at",
    # A lot that the spend's own day opened has another number in each way.
    "entries": "account_id, (SELECT row(source, priority, granted_at, expires_at)::text"
    " FROM lots WHERE lots.id = lot_id) AS lot, kind, debit, credit, amount, free_after,"
    " held_after, debt_after, hold_id, effective_at, recorded_at,"
    " (SELECT idempotency_key FROM journals WHERE journals.id = journal_id) AS key",
    "journals": "kind, source, actor, idempotency_key, request_hash, label, member,"
    " effective_at, recorded_at,"
    " (SELECT row(reason, metadata, answer)::text FROM notes WHERE journal_id = journals.id)"
    " AS note",
}


class Grant(msgspec.Struct, frozen=True):
    """A promotional lot; ``hours`` until it ends, which may be before the spends come."""

    amount: int
    priority: int | None
    hours: int | None


class Person(msgspec.Struct, frozen=True):
    """What an account is when the spends come."""

    grants: list[Grant]
    held: int
    suspended: bool
    closed: bool
    renamed: bool  # it is known by the id that it had
    dormant: bool  # its day has ended


class Wish(msgspec.Struct, frozen=True):
    """A spend that is asked for; ``key`` is drawn from few, so that some come again."""

    person: int
    amount: int
    key: int
    content: int
    label: str | None
    reason: str | None
    metadata: dict[str, str] | None


seldom = st.sampled_from([False] * 9 + [True])
people = st.builds(
    Person,
    grants=st.lists(
        st.builds(
            Grant,
            st.integers(1, 9),
            st.sampled_from([None, 50, 200, 500]),
            st.sampled_from([None, 1, 3, 48]),
        ),
        max_size=4,
    ),
    held=st.sampled_from([0, 0, 0, 1, 4]),
    suspended=seldom,
    closed=seldom,
    renamed=seldom,
    dormant=seldom,
)
wishes = st.builds(
    Wish,
    person=st.integers(0, 3),
    amount=st.sampled_from([1, 1, 2, 3, 7, 20]),
    key=st.sampled_from([*range(40), *range(3)]),
    content=st.sampled_from([0] * 9 + [1]),
    label=st.sampled_from([None, "search"]),
    reason=st.sampled_from([None, "a reason"]),
    metadata=st.sampled_from([None, {}, {"a": "b"}]),
)


def order_of(wish: Wish) -> SpendOrder:
    return SpendOrder(
        account_id=f"user-{wish.person}",
        amount=wish.amount,
        actor="test",
        key=request_key(f"key-{wish.key}", "POST", f"user-{wish.person}", wish.content),
        label=wish.label,
        member=wish.label,
        reason=wish.reason,
        metadata=wish.metadata,
    )


async def live(book: Book, number: int, person: Person) -> None:
    """Bring an account to where the spends find it, two hours later."""
    name = f"user-{number}"
    began = NOW - timedelta(days=2) if person.dormant else NOW
    await clock.stand(book.database, began)
    await put(book, name, None, None, "test")
    for n, one in enumerate(person.grants):
        order = Order(actor="test", key=request_key(f"{name}-{n}", "POST", name, None))
        ends_at = None if one.hours is None else began + timedelta(hours=one.hours)
        await corrections.grant(
            book, name, one.amount, order, expires_at=ends_at, priority=one.priority
        )
    if person.held:
        order = Order(actor="test", key=request_key(f"{name}-held", "POST", name, None))
        await hold.place(book, name, person.held, 80_000, order)
    by = Operator(actor="test", reason=None)
    if person.suspended:
        await standing.suspend(book, name, by)
    if person.closed:
        await standing.close(book, name, by)
    if person.renamed:
        key = request_key(f"{name}-renamed", "POST", name, None)
        await names.rename(book, name, f"now-{name}", names.NameOrder(key=key, by=by))


async def live_all(book: Book, everybody: list[Person]) -> None:
    """The same of all, those whose day has ended first: the clock does not go back."""
    for number, person in sorted(enumerate(everybody), key=lambda one: not one[1].dormant):
        await live(book, number, person)
    await clock.stand(book.database, NOW + timedelta(hours=2))


def told(results: Sequence[Spent | TallybookError | AccountTaken]) -> list[Any]:
    """The results without the numbers of rows, which are drawn anew in each way."""
    return [
        msgspec.structs.replace(one, journal_id=0, entry_ids=(0,) * len(one.entry_ids))
        if isinstance(one, Spent)
        else (one.code, vars(one).get("facts"))
        if isinstance(one, TallybookError)
        else one
        for one in results
    ]


@pytest.fixture
def loop(server: Any) -> Iterator[tuple[asyncio.Runner, Book]]:
    """A loop with a book; the examples of a property share it and undo what they did."""
    with asyncio.Runner() as runner:
        database = Database(server.application_url, 2)
        runner.run(database.open())
        yield runner, Book(database)
        runner.run(database.close())


@settings(max_examples=60, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(
    everybody=st.lists(people, min_size=1, max_size=4),
    groups=st.lists(st.lists(wishes, min_size=1, max_size=12), min_size=1, max_size=3),
)
def test_both_ways_of_a_spend_write_the_same_rows(loop, everybody, groups) -> None:
    runner, book = loop
    short, long = runner.run(both_ways(book, everybody, groups))
    assert short[0] == long[0]
    assert differing(short[1], long[1]) == []


async def both_ways(
    book: Book, everybody: list[Person], groups: list[list[Wish]]
) -> tuple[Any, Any]:
    async with undone(book.database):
        await live_all(book, everybody)
        ways = []
        for way in (spend, spend_by_sheet):
            async with undone(book.database):
                results = [
                    await way(book, [order_of(wish) for wish in wishes]) for wishes in groups
                ]
                ways.append(([told(one) for one in results], await written(book.database, ROWS)))
        return ways[0], ways[1]


async def test_the_short_way_takes_what_is_plain(book: Book) -> None:
    """Else the property above would compare the sheets with themselves."""
    database = book.database
    plain = Person([Grant(3, 500, None), Grant(2, 50, 48)], 1, False, False, False, False)
    await live_all(book, [plain])
    # By priority: the gift of two of which one is held, the day's five, the late gift of three.
    wishes = [Wish(0, 1, 0, 0, None, None, None), Wish(0, 7, 1, 0, "a", "why", {"b": "c"})]
    first, second = await spend_plain(database, [order_of(wish) for wish in wishes])
    assert first is not None
    assert second is not None
    assert (first.available, first.balance, len(first.entry_ids)) == (8, 9, 1)
    assert (second.available, second.balance, len(second.entry_ids)) == (1, 2, 2)
    drawn = await database.fetch(
        """SELECT journal_id, priority, amount, free_after FROM entries
             JOIN lots ON lots.id = lot_id WHERE kind = 'spend' ORDER BY entries.id"""
    )
    assert [tuple(row) for row in drawn] == [
        (first.journal_id, 50, 1, 8),
        (second.journal_id, 200, 5, 3),
        (second.journal_id, 500, 2, 1),
    ]
    assert await differences(database) == []


async def test_of_many_lots_the_short_way_reads_the_first_hundred(book: Book) -> None:
    """They are drawn as by sheets; what the first hundred do not cover is left to those."""
    many = Person([Grant(1, 50, None)] * 110, 0, False, False, False, False)
    within, beyond = (Wish(0, amount, amount, 0, None, None, None) for amount in (30, 101))
    short, long = await both_ways(book, [many], [[within, Wish(0, 7, 1, 0, None, None, None)]])
    assert short == long
    await live_all(book, [many])
    assert await spend_plain(book.database, [order_of(beyond)]) == [None]
    (spent,) = await spend_plain(book.database, [order_of(within)])
    assert spent is not None
    assert (spent.available, len(spent.entry_ids)) == (85, 30)
    lots = await book.database.fetch("SELECT id, free FROM lots WHERE priority = 50 ORDER BY id")
    assert [lot["free"] for lot in lots] == [0] * 30 + [1] * 80
    assert await differences(book.database) == []


@pytest.mark.parametrize(
    "wish",
    [
        Wish(0, 6, 1, 0, None, None, None),  # more than there is
        Wish(0, 1, 0, 0, None, None, None),  # its key was used
        Wish(1, 1, 1, 0, None, None, None),  # nobody has this id
    ],
)
async def test_the_short_way_leaves_what_is_not(book: Book, wish: Wish) -> None:
    await live_all(book, [Person([], 0, False, False, False, False)])
    await spend_plain(book.database, [order_of(Wish(0, 1, 0, 0, None, None, None))])
    before = await written(book.database, ROWS)
    assert await spend_plain(book.database, [order_of(wish)]) == [None]
    assert await written(book.database, ROWS) == before


async def test_one_key_through_two_accounts_at_once_is_taken_once(book: Book, server: Any) -> None:
    for name in ("ada", "ben"):
        await put(book, name, None, None, "test")
    key = RequestKey(key_of("shared", b""), b"1" * 32)
    ada, ben = (
        SpendOrder(account_id=name, amount=1, actor="test", key=key) for name in ("ada", "ben")
    )
    async with open_database(server.application_url, 1) as elsewhere:
        async with elsewhere.transaction():
            (theirs,) = await spend_plain(elsewhere, [ada])
            assert theirs is not None
            ours = asyncio.create_task(spend_plain(book.database, [ben]))
            await asyncio.sleep(0.2)
            assert not ours.done()
        with pytest.raises(asyncpg.UniqueViolationError):
            await ours
    assert await differences(book.database) == []


async def test_a_spend_that_waited_for_none_sees_what_the_last_holder_left(
    book: Book, server: Any
) -> None:
    await put(book, "ada", None, None, "test")
    orders = [
        SpendOrder(
            account_id="ada", amount=2, actor="test", key=RequestKey(key_of(f"{n}", b""), b"1" * 32)
        )
        for n in range(40)
    ]
    async with open_database(server.application_url, 8) as several:
        found = await asyncio.gather(*(spend_plain(several, [one]) for one in orders))
    spent = [one for (one,) in found if one is not None]
    assert sorted(one.available for one in spent) == [1, 3][-len(spent) :]
    assert await differences(book.database) == []
