"""SIGKILL before and after every statement of each write; a replay finds or finishes the work.

A forked child does the act and dies at its n-th point; the parent repeats the act under the same
key. What stands then is what one undisturbed act leaves.

After one statement is before the next: nothing but Python runs between the two. So the suite dies
before the first and after each; TALLYBOOK_CRASH_POINTS=all dies at both all the same.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import warnings
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from app.accounts import standing
from app.accounts.put import put
from app.book import Book
from app.infrastructure import clock
from app.infrastructure.db import Database
from app.ledger.clawbacks import Policy
from app.ledger.idempotency import RequestKey, request_key
from app.operators.acts import Operator
from app.reversals import journal, returns, run
from app.reversals.event import reverse_event
from app.reversals.record import ReversalOrder
from app.reversals.returns import ReturnOrder
from app.runs.run import run_due
from app.spending import corrections, hold
from app.spending.grants import GrantOrder, grant_many
from app.spending.keyed import Order
from app.spending.orders import ACCOUNT_TAKEN, SpendOrder
from app.spending.spend import spend, spend_by_sheet
from app.usage import fold
from app.verify.verify import verify
from app.webhooks.receive import receive
from tests.conftest import NOW, open_database
from tests.money_events import make_refund_event, make_session_event
from tests.stripe_events import make_subscription_event

OPERATOR = Operator(actor="tests", reason="of the tests")

POINTS_MAX = 200  # an act with more statements than half of that is a finding of its own
ALL = os.environ.get("TALLYBOOK_CRASH_POINTS") == "all"
POINTS = range(1, POINTS_MAX) if ALL else (1, *range(2, POINTS_MAX, 2))
Step = Callable[[Book, int], Awaitable[Any]]


@dataclass(frozen=True)
class UseCase:
    """One write on account ``user-n``: what stands before it, and the act itself."""

    prepare: Step
    act: Step


def key(n: int, name: str = "act") -> RequestKey:
    return request_key(f"{name}-{n}", "POST", "/tests", {"n": n})


def order(n: int, name: str = "act") -> Order:
    return Order(actor="tests", key=key(n, name), reason="a reason")


def spend_order(n: int, amount: int, name: str = "act", of: str = "user") -> SpendOrder:
    return SpendOrder(account_id=f"{of}-{n}", amount=amount, actor="tests", key=key(n, name))


def snapshot(n: int) -> bytes:
    event = make_subscription_event(
        f"evt_{n}", "created", NOW, subscription=f"sub_{n}", customer=f"cus-{n}"
    )
    return json.dumps(event).encode()


def money(n: int, event: dict[str, Any]) -> bytes:
    """The same event about the payment and the customer of account n."""
    told = json.dumps(event)
    for name in ("pi_1", "cs_1", "ch_1", "re_1"):
        told = told.replace(f'"{name}"', f'"{name}-{n}"')
    return told.replace('"cus_1"', f'"cus-{n}"').encode()


async def bought(book: Book, n: int) -> None:
    """A pack of which a part is spent and a part is held."""
    event = make_session_event(f"evt_{n}_0", NOW, reference=f"user-{n}")
    await receive(book, money(n, event), livemode=False)
    await spend(book, [spend_order(n, 25, "spend")])
    await hold.place(book, f"user-{n}", 40, 900, order(n, "hold"))


async def refund(book: Book, n: int) -> None:
    event = make_refund_event(f"evt_{n}", NOW, 900)
    await receive(book, money(n, event), livemode=False)


async def refunded(book: Book, n: int) -> None:
    await bought(book, n)
    await refund(book, n)


async def reverse_refund(book: Book, n: int) -> None:
    wanted = ReversalOrder(reason="a reason", policy=Policy.DEBT, actor="tests", key=key(n))
    await reverse_event(book, f"evt_{n}", wanted, dry_run=False)


async def opened(book: Book, n: int) -> None:
    await put(book, f"user-{n}", None, None, "tests")


async def opened_yesterday(book: Book, n: int) -> None:
    await opened(book, n)
    await clock.stand(book.database, await clock.now(book.database) + timedelta(days=1))


async def held(book: Book, n: int) -> None:
    await opened(book, n)
    await hold.place(book, f"user-{n}", 4, 900, order(n, "hold"))


async def granted_and_spent(book: Book, n: int) -> None:
    await opened(book, n)
    await corrections.grant(book, f"user-{n}", 10, order(n, "grant"), expires_at=None, priority=0)
    await spend(book, [spend_order(n, 8, "spend")])


async def spent(book: Book, n: int) -> None:
    await opened(book, n)
    await corrections.grant(book, f"user-{n}", 10, order(n, "grant"), expires_at=None, priority=0)
    await spend(book, [spend_order(n, 12, "spend")])


async def two_accounts(book: Book, n: int) -> None:
    await receive(book, snapshot(n), livemode=False)
    await spend(book, [spend_order(n, 3, "spend", of="cus")])
    await opened(book, n)
    await spend(book, [spend_order(n, 2, "other")])


async def opened_by_a_run(book: Book, n: int) -> None:
    # The others end here: the run, and with it the number of points, stays small.
    for row in await book.database.fetch("SELECT external_id FROM accounts"):
        await standing.close(book, row["external_id"], OPERATOR)
    await opened_yesterday(book, n)
    await run_due(book.database, book.catalogues, "tests", 30)
    await spend(book, [spend_order(n, 2, "spend")])


async def hold_number(book: Book, n: int) -> int:
    return await book.database.fetchval(  # type: ignore[no-any-return]
        """SELECT holds.id FROM holds JOIN accounts ON accounts.id = account_id
            WHERE external_id = $1""",
        f"user-{n}",
    )


async def reverse_named(book: Book, n: int, name: str, policy: Policy) -> None:
    number = await book.database.fetchval(
        "SELECT id FROM journals WHERE idempotency_key = $1", f"{name}-{n}"
    )
    wanted = ReversalOrder(reason="a reason", policy=policy, actor="tests", key=key(n))
    await journal.reverse_journal(book, number, wanted, dry_run=False)


async def reverse_last_run(book: Book, n: int) -> None:
    number = await book.database.fetchval("SELECT max(id) FROM runs")
    wanted = ReversalOrder(reason="a reason", policy=Policy.WRITE_OFF, actor="tests", key=key(n))
    await run.reverse_run(book, number, wanted, dry_run=False, within_s=30)


async def capture(book: Book, n: int) -> None:
    await hold.capture(book, await hold_number(book, n), hold.Capture(amount=3), order(n))


async def used_up(book: Book, n: int) -> None:
    """A hold that leaks, and a balance that is used up and comes back."""
    await opened(book, n)
    await hold.place(book, f"user-{n}", 4, 10, order(n, "hold"))
    await clock.stand(book.database, await clock.now(book.database) + timedelta(seconds=11))
    await spend(book, [spend_order(n, 5, "spend")])
    await corrections.grant(book, f"user-{n}", 2, order(n, "grant"), expires_at=None, priority=0)


async def fold_once(book: Book, _: int) -> None:
    await fold.fold(book.database, book.catalogues, 30)


async def extend(book: Book, n: int) -> None:
    await hold.extend(book, await hold_number(book, n), 1_200, order(n))


async def release(book: Book, n: int) -> None:
    await hold.release(book, await hold_number(book, n), order(n))


async def capture_part(book: Book, n: int) -> None:
    wanted = hold.Capture(amount=3, final=False)
    await hold.capture(book, await hold_number(book, n), wanted, order(n))


async def capture_into_debt(book: Book, n: int) -> None:
    wanted = hold.Capture(amount=9, over=hold.Over.DEBT, debt_max=10)
    await hold.capture(book, await hold_number(book, n), wanted, order(n))


async def owed_and_repaid(book: Book, n: int) -> None:
    await held(book, n)
    wanted = hold.Capture(amount=9, over=hold.Over.DEBT, debt_max=10)
    await hold.capture(book, await hold_number(book, n), wanted, order(n, "owed"))
    await corrections.grant(book, f"user-{n}", 3, order(n, "grant"), expires_at=None, priority=0)


async def give_back(book: Book, n: int) -> None:
    wanted = ReturnOrder(hold=await hold_number(book, n), amount=7)
    await returns.give_back(book, f"user-{n}", wanted, order(n))


async def given_back(book: Book, n: int) -> None:
    """Returned to two lots and against a debt, of which a gift had repaid a part."""
    await owed_and_repaid(book, n)
    wanted = ReturnOrder(hold=await hold_number(book, n), amount=8)
    await returns.give_back(book, f"user-{n}", wanted, order(n, "return"))
    await spend(book, [spend_order(n, 2, "spend")])


async def grant_two(book: Book, n: int) -> None:
    gifts = [GrantOrder(account_id=f"user-{n}", amount=3, order=order(n, name)) for name in "ab"]
    await grant_many(book, gifts)


USE_CASES = {
    "a plain spend": UseCase(opened, lambda book, n: spend(book, [spend_order(n, 3)])),
    "a spend": UseCase(opened, lambda book, n: spend_by_sheet(book, [spend_order(n, 3)])),
    "a spend that opens the day": UseCase(
        opened_yesterday, lambda book, n: spend(book, [spend_order(n, 3)])
    ),
    "a hold": UseCase(opened, lambda book, n: hold.place(book, f"user-{n}", 3, 900, order(n))),
    "a capture": UseCase(held, capture),
    "a capture of a part": UseCase(held, capture_part),
    "a capture into debt": UseCase(held, capture_into_debt),
    "a return of what was owed and repaid": UseCase(owed_and_repaid, give_back),
    "a reversal of a return": UseCase(
        given_back, lambda book, n: reverse_named(book, n, "return", Policy.WRITE_OFF)
    ),
    "an extension": UseCase(held, extend),
    "a batch of grants": UseCase(opened, grant_two),
    "a release": UseCase(held, release),
    "a grant": UseCase(
        opened,
        lambda book, n: corrections.grant(
            book, f"user-{n}", 3, order(n), expires_at=None, priority=None
        ),
    ),
    "an adjustment": UseCase(
        opened, lambda book, n: corrections.adjust(book, f"user-{n}", -3, order(n))
    ),
    "a reversal of a grant": UseCase(
        granted_and_spent, lambda book, n: reverse_named(book, n, "grant", Policy.DEBT)
    ),
    "a reversal of a spend": UseCase(
        spent, lambda book, n: reverse_named(book, n, "spend", Policy.WRITE_OFF)
    ),
    "a reversal of a run": UseCase(opened_by_a_run, reverse_last_run),
    "a close": UseCase(
        opened_yesterday, lambda book, n: standing.close(book, f"user-{n}", OPERATOR)
    ),
    "a webhook": UseCase(opened, lambda book, n: receive(book, snapshot(n), livemode=False)),
    "a purchase": UseCase(
        opened,
        lambda book, n: receive(
            book,
            money(n, make_session_event(f"evt_{n}", NOW, reference=f"user-{n}")),
            livemode=False,
        ),
    ),
    "a refund": UseCase(bought, refund),
    "a reversal of a refund's event": UseCase(refunded, reverse_refund),
    "a daily run": UseCase(
        opened_yesterday,
        lambda book, _: run_due(book.database, book.catalogues, "tests", 30),
    ),
    "a fold": UseCase(used_up, fold_once),
    "a PUT that joins two accounts": UseCase(
        two_accounts, lambda book, n: put(book, f"user-{n}", f"cus-{n}", None, "tests")
    ),
}


def die_at(point: int) -> None:
    """Kill this process at the n-th point: 1 before the first statement, 2 after it, and so on.

    Asyncpg's own methods are wrapped, in the child alone: BEGIN, COMMIT and savepoints pass here.
    """
    passed = 0

    def pass_point() -> None:
        nonlocal passed
        passed += 1
        if passed == point:
            os.kill(os.getpid(), signal.SIGKILL)

    def wrapped(method: Any) -> Any:
        async def call(*args: Any, **options: Any) -> Any:
            pass_point()
            result = await method(*args, **options)
            pass_point()
            return result

        return call

    for name in ("fetch", "fetchrow", "fetchval", "execute"):
        setattr(asyncpg.Connection, name, wrapped(getattr(asyncpg.Connection, name)))


def killed(url: str, use_case: UseCase, n: int, point: int) -> bool:
    """Do the act in a forked child that dies at this point; False where it came to its end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside xdist's thread
        pid = os.fork()
    if pid == 0:
        status = 1
        try:
            silence = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silence, 1)
            os.dup2(silence, 2)
            asyncio.run(_child(url, use_case, n, point))
            status = 0
        finally:
            os._exit(status)
    _, ended = os.waitpid(pid, 0)
    if os.WIFSIGNALED(ended):
        assert os.WTERMSIG(ended) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(ended) == 0, "the child failed before its point"
    return False


async def _child(url: str, use_case: UseCase, n: int, point: int) -> None:
    async with open_database(url, 1) as database:
        book = Book(database)
        await book.catalogues.present(database)  # parsed once for a process, long before
        die_at(point)
        await use_case.act(book, n)


_STATE = {
    "accounts": """SELECT free, held, debt, tier, day_opening, day_used_brought, day_withdrawn,
                          closed_at IS NULL AS open, joined_to IS NULL AS own FROM accounts
                    WHERE id = ANY($1::bigint[]) ORDER BY id""",
    "entries": """SELECT journals.kind AS act, journals.idempotency_key IS NULL AS keyless,
                         entries.kind, debit, credit, amount, free_after, held_after, debt_after
                    FROM entries JOIN journals ON journals.id = journal_id
                   WHERE account_id = ANY($1::bigint[]) ORDER BY entries.id""",
    "lots": """SELECT source, priority, granted, lapsed, refunded, free, held, live FROM lots
                WHERE account_id = ANY($1::bigint[]) ORDER BY id""",
    "holds": """SELECT amount, captured, state FROM holds
                 WHERE account_id = ANY($1::bigint[]) ORDER BY id""",
    "reversals": """SELECT policy, state, requested, clawed, held, shortfall, expired, pending
                      FROM reversals WHERE account_id = ANY($1::bigint[]) ORDER BY id""",
    "days": """SELECT opening, tier, credits FROM daily_grants
                WHERE account_id = ANY($1::bigint[]) ORDER BY day_on""",
    "subscriptions": """SELECT state, tier FROM subscriptions
                         WHERE account_id = ANY($1::bigint[]) ORDER BY id""",
    "alerts": """SELECT kind, threshold, value FROM alerts
                  WHERE account_id = ANY($1::bigint[]) ORDER BY id""",
    "messages": """SELECT type, state, attempt_count FROM webhook_messages
                    WHERE account_id = ANY($1::bigint[]) ORDER BY id""",
}


async def state_of(database: Database, n: int) -> dict[str, list[tuple[Any, ...]]]:
    """All that stands of account n, its joined ones included, without ids and instants."""
    rows = await database.fetch(
        """WITH own AS (SELECT id FROM accounts WHERE external_id = $1
                        UNION SELECT account_id FROM customers WHERE id = $2)
           SELECT id FROM accounts WHERE id IN (SELECT id FROM own)
               OR joined_to IN (SELECT id FROM own)""",
        f"user-{n}",
        f"cus-{n}",
    )
    numbers = [row["id"] for row in rows]
    found = {
        name: [tuple(row) for row in await database.fetch(query, numbers)]
        for name, query in _STATE.items()
    }
    verdict = await database.fetch("SELECT verdict FROM events WHERE id = $1", f"evt_{n}")
    going = await database.fetch(
        """SELECT 'run' FROM runs WHERE state = 'going'
           UNION ALL SELECT 'reversal' FROM reversals WHERE state = 'going'"""
    )
    return {**found, "verdict": [tuple(row) for row in verdict], "going": [*map(tuple, going)]}


async def _begin(url: str) -> Book:
    database = Database(url, 2)
    await database.open()
    await clock.stand(database, NOW)
    await database.execute(
        """INSERT INTO webhook_endpoints (id, url, ordered, salt, created_at)
           VALUES ('all', 'https://hooks.example/', true, sha256(''), now())"""
    )
    return Book(database)


async def _undisturbed(book: Book, use_case: UseCase) -> dict[str, list[tuple[Any, ...]]]:
    await use_case.prepare(book, 0)
    await use_case.act(book, 0)
    return await state_of(book.database, 0)


async def _replayed(book: Book, use_case: UseCase, n: int) -> dict[str, list[tuple[Any, ...]]]:
    async with asyncio.timeout(30):
        # The dead process' session holds the account's lock until PostgreSQL has noticed.
        while await use_case.act(book, n) == [ACCOUNT_TAKEN]:
            await asyncio.sleep(0.05)
    return await state_of(book.database, n)


async def _differences(book: Book) -> list[str]:
    return [text for check in await verify(book.database) for text in check.differences]


@pytest.mark.parametrize("name", USE_CASES)
def test_whenever_it_dies_a_replay_leaves_what_one_undisturbed_act_leaves(server, name) -> None:
    use_case, url = USE_CASES[name], server.application_url
    with asyncio.Runner() as runner:
        book = runner.run(_begin(url))
        try:
            wanted = runner.run(_undisturbed(book, use_case))
            assert name != "a fold" or len(wanted["alerts"]) == len(wanted["messages"]) - 1 == 3
            for point in POINTS:
                runner.run(use_case.prepare(book, point))
                dead = killed(url, use_case, point, point)
                assert runner.run(_replayed(book, use_case, point)) == wanted, f"point {point}"
                if not dead:
                    break
            else:
                pytest.fail(f"more than {POINTS_MAX} points")
            least = 2 if name == "a plain spend" else 6
            assert point > least, "the hook counted no statements"
            assert runner.run(_differences(book)) == []
        finally:
            runner.run(book.database.close())
