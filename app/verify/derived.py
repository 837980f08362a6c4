"""Derive rows again from their facts, by the functions that derived them first.

Somebody who gives a subscription a better tier, or removes a refund, leaves facts that say
otherwise.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from app.allowance.catalogues import Catalogues
from app.allowance.entitlement import CataloguePricing
from app.infrastructure import sql
from app.infrastructure.db import Database
from app.purchases import store as payments
from app.purchases.derive import money_back
from app.purchases.facts import MoneyFact, SessionFact
from app.purchases.store import Payment
from app.seals.recompute import wrong_seals
from app.subscriptions import store as subscriptions
from app.subscriptions.facts import Fact, FactKind
from app.subscriptions.store import Asked

if TYPE_CHECKING:
    from app.verify import row_types


_SQL: Final[row_types.DerivedSql] = sql.beside(__file__)
PAGE_ROWS: Final = 500

# The columns of a subscription that its facts decide; another check compares its account.
_OF_FACTS: Final = frozenset(
    {"state", "status", "price_ids", "period_end_at", "cancel_at_period_end", "cancel_at", "tier"}
    | {"grace_tier", "failing_since", "grace_ends_at", "last_event_id", "last_event_at"}
)

Finding = Callable[[Database], AsyncGenerator[str, None]]


async def wrong_subscriptions(database: Database) -> AsyncGenerator[str, None]:
    """Name the subscriptions that differ from what all their facts derive."""
    catalogues, after = Catalogues(), ""
    while rows := await database.fetch(_SQL["subscriptions"](after=after, limit=PAGE_ROWS)):
        after = rows[-1]["id"]
        for row in rows:
            if row["bodies"] is None and row["deleted_at"] is None:
                yield f"subscription {row['id']} has no fact"
                continue
            catalogue = await catalogues.of(database, row["catalogue_id"])
            gathered = subscriptions.gather(_asked(row), row, from_checkpoint=False)
            details = await subscriptions.details_of(database, gathered.wanted)
            derived = gathered.reading(CataloguePricing(catalogue), details).derived
            said, stands = subscriptions.row_of(derived, row["account_id"]), dict(row)
            for name in sorted(_OF_FACTS):
                if stands[name] != said[name]:
                    yield (
                        f"subscription {row['id']}: {name} {_told(stands[name])} stands; "
                        f"its facts say {_told(said[name])}"
                    )


def _asked(row: row_types.DerivedSubscriptions) -> Asked:
    deleted = None
    if row["deleted_at"] is not None and row["deleted_event_id"] is not None:
        deleted = Fact(
            event_id=row["deleted_event_id"],
            subscription_id=row["id"],
            customer_id=row["customer_id"],
            kind=FactKind.CUSTOMER_DELETED,
            occurred_at=row["deleted_at"],
        )
    return Asked(
        subscription_id=row["id"],
        customer_id=row["customer_id"],
        catalogue_id=row["catalogue_id"],
        deleted=deleted,
    )


def _told(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


async def wrong_purchases(database: Database) -> AsyncGenerator[str, None]:
    """Name the purchases whose session, or whose refunded money, differs from the facts."""
    after = ""
    while rows := await database.fetch(_SQL["purchases"](after=after, limit=PAGE_ROWS)):
        after = rows[-1]["payment_key"]
        for row in rows:
            facts = await _facts_of(database, row)
            sessions = [fact for fact in facts if isinstance(fact, SessionFact)]
            said = {
                (one.session_id, one.payment_intent, one.amount, one.currency) for one in sessions
            }
            stands = (row["session_id"], row["payment_intent"], row["paid"], row["currency"])
            if stands not in said or row["payment_key"] != (stands[1] or stands[0]):
                yield (
                    f"purchase {row['payment_key']}: no event tells of session {stands[0]} paid by "
                    f"{stands[1]} with {stands[2]} {stands[3]}"
                )
            pins = await payments.pins_of(database, facts)
            parts = {
                (one.kind, one.id, one.amount, str(one.standing))
                for one in money_back(facts, row["currency"], pins)
            }
            kept = {tuple(part) for part in msgspec.json.decode(row["parts"])}
            for kind, number, amount, standing in sorted(kept ^ parts):
                where = "stands" if (kind, number, amount, standing) in kept else "is told"
                yield (
                    f"purchase {row['payment_key']}: {kind} {number} of {amount} {standing} "
                    f"{where} alone"
                )


async def _facts_of(database: Database, row: row_types.DerivedPurchases) -> list[MoneyFact]:
    intent = row["payment_intent"]
    if intent is None:
        body = await database.fetch(_SQL["session_facts"](session_id=row["session_id"]))
        return [msgspec.json.decode(one["body"], type=MoneyFact) for one in body]
    charges = await payments.charges_of(database, intent)
    return await payments.facts_of(database, Payment(intent, charges))


# name → (what it counts, what finds faults), for the checks that SQL cannot make.
DERIVED: Final[Mapping[str, tuple[str, Finding]]] = {
    "every subscription is as its facts derive it": (
        "SELECT count(*) FROM subscriptions",
        wrong_subscriptions,
    ),
    "every purchase, and the money that went back, is as events say": (
        "SELECT count(*) FROM purchases",
        wrong_purchases,
    ),
    "every seal fits the ledger": ("SELECT count(*) FROM seals", wrong_seals),
}
