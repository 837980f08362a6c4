"""The account that a customer's newest snapshot names, also where several share a second."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from app.accounts.open import Rank
from app.accounts.ties import LockedCustomer
from app.book import Book
from app.infrastructure import sql
from app.subscriptions import store
from app.subscriptions.facts import Fact, FactKind
from app.subscriptions.order import in_order
from app.webhooks import shapes
from app.webhooks.translate import CustomerFact

if TYPE_CHECKING:
    from app.webhooks import row_types


SNAPSHOTS_MAX: Final = 20  # those of the newest second, and what they follow

_SQL: Final[row_types.CustomerNamesSql] = sql.beside(__file__)


async def latest_name(book: Book, customer: LockedCustomer, fact: CustomerFact) -> str:
    """The name once this event of the locked customer is known; empty if it names none.

    Snapshots of one second are ordered as a subscription's are: ``created`` comes first, and
    ``previous_attributes`` link the others.
    """
    told = [one for one in customer.claims if one.rank is Rank.CUSTOMER_METADATA]
    newest = max((one.last_at for one in told), default=None)
    if newest is None or newest < fact.occurred_at:
        return fact.account_hint or ""
    if newest > fact.occurred_at:
        return next((one.external_id for one in told if one.stands), "")
    return await _last_of_second(book, fact)


async def _last_of_second(book: Book, fact: CustomerFact) -> str:
    rows = await book.database.fetch(
        _SQL["snapshots"](
            event_id=fact.event_id,
            customer_id=fact.customer_id,
            at=fact.occurred_at,
            count=SNAPSHOTS_MAX,
        )
    )
    snapshots = [
        Fact(
            event_id=row["id"],
            subscription_id="",
            customer_id=fact.customer_id,
            kind=FactKind.CREATED if row["created"] else FactKind.UPDATED,
            occurred_at=row["created_at"],
        )
        for row in rows
    ]
    details = await store.details_of(book.database, {one.event_id for one in snapshots})
    ordered, _ = in_order(snapshots, details)
    keys = await book.catalogues.account_keys(book.database)
    return shapes.account_hint_of(details[ordered[-1].event_id].after, keys).account_id or ""
