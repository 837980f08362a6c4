"""A person's data goes; every entry, total and proof stands.

What Stripe sent keeps ids, amounts, times and prices; names, addresses, e-mail, telephone numbers,
tax ids, cards and free text become null. The application's ids of the account are replaced by one
that says nothing, wherever they stand, so that events and retries find the same account. Of the
idempotency keys of its acts a keyed hash stays, by which a late retry finds its answer. The
schema's owner does it, in one transaction, and its act is recorded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from app.accounts.open import require
from app.book import Book
from app.infrastructure import ids, sql
from app.infrastructure.db import Database
from app.infrastructure.ids import AccountNumber
from app.ledger import idempotency
from app.operators import acts
from app.operators.acts import Operator, OperatorAct
from app.operators.keys import keep_pepper
from app.seals.withhold import withhold_names, withhold_texts

if TYPE_CHECKING:
    from app.erasure import row_types


_SQL: Final[row_types.EraseSql] = sql.beside(__file__)
EVENTS_AT_ONCE: Final = 500

# Members of Stripe's objects that say who somebody is, or lead to a page that does.
_WHO: Final = """
    email name phone address shipping shipping_details billing_details customer_details
    customer_email customer_name customer_phone customer_address customer_shipping
    customer_tax_ids tax_ids tax_id receipt_email receipt_number receipt_url description
    statement_descriptor statement_descriptor_suffix custom_fields custom_text footer memo
    payment_method_details collected_information individual_name business_name
    hosted_invoice_url invoice_pdf hosted_verification_url url
    ip_address ip client_ip fingerprint last4 iban owner owner_name preferred_locales
    evidence consent account_name
"""
PERSONAL: Final = frozenset(_WHO.split())


class Erased(NamedTuple):
    """Counts of what lost its texts, and the account's id from now on."""

    journals: int
    events: int
    name: str


async def erase_account(database: Database, public_id: str, by: Operator, pepper: str) -> Erased:
    """Erase the person of an account and record the act, in one transaction of the owner's."""
    async with database.transaction():
        await keep_pepper(database, pepper)
        account_id = await require(Book(database), public_id)
        erased = await _erase(database, account_id, idempotency.secret_of(pepper))
        await acts.record(database, OperatorAct.ERASE, by, account_id=account_id)
    return erased


async def _erase(database: Database, account_id: AccountNumber, key_secret: bytes) -> Erased:
    """Erase in the caller's transaction; done again, each statement changes nothing."""
    await database.execute(_SQL["begin"]())
    owners = [row["id"] for row in await database.fetch(_SQL["owners"](account_id=account_id))]
    known = await database.fetchrow(_SQL["names"](owners=owners))
    assert known is not None
    new = _new_names(account_id, known["external_ids"])
    # First the salts: without them the hashes that were sealed tell nothing of the texts.
    await withhold_texts(database, owners)
    await withhold_names(database, owners)
    asked = {"owners": owners, "customer_ids": known["customer_ids"]}
    events = await database.fetch(_SQL["events"](**asked, external_ids=list(new)))
    await _erase_events(database, events, new)
    await _erase_use(database, owners)
    journals = [row["id"] for row in await database.fetch(_SQL["journals"](owners=owners))]
    await _erase_keys(database, owners, journals, key_secret)
    name = next(iter(new.values()), known["customer_ids"][0] if known["customer_ids"] else "")
    told = {"old": list(new), "new": list(new.values())}
    await database.execute(_SQL["rename_claims"](**told))
    await database.execute(_SQL["rename_accounts"](**told))
    await database.execute(_SQL["rename_aliases"](**told))
    await database.execute(_SQL["erase_notes"](journal_ids=journals, old=list(new), new=name))
    await database.execute(_SQL["erase_members"](journal_ids=journals))
    await database.execute(_SQL["erase_reversals"](owners=owners))
    await database.execute(_SQL["erase_acts"](owners=owners))
    return Erased(len(journals), len(events), name)


async def _erase_keys(
    database: Database, owners: Sequence[AccountNumber], journals: Sequence[int], secret: bytes
) -> None:
    """Let keyed hashes stand for the keys of these journals, and of operators' acts."""
    asked = {"owners": owners, "journal_ids": journals}
    rows = await database.fetch(_SQL["keys"](**asked))
    keys = [idempotency.key_of(row["key"], secret) for row in rows]
    requests = [one.blinded(row["request_hash"]) for one, row in zip(keys, rows, strict=True)]
    await database.execute(
        _SQL["write_erased_keys"](
            hashes=[one.hash for one in keys],
            of_operator=[row["of_operator"] for row in rows],
            request_hashes=requests,
            journal_ids=[row["journal_id"] for row in rows],
            act_ids=[row["act_id"] for row in rows],
        )
    )
    await database.execute(_SQL["erase_journals_keys"](journal_ids=journals))
    await database.execute(_SQL["erase_acts_keys"](owners=owners))


def _new_names(account_id: AccountNumber, old: Sequence[str]) -> dict[str, str]:
    """A name for each that goes: the account's number in other words, and a number more."""
    said = ids.public(ids.ERASED, account_id).replace("_", "-")
    return {name: f"{said}.{n}" if n else said for n, name in enumerate(old)}


async def _erase_events(
    database: Database, events: Sequence[row_types.EraseEvents], new: Mapping[str, str]
) -> None:
    for row in events:
        await database.execute(
            _SQL["write_event"](
                id=row["id"],
                payload=impersonal(row["payload"], new),
                verdict_reason=_renamed(row["verdict_reason"], new),
                error=_renamed(row["error"], new),
            )
        )
        for body_id, payload in zip(row["body_ids"], row["bodies"], strict=True):
            await database.execute(_SQL["write_body"](id=body_id, payload=impersonal(payload, new)))
    event_ids = [row["id"] for row in events]
    for delivery in await database.fetch(_SQL["deliveries"](event_ids=event_ids)):
        reason = _renamed(delivery["reason"], new)
        await database.execute(_SQL["write_delivery"](id=delivery["id"], reason=reason))
    for fact in await database.fetch(_SQL["facts"](event_ids=event_ids)):
        if left := _left(fact["body"], new):
            await database.execute(_SQL["write_fact"](**{**fact, "body": left}))
    for money in await database.fetch(_SQL["money_facts"](event_ids=event_ids)):
        if left := _left(money["body"], new):
            await database.execute(_SQL["write_money_fact"](**{**money, "body": left}))


def _left(body: str, new: Mapping[str, str]) -> str | None:
    """Return what is left of a fact's body in JSON; None if nothing of it was personal."""
    before = orjson.loads(body)
    left = _exchanged(before, new)
    return orjson.dumps(left).decode() if left != before else None


async def _erase_use(database: Database, owners: Sequence[AccountNumber]) -> None:
    """Let what members used count for no member."""
    rows = await database.fetch(_SQL["members_use"](owners=list(owners)))
    flows = ("spent", "returned", "reversed", "use_reversed")
    for row in rows:
        use: dict[str, Any] = dict(row)
        place = {name: use[name] for name in ("day_on", "tier", "label")}
        for member, sign in ((row["member"], -1), ("", 1)):
            moved = {flow: sign * use[flow] for flow in flows}
            await database.execute(_SQL["move_use"](**place, member=member, **moved))
    members = sorted({row["member"] for row in rows})
    await database.execute(_SQL["drop_empty_use"](members=members))


def impersonal(payload: bytes, new: Mapping[str, str]) -> bytes:
    """Return an event's bytes without personal members: ids, amounts and times stay, and the
    account's ids are replaced.

    Without new ones metadata stays. Bytes that are no JSON are dropped whole.
    """
    try:
        event = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return b""
    if not isinstance(event, dict):
        return b""
    # The envelope's own members are Stripe's.
    return orjson.dumps({**event, "data": _impersonal(event.get("data"), new)})


def _impersonal(value: Any, new: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _member(name, inner, new) for name, inner in value.items()}
    if isinstance(value, list):
        return [_impersonal(one, new) for one in value]
    return new.get(value, value) if isinstance(value, str) else value


def _member(name: str, value: Any, new: Mapping[str, str]) -> Any:
    if name == "metadata" and isinstance(value, dict) and not new:
        return value  # it may name an account by whatever key the catalogue says
    if name == "metadata" and isinstance(value, dict):
        # What names an account decides whose the event is; the rest is the application's free text.
        return {
            key: new.get(str(one), one)
            for key, one in value.items()
            if key.startswith("tallybook") or str(one) in new
        }
    return None if name in PERSONAL else _impersonal(value, new)


def _exchanged(value: Any, new: Mapping[str, str]) -> Any:
    """Return the same value with the account's ids replaced."""
    if isinstance(value, dict):
        return {name: _exchanged(inner, new) for name, inner in value.items()}
    if isinstance(value, list):
        return [_exchanged(one, new) for one in value]
    return new.get(value, value) if isinstance(value, str) else value


def _renamed(text: str | None, new: Mapping[str, str]) -> str | None:
    """A sentence with the account's ids by the new ones; the longest first."""
    for old in sorted(new, key=len, reverse=True):
        text = text and text.replace(old, new[old])
    return text


async def scrub(database: Database, before: datetime, by: Operator) -> int:
    """Take the personal members out of events received before; the count of those that had some."""
    count = after = 0
    while True:
        async with database.transaction():
            await database.execute(_SQL["begin"]())
            rows = await database.fetch(
                _SQL["old_events"](before=before, after=after, limit=EVENTS_AT_ONCE)
            )
            if not rows:
                break
            for row in rows:
                left = impersonal(row["payload"], {})
                if left != row["payload"]:
                    count += 1
                    await database.execute(_SQL["scrub_event"](id=row["id"], payload=left))
            after = rows[-1]["number"]
    async with database.transaction():
        told = f"{count} events received before {before:%Y-%m-%d}"
        await acts.record(database, OperatorAct.ERASE, by, subject=told)
    return count
