"""`tallybook account`: what operators do without curl."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from rich.console import Console

from app.accounts import names, standing
from app.accounts.names import NameOrder
from app.accounts.open import require
from app.accounts.view import AccountView, view, view_of_account
from app.audit.accounts import AccountQuery, accounts
from app.audit.explain import Behind, explain
from app.audit.horizon import Horizons
from app.book import Book
from app.commands.book import key_secret, opened_book
from app.commands.listing import Change, Listing, by_name, plain, show_json
from app.errors import RefusedError
from app.infrastructure import ids
from app.ledger.idempotency import request_key
from app.operators.acts import at_the_machine
from app.reversals.returns import ReturnOrder, give_back
from app.spending import corrections
from app.spending.grants import GrantOrder, GrantSource, grant_many
from app.spending.keyed import Done, Order

PAGE_ACCOUNTS = 1_000
SIDES = ("available", "balance", "free", "held", "debt")
DRY_RUN = "A dry run: nothing was changed."


def keyed_order(reason: str, key: str | None, data_dir: Path | None, *asked: object) -> Order:
    """The order of the person at the machine; without a key of theirs under one of its own."""
    name = key or f"cli:{secrets.token_hex(12)}"
    by = at_the_machine(reason)
    told = [str(one) for one in asked]
    secret = key_secret(data_dir) if key else b""
    asked_under = request_key(name, "CLI", "account", told, secret)
    return Order(actor=by.actor, key=asked_under, reason=by.reason)


@asynccontextmanager
async def acting(book: Book, *, dry_run: bool) -> AsyncIterator[None]:
    """Keep what is done within, or with ``dry_run`` do it and roll it back."""
    if dry_run:
        async with book.database.rehearsal():
            yield
    else:
        yield


async def show(console: Console, public_id: str, data_dir: Path | None, *, as_json: bool) -> int:
    """`tallybook account show`."""
    async with opened_book(data_dir) as book:
        one = await view(book, public_id)
    facts, lots = _facts(one), _lots(one)
    if as_json:
        show_json(console, {name: plain(value) for name, value in facts.items()}
                  | {"lots": lots.members()})  # fmt: skip
        return 0
    by_name(facts).show(console)
    lots.show(console)
    return 0


def _facts(one: AccountView) -> dict[str, object]:
    return {
        "account": one.public_id,
        "customer": one.customer_id,
        "tier": one.tier,
        "state": one.state,
        **{side: getattr(one, side) for side in SIDES},
        "next grant (UTC)": one.next_grant_at,
        "time zone": one.time_zone,
        "closed (UTC)": one.closed_at,
        "suspended (UTC)": one.suspended_at,
        "also known as": list(one.aliases),
    }


def _lots(one: AccountView) -> Listing:
    lots = Listing("lot", "source", "free", "held", "ends (UTC)", title="In burn order")
    for lot in one.lots:
        number = ids.public(ids.LOT, lot.number)
        lots.add(number, lot.source, lot.free, lot.held, lot.expires_at)
    return lots


async def explain_account(
    console: Console,
    public_id: str,
    as_of: datetime | None,
    data_dir: Path | None,
    *,
    as_json: bool,
) -> int:
    """`tallybook account explain`: entry by entry what is behind each lot and the debt."""
    listing = Listing(
        *("entry", "lot", "source", "kind", "change", "recorded (UTC)", "journal", "event"),
        "reason",
        least=("lot", "event", "journal", "reason"),
    )

    def add(behind: Behind, lot: str, source: str) -> None:
        for row in behind.entries:
            listing.add(
                ids.public(ids.ENTRY, row["id"]),
                lot,
                source,
                row["kind"],
                Change(row["change"]),
                row["recorded_at"],
                ids.public(ids.JOURNAL, row["journal_id"]),
                row["event_id"],
                row["reason"],
            )

    async with opened_book(data_dir) as book:
        found = await explain(book.database, Horizons(), public_id, as_of)
    for lot in found.lots:
        add(lot.behind, ids.public(ids.LOT, lot.number), lot.source)
    add(found.owed, "", "debt")
    listing.show(console, as_json=as_json)
    return 0


async def list_accounts(
    console: Console, query: AccountQuery, limit: int, data_dir: Path | None, *, as_json: bool
) -> int:
    """`tallybook account list`."""
    listing = Listing(
        *("account", "customer", "tier", "state", "available", "balance", "closed"),
        least=("closed", "balance", "customer"),
    )
    async with opened_book(data_dir) as book:
        cursor = None
        while len(listing.rows) < limit:
            room = min(limit - len(listing.rows), PAGE_ACCOUNTS)
            page = await accounts(book.database, query, cursor, room)
            for row in page.rows:
                listing.add(
                    row["public_id"],
                    row["customer_id"],
                    row["tier"],
                    row["state"],
                    row["available"],
                    row["free"] + row["held"] - row["debt"],
                    row["closed_at"],
                )
            cursor = page.next_cursor
            if cursor is None:
                break
    listing.show(console, as_json=as_json)
    if cursor is not None:
        Console(stderr=True).print(f"There are more than {limit}: --limit shows them.", style="dim")
    return 0


Act = Callable[[Book], Awaitable[Done]]


async def _moved(
    console: Console, public_id: str, data_dir: Path | None, act: Act, *, dry_run: bool
) -> int:
    """Do an act that moves credits, and tell what it made of the account."""
    async with opened_book(data_dir) as book, acting(book, dry_run=dry_run):
        before = await _standing(book, public_id)
        done = await act(book)
        after = await _standing(book, public_id)
    told = Listing("credits", "before", "after")
    for name in SIDES:
        told.add(name, getattr(before, name), getattr(after, name))
    told.show(console)
    if dry_run:
        console.print(DRY_RUN)
    else:
        again = " (an earlier call under this key made it)" if done.replayed else ""
        number = ids.public(ids.JOURNAL, done.journal_id)
        console.print(f"Journal {number}{again}.", highlight=False)
    return 0


async def _standing(book: Book, public_id: str) -> AccountView:
    """As `view`, within the transaction of a dry run too."""
    return await view_of_account(book, await require(book, public_id))


async def grant(
    console: Console,
    public_id: str,
    amount: int,
    order: Order,
    expires_at: datetime | None,
    source: GrantSource,
    data_dir: Path | None,
    *,
    dry_run: bool,
) -> int:
    """`tallybook account grant`."""

    async def act(book: Book) -> Done:
        wanted = GrantOrder(
            account_id=public_id,
            amount=amount,
            order=order,
            source=source,
            expires_at=expires_at,
        )
        (result,) = await grant_many(book, [wanted])
        if isinstance(result, Done):
            return result
        raise result

    return await _moved(console, public_id, data_dir, act, dry_run=dry_run)


async def adjust(
    console: Console,
    public_id: str,
    amount: int,
    order: Order,
    data_dir: Path | None,
    *,
    dry_run: bool,
) -> int:
    """`tallybook account adjust`."""
    if amount == 0:
        raise RefusedError("An adjustment by 0 changes nothing.")

    async def act(book: Book) -> Done:
        return await corrections.adjust(book, public_id, amount, order)

    return await _moved(console, public_id, data_dir, act, dry_run=dry_run)


async def return_credits(
    console: Console,
    public_id: str,
    wanted: ReturnOrder,
    order: Order,
    data_dir: Path | None,
    *,
    dry_run: bool,
) -> int:
    """`tallybook account return`."""
    named = [wanted.spend, wanted.hold, wanted.of_key]
    if named.count(None) != 2:
        raise RefusedError("Name one of --spend, --hold and --of-key.")

    async def act(book: Book) -> Done:
        return await give_back(book, public_id, wanted, order)

    return await _moved(console, public_id, data_dir, act, dry_run=dry_run)


STANDINGS = {
    "close": (standing.close, "is closed: it gets no grants any more"),
    "reopen": (standing.reopen, "is open again"),
    "suspend": (standing.suspend, "is suspended: it can spend and hold nothing"),
    "resume": (standing.resume, "can spend and hold again"),
}


async def stand(
    console: Console, act: str, public_id: str, reason: str, data_dir: Path | None
) -> int:
    """`tallybook account close`, `reopen`, `suspend`, `resume`."""
    do, told = STANDINGS[act]
    async with opened_book(data_dir) as book:
        await do(book, public_id, at_the_machine(reason))
        one = await view(book, public_id)
    console.print(f"{public_id} {told}; {one.available:,} available.", highlight=False)
    return 0


async def name(
    console: Console,
    act: str,
    public_id: str,
    to: str,
    reason: str,
    data_dir: Path | None,
    *,
    dry_run: bool,
) -> int:
    """`tallybook account rename` and `merge`."""
    by = at_the_machine(reason)
    key = request_key(f"cli:{secrets.token_hex(12)}", "CLI", act, [public_id, to])
    do = names.rename if act == "rename" else names.merge
    async with opened_book(data_dir) as book, acting(book, dry_run=dry_run):
        await do(book, public_id, to, NameOrder(by=by, key=key))
        one = await _standing(book, to)
    would = "A dry run, nothing was changed: " if dry_run else ""
    console.print(
        f"{would}{public_id} is known as {to}: {one.tier}, {one.available:,} available.",
        highlight=False,
    )
    return 0
