"""A hand with all rights forges what is older than the last head; an auditor finds it out."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import asyncpg
import pytest

from app.book import Book
from app.infrastructure.db import Database
from app.seals import comparing, notes, recompute, sealer, stored
from app.seals.checkpoint import Head
from app.seals.withhold import withhold_texts
from app.verify.verify import ALL, verify
from ops.verify_evidence import RefusedError
from ops.verify_evidence import verify as verify_file
from tests.acts import Acts
from tests.api_client import Api
from tests.conftest import Server, open_database
from tests.seals.acts import evidence_of, open_and_spend, resigned

ACCOUNT = "(SELECT id FROM accounts WHERE external_id = 'user-1')"
LAST = f"(SELECT max(id) FROM entries WHERE account_id = {ACCOUNT})"
MINTED = f"""
INSERT INTO lots (account_id, source, priority, granted_at, expires_at, granted, free, live)
VALUES ({ACCOUNT}, 'promotional', 300, now(), '9999-12-31', 100, 100, true);
INSERT INTO journals (id, kind, source, actor, effective_at, recorded_at)
OVERRIDING SYSTEM VALUE
SELECT id + 500, 'grant', 'api', 'forger', effective_at, recorded_at FROM journals
 WHERE id = (SELECT journal_id FROM entries WHERE id = {LAST});
INSERT INTO entries (id, journal_id, account_id, lot_id, amount, free_after, held_after, debt_after,
                     effective_at, recorded_at, kind, debit, credit)
OVERRIDING SYSTEM VALUE
SELECT {{number}}, journal_id + 500, account_id, (SELECT max(id) FROM lots), 100, free_after + 100,
       held_after, debt_after, effective_at, recorded_at, 'grant', 'issued', 'free'
  FROM entries WHERE id = {LAST};
UPDATE accounts SET free = free + 100 WHERE id = {ACCOUNT}"""

# No column refuses a word any more: the checks of tables and domains are dropped.
UNCHECKED = """DO $$
DECLARE one record;
BEGIN
    FOR one IN SELECT * FROM pg_constraint WHERE contype = 'c' AND conrelid IN (
        'entries'::regclass, 'journals'::regclass, 'lots'::regclass) LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', one.conrelid::regclass, one.conname);
    END LOOP;
    FOR one IN SELECT * FROM pg_constraint WHERE contype = 'c' AND contypid <> 0 LOOP
        EXECUTE format('ALTER DOMAIN %s DROP CONSTRAINT %I', one.contypid::regtype, one.conname);
    END LOOP;
END $$;
"""
# What would end a text, a row, or a placeholder.
FORGED_WORD = r"""E'spend","amount":"\\\x01\x02\n\x1f%s'"""

# Each edit of what a seal covers.
EDITS = {
    "a quote in a journal's kind": f"""{UNCHECKED}
        UPDATE journals SET kind = {FORGED_WORD} WHERE kind = 'spend'""",
    "a quote in an entry's kind": f"{UNCHECKED} UPDATE entries SET kind = {FORGED_WORD}",
    "a quote in an entry's side": f"{UNCHECKED} UPDATE entries SET debit = {FORGED_WORD}",
    "a quote in a journal's source": f"{UNCHECKED} UPDATE journals SET source = {FORGED_WORD}",
    "a quote in a lot's source": f"{UNCHECKED} UPDATE lots SET source = {FORGED_WORD}",
    "an entry's amount": f"UPDATE entries SET amount = amount + 1 WHERE id = {LAST}",
    "an entry's sides after it": f"""UPDATE entries SET free_after = free_after + 1
        WHERE id = {LAST}""",
    "an entry's kind": f"UPDATE entries SET kind = 'expiry', credit = 'expired' WHERE id = {LAST}",
    "an entry's times": f"""UPDATE entries SET effective_at = effective_at - interval '1 day'
        WHERE id = {LAST}""",
    "a spend dated back with its journal": f"""
        UPDATE entries SET recorded_at = recorded_at - interval '1 s' WHERE id = {LAST};
        UPDATE journals SET recorded_at = recorded_at - interval '1 s'
         WHERE id = (SELECT journal_id FROM entries WHERE id = {LAST})""",
    "an entry's lot": f"UPDATE entries SET lot_id = 1 WHERE id = {LAST}",
    "an entry's hold": f"UPDATE entries SET hold_id = 7 WHERE id = {LAST}",
    "an entry's journal": f"UPDATE entries SET journal_id = 1 WHERE id = {LAST}",
    "the entry that one reverses": f"UPDATE entries SET reverses_entry_id = 1 WHERE id = {LAST}",
    "the last spend deleted whole": f"""
        UPDATE accounts SET free = free + 1 WHERE id = {ACCOUNT};
        DELETE FROM entries WHERE id = {LAST}""",
    "an entry given to another account": f"""UPDATE entries
        SET account_id = 1 WHERE id = {LAST}""",
    "credits minted under an id below the seal": MINTED.replace(
        "{number}",
        "(SELECT min(n) FROM generate_series(1, 99) n "
        "WHERE NOT EXISTS (SELECT FROM entries WHERE id = n))",
    ),
    "a journal's kind": "UPDATE journals SET kind = 'trim' WHERE kind = 'spend'",
    "a journal's source": "UPDATE journals SET source = 'stripe' WHERE kind = 'spend'",
    "a journal's event": "UPDATE journals SET event_id = 'evt_1' WHERE kind = 'spend'",
    "a journal's run": "UPDATE journals SET run_id = 9 WHERE kind = 'opening'",
    "the journal that one reverses": (
        "UPDATE journals SET kind = 'reversal', reverses_journal_id = 1 WHERE label IS NOT NULL"
    ),
    "a journal's effective time": (
        "UPDATE journals SET effective_at = effective_at - interval '1 s' WHERE kind = 'spend'"
    ),
    "who acted": "UPDATE journals SET actor = 'somebody' WHERE kind = 'spend'",
    "a key, so that a retry spends twice": (
        "UPDATE journals SET idempotency_key = 'x' || id WHERE kind = 'spend'"
    ),
    "what a key stands for": r"UPDATE journals SET request_hash = '\x00' WHERE kind = 'spend'",
    "a label": "UPDATE journals SET label = 'paint' WHERE kind = 'spend'",
    "a member": "UPDATE journals SET member = 'bob' WHERE kind = 'spend'",
    "a reason": "UPDATE notes SET reason = 'another' WHERE reason IS NOT NULL",
    "metadata": """UPDATE notes SET metadata = '{"job": "9"}' WHERE metadata IS NOT NULL""",
    "texts emptied without withholding them": "UPDATE notes SET reason = NULL, metadata = NULL",
    "a lot's source": "UPDATE lots SET source = 'purchased'",
    "a lot's priority": "UPDATE lots SET priority = 0",
}
# The edits of the review that no leaf covers; other checks, or nobody, find them.
UNSEEN = {
    "an applied catalogue's content": "UPDATE catalogues SET content = content || ' '",
    "a balance in its projection": "UPDATE accounts SET free = free + 1",
    "a tier": "UPDATE accounts SET tier = 'ENTERPRISE'",
    "when an account is looked at again": "UPDATE accounts SET due_at = '9999-12-31'",
    "a zone": "UPDATE accounts SET time_zone = 'Asia/Tokyo'",
    "a lot's end": "UPDATE lots SET expires_at = '9999-12-31'",
}


@pytest.fixture
async def sealed(api: Api, book: Book, server: Server) -> AsyncIterator[Database]:
    """A superuser's hand on a book that was sealed, its triggers off."""
    mine = Acts(api, "user-1")
    await open_and_spend(book, "user-2", 1)
    await open_and_spend(book, "user-1", 1)
    told = {"reason": "a page", "label": "draw", "member": "ann", "metadata": {"job": "1"}}
    assert (await mine.spend(1, **told)).status_code == 201
    async with open_database(server.superuser_url, 1) as hand:
        await hand.execute("SELECT nextval('entries_id_seq')")  # ids have gaps
        await open_and_spend(book, "user-2", 1)
        await sealer.seal(book, 60)
        await hand.execute("SET session_replication_role = replica")
        yield hand


async def head_of(database: Database) -> Head:
    return Head.read(notes.split((await stored.seal(database)).note)[0])


async def forge(hand: Database, edit: str) -> None:
    """Make an edit that changes something."""
    before = await hand.fetchval(STANDS)
    await hand.execute(edit)
    assert await hand.fetchval(STANDS) != before, "nothing was edited"


STANDS = """SELECT md5(string_agg(whole, '' ORDER BY whole)) FROM (
    SELECT entries::text AS whole FROM entries UNION ALL SELECT journals::text FROM journals
    UNION ALL SELECT notes::text FROM notes UNION ALL SELECT lots::text FROM lots
    UNION ALL SELECT accounts::text FROM accounts UNION ALL SELECT catalogues::text FROM catalogues
    ) AS everything"""


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
async def test_an_evidence_file_of_a_forged_ledger_is_refused(
    sealed: Database, book: Book, edit: str
) -> None:
    before = await evidence_of(book.database, "user-1")
    assert verify_file(before)
    await forge(sealed, edit)
    with pytest.raises(RefusedError):
        verify_file(await evidence_of(book.database, "user-1"))


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
async def test_a_log_that_was_sealed_again_is_told_as_a_fork(
    sealed: Database, book: Book, edit: str
) -> None:
    """By a hand that has the book's key too, and forges every seal to fit."""
    kept = await stored.seal(book.database)
    await forge(sealed, edit)
    for table in (
        *("seal_keys", "seal_tiles", "seal_leaves", "seal_names", "seal_balances"),
        *("seal_balance_tiles", "seals"),
    ):
        await sealed.execute(f"DELETE FROM {table}")
    await open_and_spend(book, "user-2", 1)
    await sealer.seal(book, 60)
    old, new = Head.read(notes.split(kept.note)[0]), await head_of(book.database)
    fork = await comparing.fork(book.database, old, new)
    assert fork is not None
    assert fork.startswith("FORK")


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
async def test_verify_names_the_seal_that_no_longer_holds(
    sealed: Database, book: Book, edit: str
) -> None:
    assert [one async for one in recompute.wrong_seals(book.database)] == []
    await forge(sealed, edit)
    told = [one async for one in recompute.wrong_seals(book.database)]
    assert any(": its root is" in one or "is not in the log" in one for one in told)


@pytest.mark.parametrize("edit", UNSEEN.values(), ids=UNSEEN)
async def test_what_no_leaf_covers_is_not_found_by_evidence(
    sealed: Database, book: Book, edit: str
) -> None:
    await forge(sealed, edit)
    assert verify_file(await evidence_of(book.database, "user-1"))


async def test_a_key_that_is_declared_erased_is_withheld_and_cannot_be_told_otherwise(
    sealed: Database, book: Book
) -> None:
    """Who rules the database can keep a text from an auditor, and put no other in its place."""
    number = await sealed.fetchval(f"SELECT {ACCOUNT}")
    async with sealed.transaction():
        await withhold_texts(sealed, [number])
    await forge(
        sealed,
        f"""UPDATE journals SET idempotency_key = 'x' || id WHERE kind = 'spend' AND id IN (
                SELECT journal_id FROM entries WHERE account_id = {ACCOUNT})""",
    )
    told = await evidence_of(book.database, "user-1")
    assert verify_file(told)
    assert [one["act"] for one in json.loads(told)["entries"]][-1] is None
    assert [one async for one in recompute.wrong_seals(book.database)] == []
    before = json.loads(told)
    before["entries"][-1]["act"] = {
        "salt": "00" * 16,
        "value": {"actor": "x", "idempotency_key": "x", "request_hash": None},
    }
    with pytest.raises(RefusedError, match="is not what was sealed"):
        verify_file(resigned(before))


async def test_a_catalogues_content_is_covered_by_the_head(sealed: Database, book: Book) -> None:
    await forge(sealed, UNSEEN["an applied catalogue's content"])
    told = [one async for one in recompute.wrong_seals(book.database)]
    assert ["its catalogue is" in one for one in told] == [True]


async def test_a_restore_to_an_earlier_moment_is_told_as_a_fork(
    sealed: Database, book: Book
) -> None:
    """The seals go back with the ledger; what an auditor kept does not."""
    await open_and_spend(book, "user-2", 1)
    await sealer.seal(book, 60)
    kept = await head_of(book.database)
    lost = await sealed.fetchval("SELECT max(size) FROM seals")
    before = await sealed.fetchval("SELECT min(size) FROM seals")
    await sealed.execute(
        f"""DELETE FROM entries WHERE id > (SELECT entry_id FROM seals WHERE size = {before});
            DELETE FROM seals WHERE size = {lost};
            UPDATE seal_tiles SET hashes = substring(hashes FROM 1 FOR {before * 32});
            UPDATE seal_balances SET entry_count = entry_count - 1 WHERE account_id = 1;
            UPDATE book SET epoch = 2"""
    )
    restored = await head_of(book.database)
    assert "the older" in str(await comparing.fork(book.database, kept, restored))
    for amount in (1, 1):
        await open_and_spend(book, "user-3", amount)
    await sealer.seal(book, 60)
    fork = await comparing.fork(book.database, kept, await head_of(book.database))
    assert fork is not None
    assert fork.startswith("FORK: the log of")
    assert fork.endswith("restored to an earlier moment in between (epoch 2).")


async def test_verify_has_the_seals_among_its_checks(sealed: Database, book: Book) -> None:
    name = "every seal fits the ledger"
    assert name in ALL
    await sealed.execute("UPDATE seals SET root = balances_root")
    (found,) = [one for one in await verify(book.database) if one.name == name]
    assert found.rows == 1
    assert any("root of its row" in one for one in found.differences)


async def test_the_application_may_forge_no_seal(sealed: Database, book: Book) -> None:
    for act in ("UPDATE seals SET note = ''", "DELETE FROM seals", "DELETE FROM seal_tiles"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await book.database.execute(act)
