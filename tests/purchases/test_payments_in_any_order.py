"""Whatever order a payment's events come in, its lot ends at what DESIGN's formula says."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from app.book import Book
from app.errors import AccountUnknownError, InsufficientCreditsError, TallybookError
from app.ledger.clawbacks import Policy
from app.ledger.idempotency import RequestKey, request_key
from app.reversals.journal import reverse_journal
from app.reversals.record import ReversalOrder
from app.spending import hold
from app.spending.keyed import Order
from app.spending.spend import SpendOrder, spend
from app.webhooks.receive import receive
from tests.invariants import differences
from tests.purchases.payment_life import PACK_CREDITS, PaymentLife

DAILY = 5
EXAMPLES = int(os.environ.get("TALLYBOOK_MONEY_EXAMPLES", "25"))


async def deliver(book: Book, event: dict[str, object]) -> str:
    return str((await receive(book, json.dumps(event).encode(), livemode=False)).outcome)


async def stands(book: Book, name: str) -> tuple[int, int, int, int, int]:
    """(free, held, debt, taken, frozen) of the payment's account and lot."""
    row = await book.database.fetchrow(
        """SELECT free, held, debt, taken, frozen FROM purchases
             JOIN backings ON backings.id = backing_id
             JOIN accounts ON accounts.id = account_id WHERE payment_key = $1""",
        f"pi_{name}",
    )
    assert row is not None
    return tuple(row)  # type: ignore[return-value]


def life_of(name: str, seed: int, steps: int) -> PaymentLife:
    random = Random(seed)
    life = PaymentLife(name, random.choice([1, 7, 999, 1_000, 123_456]), random)
    life.buy()
    for _ in range(steps):
        life.step()
    return life


async def test_every_order_of_a_money_life_ends_at_the_formula(book, database) -> None:
    """Session unpaid and paid, two refunds of which one fails, a dispute opened and lost."""
    orders = list(itertools.permutations(range(7)))
    for turn, order in enumerate(Random(7).sample(orders, 60)):
        name = f"o{turn}"
        life = PaymentLife(name, 1_000, Random(3))
        life.buy()
        while len(life.events) < 2:  # one that takes its time to be paid
            life.events.clear()
            life.buy()
        for act in (life.refund, life.refund, life.fail, life.dispute, life.decide):
            life.tick()
            act()
        assert len(life.events) >= 7
        events = [life.events[at] for at in order] + life.events[7:]
        for event in events:
            assert await deliver(book, event) in ("applied", "stale", "ignored")
        free, held, debt, taken, frozen = await stands(book, name)
        assert (taken, frozen) == (life.taken(), life.frozen())
        assert (free, held, debt) == (DAILY + PACK_CREDITS - taken - frozen, frozen, 0)
    assert await differences(database) == []


class Customer:
    """Spends and holds of one account between the deliveries."""

    def __init__(self, book: Book, life: PaymentLife) -> None:
        self.book = book
        self.life = life
        self.spent = 0
        self.serial = 0
        self.spends: list[tuple[int, int]] = []
        self.holds: list[tuple[int, int]] = []

    def key(self) -> RequestKey:
        self.serial += 1
        return request_key(f"{self.life.name}-{self.serial}", "POST", "/", {})

    def order(self) -> Order:
        return Order(actor="tests", key=self.key())

    async def act(self, random: Random) -> None:
        """One act; a refusal changes nothing."""
        act = random.choice(
            [self.spend, self.spend, self.hold, self.capture, self.release, self.reverse]
        )
        with contextlib.suppress(InsufficientCreditsError, AccountUnknownError):
            await act(random)

    async def spend(self, random: Random) -> None:
        amount = random.randint(1, 60)
        order = SpendOrder(
            account_id=f"cus_{self.life.name}", amount=amount, actor="tests", key=self.key()
        )
        (answer,) = await spend(self.book, [order])
        if isinstance(answer, TallybookError):
            raise answer
        self.spent += amount
        self.spends.append((answer.journal_id, amount))

    async def hold(self, random: Random) -> None:
        amount = random.randint(1, 60)
        done = await hold.place(self.book, f"cus_{self.life.name}", amount, 900, self.order())
        self.holds.append((int(str(done.answer["hold_id"])), amount))

    async def capture(self, random: Random) -> None:
        if self.holds:
            number, amount = self.holds.pop(random.randrange(len(self.holds)))
            part = random.randint(1, amount)
            await hold.capture(self.book, number, hold.Capture(amount=part), self.order())
            self.spent += part

    async def release(self, random: Random) -> None:
        if self.holds:
            number, _ = self.holds.pop(random.randrange(len(self.holds)))
            await hold.release(self.book, number, self.order())

    async def reverse(self, random: Random) -> None:
        if self.spends:
            number, amount = self.spends.pop(random.randrange(len(self.spends)))
            order = ReversalOrder(
                reason="a mistake", policy=Policy.WRITE_OFF, actor="tests", key=self.key()
            )
            await reverse_journal(self.book, number, order, dry_run=False)
            self.spent -= amount

    async def check(self) -> None:
        """Conservation: what came less what was taken and spent; never more than the pack."""
        row = await self.book.database.fetchrow(
            """SELECT accounts.free, accounts.held, accounts.debt,
                      coalesce(backings.credits, 0) AS came, coalesce(taken, 0) AS taken,
                      coalesce(pending, 0) AS waiting, coalesce(to_freeze, 0) AS to_freeze,
                      coalesce(frozen, 0) AS frozen, lots.free AS lot_free
                 FROM customers JOIN accounts ON accounts.id = customers.account_id
                 LEFT JOIN backings ON backings.account_id = accounts.id
                 LEFT JOIN lots ON lots.id = backings.lot_id WHERE customers.id = $1""",
            f"cus_{self.life.name}",
        )
        if row is None:
            return
        balance = row["free"] + row["held"] - row["debt"]
        assert balance == DAILY + row["came"] - (row["taken"] - row["waiting"]) - self.spent
        assert row["taken"] + row["to_freeze"] <= row["came"] or row["came"] == 0
        assert row["frozen"] == row["to_freeze"] or row["lot_free"] == 0, "what is free is frozen"


@settings(max_examples=EXAMPLES)
@given(seed=st.integers(0, 10**6))
def test_no_order_no_copies_and_no_spends_between_mint_or_lose_a_credit(
    seed: int, loop_book
) -> None:
    runner, book = loop_book
    life, taken, frozen = runner.run(live(book, seed))
    assert taken == life.taken()
    assert frozen <= life.frozen()


async def live(book: Book, seed: int) -> tuple[PaymentLife, int, int]:
    """Deliveries with acts between, each checked; then what was taken and is frozen."""
    random = Random(seed)
    count = await book.database.fetchval("SELECT count(*) FROM accounts")
    life = life_of(f"l{seed}x{count}", seed, random.randint(1, 8))
    deliveries = [*life.events, *random.sample(life.events, len(life.events) // 2)]
    random.shuffle(deliveries)
    customer = Customer(book, life)
    for event in deliveries:
        assert await deliver(book, event) in ("applied", "stale", "ignored", "duplicate")
        await customer.check()
        for _ in range(random.randint(0, 2)):
            await customer.act(random)
            await customer.check()
    _, _, _, taken, frozen = await stands(book, life.name)
    while customer.holds:
        await customer.release(random)
        await customer.check()
    return life, taken, frozen
