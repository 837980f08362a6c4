"""What a hand with all rights changes, triggers off, some check names; and what none can."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import orjson
import pytest

from app.accounts.put import put
from app.book import Book
from app.infrastructure.db import Database
from app.jobs.tick import tick
from app.ledger.clawbacks import Policy
from app.usage import fold
from app.verify.checks import CHECKS
from app.verify.derived import DERIVED
from app.verify.rebuild import find, rebuild
from app.verify.verify import verify
from app.webhooks.receive import receive
from tests.acts import DAY
from tests.api_client import Api
from tests.conftest import NOW, Server, open_database
from tests.invariants import differences
from tests.money_events import make_session_event
from tests.reversals.test_reversals_after_joins import Story
from tests.stripe_events import make_subscription_event


class _TrialError(Exception):
    """Takes a damage back again."""


@pytest.fixture
async def superuser(
    server: Server, book: Book, api: Api, database: Database
) -> AsyncIterator[Database]:
    """Beside a book in which a bit of everything happened on two days."""
    story = Story(book)
    for event in (
        make_subscription_event("evt_1", "created", NOW),
        make_session_event("evt_2", NOW),
    ):
        await receive(book, orjson.dumps(event), livemode=False)
    await put(book, "user-1", None, None, "tests")
    await put(book, "user-2", None, None, "tests")
    await story.spend("cus_1", 4)
    await put(book, "user-1", "cus_1", None, "tests")
    gift = await story.gift("user-2", 10)
    held = await story.hold("user-2", 3)
    assert held is not None
    await story.capture(held, 2)
    await story.hold("user-2", 1)
    spent = await story.spend("user-2", 2)
    await story.reverse(spent, Policy.WRITE_OFF)
    await story.reverse(gift, Policy.WRITE_OFF)
    await api.set_clock(NOW + DAY)
    await story.spend("user-2", 3)
    await tick(book)
    assert await differences(database) == []
    async with open_database(server.superuser_url, 1) as superuser:
        yield superuser


async def told(superuser: Database, damage: str) -> str:
    """What every check says of the book with this damage, which is taken back again."""
    found: list[str] = []
    try:
        async with superuser.transaction():
            await superuser.execute("SET LOCAL session_replication_role = replica")
            await superuser.execute(damage)
            for name, (_, finding) in CHECKS.items():
                found += [f"{name}: {row[0]}" for row in await superuser.fetch(finding)]
            for name, (_, derive) in DERIVED.items():
                found += [f"{name}: {text}" async for text in derive(superuser)]
            raise _TrialError
    except asyncpg.PostgresError as error:
        return f"ERROR {error}"
    except _TrialError:
        return "\n".join(found)


# The damage, and some of what is said of it.
DAMAGE = {
    # an entry
    "UPDATE entries SET amount = amount + 1 WHERE kind = 'spend'": "does not follow from the one",
    """UPDATE entries SET kind = 'expiry', credit = 'expired'
        WHERE kind = 'spend' AND debit = 'free'""": "lapsed",
    "UPDATE entries SET kind = 'purchase', debit = 'purchased' WHERE kind = 'grant'": (
        "entry 1 (purchase"
    ),
    "UPDATE entries SET recorded_at = recorded_at - interval '1 day' WHERE id = 3": (
        "stands in journal"
    ),
    "UPDATE entries SET effective_at = effective_at - interval '3 days' WHERE kind = 'purchase'": (
        "usage of 2026-01-01 on"
    ),
    "UPDATE entries SET hold_id = NULL WHERE kind = 'spend'": "captured",
    "UPDATE entries SET hold_id = 99 WHERE kind = 'spend' AND hold_id IS NOT NULL": (
        "names holds 99, which is not there"
    ),
    """UPDATE entries SET reverses_entry_id = (SELECT min(id) FROM entries WHERE kind = 'grant')
        WHERE debit = 'spent'""": "reverses entry 1 (issued to free)",
    "UPDATE entries SET account_id = 2 WHERE account_id = 3 AND kind = 'spend'": "draws on lot",
    "DELETE FROM entries WHERE id = (SELECT max(id) FROM entries)": "has no entry",
    """INSERT INTO entries (journal_id, account_id, lot_id, kind, debit, credit, amount, free_after,
           held_after, debt_after, effective_at, recorded_at)
       SELECT 999, account_id, lot_id, 'grant', 'issued', 'free', 7, free_after + 7, held_after,
              debt_after, effective_at, recorded_at FROM entries ORDER BY id DESC LIMIT 1;
       UPDATE accounts SET free = free + 7 WHERE id = (
           SELECT account_id FROM entries ORDER BY id DESC LIMIT 1);
       UPDATE lots SET free = free + 7, granted = granted + 7 WHERE id = (
           SELECT lot_id FROM entries ORDER BY id DESC LIMIT 1)""": "names journals 999",
    # a journal
    "UPDATE journals SET actor = 'somebody else'": "its root is",
    "UPDATE journals SET kind = 'adjustment' WHERE kind = 'grant'": "(adjustment",
    "UPDATE journals SET recorded_at = recorded_at + interval '1 s' WHERE kind = 'spend'": (
        "stands in journal"
    ),
    "DELETE FROM journals WHERE kind = 'capture'": "names journals",
    """DELETE FROM entries WHERE journal_id = (SELECT max(id) FROM journals WHERE kind = 'spend');
       DELETE FROM journals WHERE id = (SELECT max(id) FROM journals WHERE kind = 'spend');
       UPDATE accounts SET free = free + 3 WHERE external_id = 'user-2';
       UPDATE lots SET free = free + 3 WHERE id = (
           SELECT day_lot_id FROM accounts WHERE external_id = 'user-2')""": "last_used",
    # what stands beside the entries
    "UPDATE accounts SET last_used_at = last_used_at + interval '1 s' WHERE joined_to IS NULL": (
        "last_used"
    ),
    "UPDATE accounts SET day_used_brought = 3 WHERE external_id = 'user-2'": (
        "3 brought stands; what was brought adds up to 0"
    ),
    "UPDATE accounts SET day_withdrawn = true WHERE external_id = 'user-2'": (
        "not taken back, and its day is withdrawn"
    ),
    "UPDATE accounts SET day_lot_id = 1 WHERE external_id = 'user-2'": "the last is 2026-01-02",
    "UPDATE accounts SET day_ends_at = day_ends_at + interval '1 day' WHERE day_on IS NOT NULL": (
        "day ends at"
    ),
    "UPDATE lots SET expires_at = expires_at + interval '1 day' WHERE source = 'daily'": (
        "day ends at"
    ),
    "UPDATE lots SET source = 'purchased' WHERE source = 'promotional'": "is purchased; entry",
    "UPDATE holds SET state = 'released' WHERE state = 'captured'": "state released stand",
    "DELETE FROM holds": "names holds",
    "DELETE FROM reversals WHERE of_journal_id IS NOT NULL": "no row of one names it",
    "UPDATE reversals SET requested = requested + 5 WHERE entry_id IS NULL": "gave back 2",
    "UPDATE reversals SET requested = requested + 5 WHERE entry_id IS NOT NULL": "asks for 15",
    "DELETE FROM daily_grants WHERE account_id = 3 AND day_on = '2026-01-01'": (
        "opened a day of account 3 that is not there"
    ),
    "UPDATE daily_grants SET credits = credits + 1": "was opened 2026-01-01 with",
    "UPDATE runs SET issued = issued + 1": "issued with",
    "DELETE FROM runs": "names runs",
    "UPDATE subscriptions SET state = 'canceled'": "its last transition led to active",
    "DELETE FROM transitions": "its last transition led to",
    "UPDATE moved_lots SET to_lot_id = (SELECT max(id) FROM lots)": "went on as lot",
    "UPDATE usage_days SET spent = spent + 1, granted = granted - 1": "spent",
    """UPDATE usage_days SET spent = spent + 1 WHERE day_on = '2026-01-01';
       UPDATE usage_days SET spent = spent - 1 WHERE day_on = '2026-01-02' AND spent > 0""": (
        "usage of 2026-01-02 on FREE: spent 2 stands; its entries say 3"
    ),
    "UPDATE usage_totals SET expired = expired + 1 WHERE day_on = '2026-01-02'": (
        "all usage of 2026-01-02 on FREE: expired"
    ),
    "DELETE FROM usage_totals": "all usage of 2026-01-01 on FREE: granted",
    "UPDATE purchases SET credits = credits + 1": "purchase",
    # what events derive
    "UPDATE subscriptions SET tier = 'ENTERPRISE'": "tier ENTERPRISE stands; its facts say PRO",
    """UPDATE subscriptions SET tier = NULL, grace_tier = 'PRO',
              grace_ends_at = grace_ends_at + interval '10 years'""": "grace_tier PRO stands",
    "UPDATE subscriptions SET status = 'trialing'": "status trialing stands",
    "UPDATE subscriptions SET cancel_at_period_end = true": "cancel_at_period_end True stands",
    "DELETE FROM facts": "has no fact",
    """UPDATE facts SET body = jsonb_set(body, '{status}', '"unpaid"')""": "its facts say past_due",
    "UPDATE accounts SET tier = 'ENTERPRISE' WHERE external_id = 'user-2'": (
        "is ENTERPRISE, and no subscription gives it that"
    ),
    """UPDATE customers SET account_id = (SELECT id FROM accounts WHERE external_id = 'user-2'),
              rank = 4""": "named for it is",
    "UPDATE purchases SET paid = paid * 100": "no event tells of session",
    "UPDATE purchases SET session_id = 'cs_other'": "no event tells of session cs_other",
    "UPDATE purchases SET payment_key = 'pi_2', payment_intent = 'pi_2'": "paid by pi_2",
    "DELETE FROM money_facts": "no event tells of session",
    """INSERT INTO money_back (kind, id, payment_key, amount, standing)
       SELECT 'refund', 're_1', payment_key, 0, 'out' FROM purchases""": (
        "refund re_1 of 0 out stands alone"
    ),
    # who did it, and when it is looked at again
    "DELETE FROM operator_acts": "no operator asked for it",
    """INSERT INTO journals (kind, source, actor, effective_at, recorded_at)
       SELECT 'grant', 'api', 'somebody', recorded_at, recorded_at
         FROM journals ORDER BY id DESC LIMIT 1""": "no operator asked for it",
    "UPDATE journals SET run_id = NULL WHERE kind = 'opening'": "is of run",
    "UPDATE journals SET event_id = NULL WHERE kind = 'purchase'": "is of event",
    "UPDATE accounts SET due_at = '9999-12-31'": "something is due at",
    # the schema
    "SELECT setval('entries_id_seq', 1)": "entries.id: the next number is drawn after 1",
}

# What no row beside it tells of: an end that an operator chose, an answer, a payload.
UNSEEN = (
    "UPDATE lots SET expires_at = expires_at + interval '1 day' WHERE source = 'promotional'",
    "UPDATE notes SET answer = '{}'",
    "UPDATE events SET payload = 'forged'",
)


async def test_every_damage_is_named(superuser: Database) -> None:
    assert await told(superuser, "SELECT") == ""
    unnamed = [
        f"{damage}: {found}"
        for damage, text in DAMAGE.items()
        if text not in (found := await told(superuser, damage))
    ]
    assert not unnamed, unnamed


async def test_what_nothing_else_tells_of_needs_another_proof(
    superuser: Database,
) -> None:
    """The list of what only exports kept elsewhere can show: it may grow shorter, not longer."""
    assert [one for one in UNSEEN if await told(superuser, one)] == []


async def test_the_last_use_is_mended(superuser: Database, database: Database) -> None:
    before = await database.fetch("SELECT id, last_used_at FROM accounts ORDER BY id")
    assert [row["last_used_at"] for row in before][-1] is not None
    await superuser.execute("UPDATE accounts SET last_used_at = NULL WHERE joined_to IS NULL")
    assert {one.column for one in await find(database)} == {"last_used_at"}
    await rebuild(database)
    assert await database.fetch("SELECT id, last_used_at FROM accounts ORDER BY id") == before
    assert await differences(database) == []


async def test_usage_is_mended_day_by_day(superuser: Database, database: Database) -> None:
    await superuser.execute("UPDATE usage_days SET spent = spent + 5, purchased = purchased + 1")
    await superuser.execute("UPDATE usage_totals SET granted = 7")
    found = {check.name: check.differences for check in await verify(database)}
    assert len(found["usage by day is what its entries say"]) >= 4
    await fold.refold(database)
    assert await differences(database) == []
