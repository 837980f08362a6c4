"""What no row may say, tried in raw SQL as the application's role."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from itertools import product

import asyncpg
import pytest

from app.accounts.put import put
from app.book import Book
from app.ledger.idempotency import request_key
from app.ledger.kinds import Act, House, Kind, LotSource, Side
from app.spending.spend import SpendOrder, spend
from tests.conftest import NOW, Server

HASH = hashlib.sha256(b"request").digest()
MAX = 2**53 - 1


@pytest.fixture
async def connection(server: Server, book: Book) -> AsyncIterator[asyncpg.Connection]:
    """The application's role, beside one account that spent 2 of 5."""
    await put(book, "user-1", None, None, "tests")
    key = request_key("key-1", "POST", "/", {"amount": 2})
    await spend(book, [SpendOrder(account_id="user-1", amount=2, actor="tests", key=key)])
    opened = await asyncpg.connect(server.application_url)
    yield opened
    await opened.close()


async def insert(connection: asyncpg.Connection, table: str, row: dict[str, object]) -> int | None:
    columns = ", ".join(row)
    values = ", ".join(f"${n}" for n in range(1, len(row) + 1))
    returning = "account_id" if table == "daily_grants" else "id"
    return await connection.fetchval(
        f"INSERT INTO {table} ({columns}) VALUES ({values}) RETURNING {returning}", *row.values()
    )


async def entry(connection: asyncpg.Connection, **changes: object) -> dict[str, object]:
    """A row that would stand, but for the changes."""
    row = await connection.fetchrow(
        """SELECT journal_id, account_id, lot_id, amount, free_after, held_after, debt_after,
                  hold_id, reverses_entry_id, effective_at, recorded_at, kind, debit, credit
             FROM entries WHERE kind = 'spend'"""
    )
    return {**row, **changes}


def journal(**changes: object) -> dict[str, object]:
    """A row that would stand, but for the changes."""
    plain = {
        "kind": "spend",
        "source": "api",
        "actor": "t",
        "effective_at": NOW,
        "recorded_at": NOW,
    }
    return {**plain, **changes}


async def refusal(
    connection: asyncpg.Connection, statement: str, *values: object
) -> tuple[type[Exception], str | None] | None:
    """What refuses it, None where it stands; rolled back either way, so that cases do not mix."""
    trial = connection.transaction()
    await trial.start()
    try:
        await connection.execute(statement, *values)
    except asyncpg.IntegrityConstraintViolationError as error:
        return type(error), error.constraint_name or error.column_name
    finally:
        await trial.rollback()
    return None


async def refusal_of_row(
    connection: asyncpg.Connection, table: str, row: dict[str, object]
) -> tuple[type[Exception], str | None] | None:
    values = ", ".join(f"${n}" for n in range(1, len(row) + 1))
    statement = f"INSERT INTO {table} ({', '.join(row)}) VALUES ({values})"
    return await refusal(connection, statement, *row.values())


async def test_an_entry_within_the_rules_stands(connection: asyncpg.Connection) -> None:
    grant = {"kind": "grant", "debit": "issued", "credit": "free"}
    for changes in ({}, {"amount": 10**12}, {"free_after": MAX}, grant):
        row = await entry(connection, **changes)
        assert await refusal_of_row(connection, "entries", row) is None


ENTRIES = [
    ({"amount": 0}, "amount_check"),
    ({"amount": -1}, "amount_check"),
    ({"amount": 10**12 + 1}, "amount_check"),
    ({"free_after": -1}, "credits_check"),
    ({"held_after": -1}, "credits_check"),
    ({"debt_after": -1}, "credits_check"),
    ({"free_after": MAX + 1}, "credits_check"),
    ({"credit": "issued"}, "kind_has_its_house"),
    ({"credit": "expired"}, "kind_has_its_house"),
    ({"kind": "grant"}, "kind_has_its_house"),
    ({"debit": "debt", "credit": "free"}, "kind_has_its_house"),
    ({"debit": "spent", "credit": "free"}, "kind_has_its_house"),
    ({"kind": "gift", "debit": "issued", "credit": "free"}, "kind_has_its_house"),
    ({"kind": "hold", "credit": "held"}, "held_names_its_hold"),
    ({"kind": "release", "debit": "held", "credit": "free"}, "held_names_its_hold"),
    ({"kind": "reversal", "debit": "spent", "credit": "free"}, "reversal_names_its_entry"),
]


async def test_an_entry_against_the_rules_is_refused(connection: asyncpg.Connection) -> None:
    for changes, constraint in ENTRIES:
        row = await entry(connection, **changes)
        told = await refusal_of_row(connection, "entries", row)
        assert told == (asyncpg.CheckViolationError, constraint), changes


async def test_an_entry_names_only_what_there_is(connection: asyncpg.Connection) -> None:
    lot = "lot_of_its_account"
    for column, constraint in (
        ("journal_id", "entries_journal_id_fkey"),
        ("account_id", lot),
        ("lot_id", lot),
        ("reverses_entry_id", "entries_reverses_entry_id_fkey"),
        ("hold_id", "entries_hold_id_fkey"),
    ):
        row = await entry(connection, **{column: 999_999})
        told = await refusal_of_row(connection, "entries", row)
        assert told == (asyncpg.ForeignKeyViolationError, constraint)


async def test_a_journal_names_only_what_there_is(connection: asyncpg.Connection) -> None:
    for changes, constraint in (
        ({"event_id": "evt_none"}, "journals_event_id_fkey"),
        ({"run_id": 999_999}, "journals_run_id_fkey"),
        (
            {"kind": "reversal", "reverses_journal_id": 999_999},
            "journals_reverses_journal_id_fkey",
        ),
    ):
        told = await refusal_of_row(connection, "journals", journal(**changes))
        assert told == (asyncpg.ForeignKeyViolationError, constraint)


async def test_an_opened_day_names_only_what_there_is(connection: asyncpg.Connection) -> None:
    day = dict(await connection.fetchrow("SELECT * FROM daily_grants"))
    lot = "lot_of_its_account"
    for column, constraint in (
        ("account_id", lot),
        ("lot_id", lot),
        ("carried_lot_id", "carried_lot_of_its_account"),
        ("run_id", "daily_grants_run_id_fkey"),
    ):
        row = {**day, "opening": 2, column: 999_999}
        told = await refusal_of_row(connection, "daily_grants", row)
        assert told == (asyncpg.ForeignKeyViolationError, constraint)


REVERSAL = {
    "of_journal_id": 1, "policy": "write_off", "state": "done", "actor": "t", "reason": "t",
    "created_at": NOW,
}  # fmt: skip


async def test_a_reversal_is_of_one_thing_or_a_part_of_a_returns(
    connection: asyncpg.Connection,
) -> None:
    assert await refusal_of_row(connection, "reversals", REVERSAL) is None
    part = {**REVERSAL, "of_journal_id": None, "house": "spent"}
    for row, constraint in (
        ({**REVERSAL, "of_journal_id": None}, "one_thing"),
        ({**REVERSAL, "house": "spent"}, "part_of_a_return"),
        (part, "part_of_a_return"),
        ({**part, "account_id": 1, "entry_id": 1}, "part_of_a_return"),
    ):
        told = await refusal_of_row(connection, "reversals", row)
        assert told == (asyncpg.CheckViolationError, constraint), row


async def test_notes_and_reversals_name_only_what_there_is(connection: asyncpg.Connection) -> None:
    for table, row, column, constraint in (
        ("notes", {"reason": "t"}, "journal_id", "notes_journal_id_fkey"),
        ("reversals", REVERSAL, "of_journal_id", "reversals_of_journal_id_fkey"),
        ("reversals", REVERSAL, "journal_id", "reversals_journal_id_fkey"),
        ("reversals", REVERSAL, "part_of", "reversals_part_of_fkey"),
        ("reversals", REVERSAL, "entry_id", "reversals_entry_id_fkey"),
    ):
        told = await refusal_of_row(connection, table, {**row, column: 999_999})
        assert told == (asyncpg.ForeignKeyViolationError, constraint)


async def test_what_notes_and_reversals_name_stays(
    connection: asyncpg.Connection, server: Server
) -> None:
    owner = await asyncpg.connect(server.owner_url)
    journal_id = await owner.fetchval("SELECT max(id) FROM journals")
    await owner.execute("INSERT INTO notes (journal_id, reason) VALUES ($1, 't')", journal_id)
    await owner.execute(
        """INSERT INTO reversals (of_journal_id, policy, state, actor, reason, created_at)
           VALUES ($1, 'write_off', 'done', 't', 't', now())""",
        journal_id,
    )
    for act in (
        "UPDATE notes SET journal_id = 999999",
        "UPDATE reversals SET of_journal_id = 999999",
        "UPDATE reversals SET part_of = 999999",
        "UPDATE reversals SET journal_id = 999999",
        "UPDATE reversals SET entry_id = 999999",
        "UPDATE reversals SET id = DEFAULT",
        "DELETE FROM reversals",
        "TRUNCATE reversals",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await owner.execute(act)
    await owner.close()


async def test_one_stray_entry_among_many_is_refused(connection: asyncpg.Connection) -> None:
    row = await entry(connection)
    columns = ", ".join(row)
    told = await refusal(
        connection,
        f"""INSERT INTO entries ({columns})
            SELECT {", ".join("n" if name == "journal_id" else name for name in row)}
              FROM entries CROSS JOIN (VALUES ({row["journal_id"]}), (999999)) AS journal (n)
             WHERE kind = 'spend'""",
    )
    assert told == (asyncpg.ForeignKeyViolationError, "entries_journal_id_fkey")


async def test_an_entry_moves_a_lot_of_its_own_account(
    connection: asyncpg.Connection, book: Book
) -> None:
    await put(book, "user-2", None, None, "tests")
    other = await connection.fetchval("SELECT id FROM accounts WHERE external_id = 'user-2'")
    row = await entry(connection, account_id=other)
    told = await refusal_of_row(connection, "entries", row)
    assert told == (asyncpg.ForeignKeyViolationError, "lot_of_its_account")


async def test_what_the_ledger_names_stays(connection: asyncpg.Connection, server: Server) -> None:
    """Not even the owner removes it or numbers it anew, nor while a person is erased."""
    owner = await asyncpg.connect(server.owner_url)
    refused = asyncpg.IntegrityConstraintViolationError, asyncpg.InsufficientPrivilegeError
    await owner.execute("SET tallybook.erasing = 'on'")
    await owner.execute("""
        INSERT INTO holds (account_id, amount, state, expires_at, created_at)
        SELECT id, 1, 'released', now(), now() FROM accounts;
        INSERT INTO runs (day_on, wave_at, catalogue_id, state, started_by, started_at)
        SELECT '2026-01-01', now(), max(id), 'done', 'test', now() FROM catalogues;
        INSERT INTO events (id, type, livemode, created_at, received_at, payload, verdict,
                            verdict_reason)
        VALUES ('evt_1', 'test', false, now(), now(), '', 'ignored', 'type')""")
    for table in ("lots", "accounts", "holds", "runs", "events", "journals", "entries"):
        for act in (
            f"DELETE FROM {table}",
            f"TRUNCATE {table} CASCADE",
            f"UPDATE {table} SET id = " + ("id || '1'" if table == "events" else "DEFAULT"),
        ):
            with pytest.raises(refused):
                await owner.execute(act)
    for change in ("lots SET account_id = 999999", "entries SET lot_id = 999999"):
        with pytest.raises(refused):
            await owner.execute(f"UPDATE {change}")
    await owner.close()


async def test_an_entry_leaves_nothing_open(connection: asyncpg.Connection) -> None:
    for column in ("journal_id", "account_id", "lot_id", "amount", "recorded_at", "kind"):
        row = await entry(connection, **{column: None})
        told = await refusal_of_row(connection, "entries", row)
        assert told == (asyncpg.NotNullViolationError, column)


# Which house each kind may touch, in DESIGN's words; between sides where none is named.
HOUSES = {
    Kind.GRANT: {House.ISSUED},
    Kind.SPEND: {House.SPENT},
    Kind.EXPIRY: {House.EXPIRED},
    Kind.HOLD: set(),
    Kind.RELEASE: set(),
    Kind.PURCHASE: {House.PURCHASED},
    Kind.REFUND: {House.REFUNDED},
    Kind.FREEZE: set(),
    Kind.UNFREEZE: set(),
    Kind.REPAYMENT: set(),
    Kind.ADJUSTMENT: {House.ADJUSTED},
    Kind.TRANSFER: {House.TRANSFERRED},
    Kind.RETURN: {House.SPENT},
    Kind.REVERSAL: {House.SPENT, House.ISSUED, House.PURCHASED, House.REFUNDED, House.ADJUSTED},
    Kind.WRITE_OFF: {
        House.WRITTEN_OFF,
        House.SPENT,
        House.ISSUED,
        House.PURCHASED,
        House.REFUNDED,
        House.ADJUSTED,
    },
}


async def test_every_kind_is_routed_to_its_own_house(connection: asyncpg.Connection) -> None:
    definition = await connection.fetchval(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'kind_has_its_house'"
    )
    movements = definition.split("'")[1::2]
    places = [*Side, *House]
    tried = [
        (kind, str(debit), str(credit)) for kind, debit, credit in product(Kind, places, places)
    ]
    allowed = [one for one in tried if " ".join(one) in movements]
    assert len(allowed) == len(movements), "there are no others"
    for kind in Kind:
        pairs = [{debit, credit} for one, debit, credit in allowed if one is kind]
        assert pairs, f"a {kind} has a route"
        assert {place for pair in pairs for place in pair if place in set(House)} == HOUSES[kind]
        sided = all(pair & set(Side) for pair in pairs)
        assert sided is (kind is not Kind.WRITE_OFF), "only a write_off touches no balance"
        assert all(len(pair) == 2 for pair in pairs), "nothing moves from a place to itself"


async def test_the_codes_lists_are_the_schemas(connection: asyncpg.Connection) -> None:
    for domain, names in (("journal_kind", Act), ("lot_source", LotSource)):
        definition = await connection.fetchval(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = $1",
            f"{domain}_check",
        )
        assert set(definition.split("'")[1::2]) == set(names)


JOURNALS = [
    ({"kind": "reversal"}, "reversal_names_its_journal"),
    ({"reverses_journal_id": 1}, "reversal_names_its_journal"),
    ({"kind": "gift"}, "journal_kind_check"),
    ({"idempotency_key": "k"}, "key_has_hash"),
    ({"request_hash": HASH}, "key_has_hash"),
]


async def test_a_journal_against_the_rules_is_refused(connection: asyncpg.Connection) -> None:
    for changes, constraint in JOURNALS:
        told = await refusal_of_row(connection, "journals", journal(**changes))
        assert told == (asyncpg.CheckViolationError, constraint), changes


async def test_no_two_journals_stand_under_one_key(connection: asyncpg.Connection) -> None:
    for one, other in (("spend", "hold"), ("grant", "adjustment")):
        keyed = journal(idempotency_key=f"key-{one}", request_hash=HASH)
        await insert(connection, "journals", {**keyed, "kind": one})
        with pytest.raises(asyncpg.UniqueViolationError):
            await insert(connection, "journals", {**keyed, "kind": other})


async def test_an_operators_key_and_an_applications_may_read_the_same(
    connection: asyncpg.Connection,
) -> None:
    keyed = journal(idempotency_key="key-2", request_hash=HASH)
    for kind in ("spend", "grant"):
        await insert(connection, "journals", {**keyed, "kind": kind})
    same = "SELECT count(*) FROM journals WHERE idempotency_key = 'key-2'"
    assert await connection.fetchval(same) == 2


async def test_a_journal_is_reversed_once(connection: asyncpg.Connection) -> None:
    spent = await connection.fetchval("SELECT id FROM journals WHERE kind = 'spend'")
    reversal = journal(kind="reversal", reverses_journal_id=spent)
    await insert(connection, "journals", reversal)
    with pytest.raises(asyncpg.UniqueViolationError):
        await insert(connection, "journals", reversal)


CHANGES = [
    ("accounts", "debt = 1", "debt_never_beside_free"),
    ("accounts", "free = -1", "credits_check"),
    ("accounts", "held = -1", "credits_check"),
    ("accounts", "free = 0, debt = -1", "credits_check"),
    ("accounts", f"free = {MAX + 1}", "credits_check"),
    ("accounts", "day_on = NULL", "day_whole"),
    ("accounts", "joined_to = id", "joined_is_closed"),
    ("accounts", "external_id = 'no spaces'", "application_id_check"),
    ("accounts", "external_id = ''", "application_id_check"),
    ("lots", "free = -1", "credits_check"),
    ("lots", "held = -1", "credits_check"),
    ("lots", "lapsed = -1", "natural_number_check"),
    ("lots", "free = granted + 1", "never_more_than_granted"),
    ("lots", "free = granted, held = 1", "never_more_than_granted"),
    ("lots", "free = granted, refunded = 1", "never_more_than_granted"),
    ("lots", "free = granted + 2, refunded = -1", "never_more_than_granted"),
    ("lots", "live = false", "live_while_not_empty"),
]


async def test_an_account_or_lot_against_the_rules_is_refused(
    connection: asyncpg.Connection,
) -> None:
    for table, change, constraint in CHANGES:
        told = await refusal(connection, f"UPDATE {table} SET {change}")
        assert told == (asyncpg.CheckViolationError, constraint), change
    lot = dict(await connection.fetchrow("SELECT * FROM lots LIMIT 1"))
    del lot["id"]
    told = await refusal_of_row(connection, "lots", {**lot, "source": "gift"})
    assert told == (asyncpg.CheckViolationError, "lot_source_check")


async def test_an_account_day_is_granted_once(connection: asyncpg.Connection) -> None:
    row = dict(await connection.fetchrow("SELECT * FROM daily_grants"))
    with pytest.raises(asyncpg.UniqueViolationError):
        await insert(connection, "daily_grants", row)
    assert await insert(connection, "daily_grants", {**row, "opening": row["opening"] + 1})


async def test_an_accounts_days_ascend(connection: asyncpg.Connection) -> None:
    row = dict(await connection.fetchrow("SELECT * FROM daily_grants"))
    with pytest.raises(asyncpg.CheckViolationError) as refused:
        await insert(connection, "daily_grants", {**row, "previous_on": row["day_on"]})
    assert refused.value.constraint_name == "days_ascend"


async def test_no_two_accounts_share_an_id(connection: asyncpg.Connection) -> None:
    with pytest.raises(asyncpg.UniqueViolationError):
        await connection.execute(
            """INSERT INTO accounts (external_id, tier, due_at, opened_at)
               VALUES ('user-1', 'FREE', now(), now())"""
        )


async def test_a_run_is_one_date_and_one_start(connection: asyncpg.Connection) -> None:
    run = {
        "day_on": NOW.date(),
        "wave_at": NOW,
        "catalogue_id": 1,
        "state": "going",
        "started_by": "tests",
        "started_at": NOW,
    }
    await insert(connection, "runs", run)
    with pytest.raises(asyncpg.UniqueViolationError):
        await insert(connection, "runs", run)


async def test_an_event_is_received_once(connection: asyncpg.Connection) -> None:
    event = {
        "id": "evt_1",
        "type": "t",
        "livemode": False,
        "created_at": NOW,
        "received_at": NOW,
        "payload": b"{}",
        "verdict": "ignored",
        "verdict_reason": "",
    }
    await insert(connection, "events", event)
    with pytest.raises(asyncpg.UniqueViolationError):
        await insert(connection, "events", event)
