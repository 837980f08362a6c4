"""The only writer: numbers follow the order of drafting, and each balance the one before it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from datetime import timedelta

import asyncpg
import pytest

from app.accounts.put import put
from app.book import Book
from app.infrastructure.clock import NEVER
from app.infrastructure.db import Record
from app.ledger import post
from app.ledger.kinds import Act, House, Kind, LotSource, Side
from app.ledger.sheet import EntryDraft, JournalDraft, Sheet
from app.verify.verify import verify
from tests.conftest import NOW

HASH = bytes(32)


async def accounts(book: Book, count: int) -> list[int]:
    for number in range(count):
        await put(book, f"user-{number}", None, None, "tests")
    rows = await book.database.fetch("SELECT id FROM accounts ORDER BY id")
    return [row["id"] for row in rows]


def draft(act: Act, key: str | None = None, **more: object) -> JournalDraft:
    hashed = None if key is None else HASH
    return JournalDraft(
        act, "tests", "tests", NOW, idempotency_key=key, request_hash=hashed, **more
    )  # type: ignore[arg-type]


async def entries_of(book: Book, account: int) -> list[Record]:
    return await book.database.fetch(
        "SELECT * FROM entries WHERE account_id = $1 ORDER BY id", account
    )


async def ledger_is_whole(book: Book) -> bool:
    # Nobody asked for what is drafted here, and no payment was made for it.
    apart = ("every correction has an operator's act", "every opening names its run")
    checks = [one for one in await verify(book.database) if not one.name.startswith(apart)]
    differences = [text for check in checks for text in check.differences]
    assert differences == []
    return True


def gist(row: Record) -> tuple[object, ...]:
    return (row["kind"], row["debit"], row["credit"], row["amount"], row["free_after"])


def drafted(entry: EntryDraft) -> tuple[object, ...]:
    return (entry.kind, entry.debit, entry.credit, entry.amount, entry.free_after)


async def test_entries_are_numbered_as_they_were_drafted(book: Book) -> None:
    (number,) = await accounts(book, 1)
    async with book.database.transaction():
        sheet = (await post.lock(book.database, [number]))[number].sheet
        first, second = draft(Act.GRANT), draft(Act.SPEND)
        sheet.begin(second)
        sheet.begin(first)
        # The journals' entries lie across one another.
        sheet.grant(first, LotSource.PROMOTIONAL, 10, NEVER)
        sheet.spend(second, 7, None)
        sheet.grant(first, LotSource.PROMOTIONAL, 4, NEVER)
        sheet.spend(second, 9, None)
        wanted = [drafted(entry) for _, entry in sheet.drafted]
        await post.write(book.database, [sheet])
    rows = (await entries_of(book, number))[1:]  # the first is the day's opening
    assert [gist(row) for row in rows] == wanted
    for journal in (first, second):
        mine = [row["id"] for row in rows if row["journal_id"] == journal.number]
        assert mine == sorted(journal.entry_numbers) == journal.entry_numbers
    assert await ledger_is_whole(book)


async def test_a_spend_over_several_lots_names_each_in_burn_order(book: Book) -> None:
    (number,) = await accounts(book, 1)
    async with book.database.transaction():
        sheet = (await post.lock(book.database, [number]))[number].sheet
        granting = sheet.begin(draft(Act.GRANT))
        late = sheet.grant(granting, LotSource.PROMOTIONAL, 3, NEVER)
        soon = sheet.grant(granting, LotSource.PROMOTIONAL, 3, NOW + timedelta(days=9))
        bought = sheet.grant(
            sheet.begin(draft(Act.PURCHASE)),
            LotSource.PURCHASED,
            3,
            NOW + timedelta(days=1),
            house=House.PURCHASED,
            kind=Kind.PURCHASE,
        )
        urgent = sheet.grant(granting, LotSource.PROMOTIONAL, 3, NEVER, priority=1)
        await post.write(book.database, [sheet])
        daily = min(lot.number for lot in sheet.lots if lot.number)
        spending = sheet.begin(draft(Act.SPEND))
        sheet.spend(spending, 3 + 5 + 3 + 3 + 1, None)
        await post.write(book.database, [sheet])
    rows = [row for row in await entries_of(book, number) if row["kind"] == "spend"]
    lots = [urgent.number, daily, soon.number, late.number, bought.number]
    assert [(row["lot_id"], row["amount"]) for row in rows] == list(
        zip(lots, [3, 5, 3, 3, 1], strict=True)
    )
    assert await ledger_is_whole(book)


async def test_a_lot_whose_end_has_come_is_not_drawn_from(book: Book) -> None:
    (number,) = await accounts(book, 1)
    async with book.database.transaction():
        sheet = (await post.lock(book.database, [number]))[number].sheet
        sheet.grant(sheet.begin(draft(Act.GRANT)), LotSource.PROMOTIONAL, 3, NOW)
        assert sheet.available == 5
        sheet.grant(
            sheet.begin(draft(Act.GRANT)), LotSource.PROMOTIONAL, 3, NOW + timedelta.resolution
        )
        assert sheet.available == 8


async def test_a_grant_to_an_account_in_debt_repays_it_at_once(book: Book) -> None:
    (number,) = await accounts(book, 1)
    database = book.database
    async with database.transaction():
        sheet = (await post.lock(database, [number]))[number].sheet
        clawing = sheet.begin(draft(Act.ADJUSTMENT))
        (daily,) = sheet.lots
        sheet.write(clawing, daily, Kind.ADJUSTMENT, Side.FREE, House.ADJUSTED, 5)
        sheet.write(clawing, daily, Kind.TRANSFER, Side.DEBT, House.TRANSFERRED, 8)
        assert (sheet.debt, sheet.balance) == (8, -8)
        await post.write(database, [sheet])
    async with database.transaction():
        sheet = (await post.lock(database, [number]))[number].sheet
        sheet.grant(sheet.begin(draft(Act.GRANT)), LotSource.PROMOTIONAL, 10, NEVER)
        await post.write(database, [sheet])
    rows = await entries_of(book, number)
    assert [(row["kind"], row["amount"]) for row in rows[-2:]] == [("grant", 10), ("repayment", 8)]
    account = await database.fetchrow("SELECT free, held, debt FROM accounts")
    assert tuple(account) == (2, 0, 0)


async def test_one_journal_may_move_two_accounts(book: Book) -> None:
    one, other = await accounts(book, 2)
    async with book.database.transaction():
        locked = await post.lock(book.database, [one, other])
        source, target = locked[one].sheet, locked[other].sheet
        transfer = draft(Act.TRANSFER, reason="moved house")
        source.begin(transfer)
        target.begin(transfer)
        (lot,) = source.lots
        source.write(transfer, lot, Kind.TRANSFER, Side.FREE, House.TRANSFERRED, 5)
        target.grant(
            transfer, LotSource.PROMOTIONAL, 5, NEVER, house=House.TRANSFERRED, kind=Kind.TRANSFER
        )
        await post.write(book.database, [source, target])
    journals = await book.database.fetch("SELECT id FROM journals WHERE kind = 'transfer'")
    assert [row["id"] for row in journals] == [transfer.number]
    assert len(transfer.entry_numbers) == 2
    free = await book.database.fetch("SELECT free FROM accounts ORDER BY id")
    assert [row["free"] for row in free] == [0, 10]
    assert await ledger_is_whole(book)


def act_at_random(sheet: Sheet, dice: random.Random) -> None:
    """Credits come and go, each by the act that such credits come and go by."""
    begun: dict[Act, JournalDraft] = {}

    def journal(act: Act) -> JournalDraft:
        if act not in begun:
            begun[act] = sheet.begin(draft(act))
        return begun[act]

    for _ in range(dice.randint(1, 4)):
        if dice.random() < 0.5 and sheet.available:
            sheet.spend(journal(Act.SPEND), dice.randint(1, sheet.available), None)
        else:
            bring_at_random(sheet, journal, dice)
    lapsing = [lot for lot in sheet.lots if lot.free]
    if dice.random() < 0.3 and lapsing:
        sheet.expire(journal(Act.EXPIRY), dice.choice(lapsing))


def bring_at_random(
    sheet: Sheet, journal: Callable[[Act], JournalDraft], dice: random.Random
) -> None:
    amount, ends_at = dice.randint(1, 50), NOW + timedelta(days=1)
    match dice.choice(list(LotSource)):
        case LotSource.PURCHASED as source:
            sheet.grant(
                journal(Act.PURCHASE),
                source,
                amount,
                ends_at,
                house=House.PURCHASED,
                kind=Kind.PURCHASE,
            )
        case LotSource.CARRIED if sheet.available:
            lot = dice.choice(sheet.spendable())
            opening = journal(Act.OPENING)
            carried = sheet.grant(opening, LotSource.CARRIED, 0, ends_at)
            sheet.carry(opening, [lot], dice.randint(1, lot.free), carried)
        case LotSource.DAILY as source:
            sheet.grant(journal(Act.TOP_UP), source, amount, ends_at)
        case _:
            sheet.grant(journal(Act.GRANT), LotSource.PROMOTIONAL, amount, ends_at)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_hundreds_of_entries_in_one_statement_keep_every_accounts_chain(
    book: Book, seed: int
) -> None:
    numbers = await accounts(book, 5)
    dice = random.Random(seed)
    async with book.database.transaction():
        locked = await post.lock(book.database, numbers)
        sheets = [locked[number].sheet for number in numbers]
        for _ in range(40):
            act_at_random(dice.choice(sheets), dice)
        wanted = {
            sheet.account_id: [drafted(entry) for _, entry in sheet.drafted] for sheet in sheets
        }
        journals = [journal for sheet in sheets for journal in sheet.journals]
        await post.write(book.database, sheets)
    for number in numbers:
        assert [gist(row) for row in await entries_of(book, number)][1:] == wanted[number]
    for journal in journals:
        found = await book.database.fetch(
            "SELECT id FROM entries WHERE journal_id = $1 ORDER BY id", journal.number
        )
        assert [row["id"] for row in found] == journal.entry_numbers
    assert await ledger_is_whole(book)


async def test_a_key_that_was_used_lets_nothing_of_the_write_stand(book: Book) -> None:
    one, other = await accounts(book, 2)

    async def spend_under_key(number: int) -> None:
        async with book.database.transaction():
            sheet = (await post.lock(book.database, [number]))[number].sheet
            sheet.spend(sheet.begin(draft(Act.SPEND, "key")), 2, None)
            await post.write(book.database, [sheet])

    await spend_under_key(one)
    with pytest.raises(asyncpg.UniqueViolationError):
        await spend_under_key(other)
    free = await book.database.fetch("SELECT free FROM accounts ORDER BY id")
    assert [row["free"] for row in free] == [3, 5]
    assert await ledger_is_whole(book)


async def test_writing_a_sheet_twice_writes_its_drafts_once(book: Book) -> None:
    (number,) = await accounts(book, 1)
    async with book.database.transaction():
        sheet = (await post.lock(book.database, [number]))[number].sheet
        sheet.spend(sheet.begin(draft(Act.SPEND)), 2, None)
        await post.write(book.database, [sheet])
        await post.write(book.database, [sheet])
    assert len(await entries_of(book, number)) == 2
    assert await ledger_is_whole(book)


async def test_locks_are_taken_in_order_so_that_two_posts_never_wait_in_a_ring(
    book: Book,
) -> None:
    numbers = await accounts(book, 6)

    async def post_to_all(order: list[int]) -> None:
        async with book.database.transaction():
            locked = await post.lock(book.database, order)
            for number in order:
                sheet = locked[number].sheet
                sheet.grant(sheet.begin(draft(Act.GRANT)), LotSource.PROMOTIONAL, 1, NEVER)
            await post.write(book.database, [locked[number].sheet for number in order])

    orders = [numbers if turn % 2 else numbers[::-1] for turn in range(12)]
    await asyncio.gather(*map(post_to_all, orders))
    free = await book.database.fetch("SELECT free FROM accounts")
    assert {row["free"] for row in free} == {5 + len(orders)}
    assert await ledger_is_whole(book)
