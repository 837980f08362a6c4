"""The receiver of a Checkout session's credits, and what the session says of its customer.

What the server wrote can link the customer. What a browser can write (client_reference_id, and the
metadata of a payment link's session) only names the receiver of this one purchase.
"""

from __future__ import annotations

import msgspec

from app.accounts import ties
from app.accounts.claims import Said, is_account_id
from app.accounts.open import TIES, Rank, is_a_customers
from app.accounts.ties import ClaimOutcome, LockedCustomer
from app.allowance.origin import Origin
from app.book import Book
from app.infrastructure.ids import AccountNumber
from app.purchases.facts import SessionFact


class Buyer(msgspec.Struct, frozen=True, kw_only=True):
    """The session's customer, locked and settled (None for a guest), and the effect of its name.

    ``refused`` is a name that no account can have; ``remark`` is a name without consequences.
    """

    customer: LockedCustomer | None
    claim: ClaimOutcome | None = None
    refused: str | None = None
    remark: str | None = None


class Receiver(msgspec.Struct, frozen=True):
    """The account that gets the credits; a ``gift`` if a browser may have named it.

    ``pays`` is true if the payer's customer is linked to it: then it is no gift to somebody else.
    """

    account: AccountNumber
    gift: bool
    pays: bool = False

    @property
    def owned(self) -> bool:
        """Return whether the account's owner bought it, as far as that can be known."""
        return self.pays or not self.gift


class Unplaced(msgspec.Struct, frozen=True):
    """A purchase without a receiver: the reason and the remedy."""

    reason: str


async def find_buyer(book: Book, fact: SessionFact, origin: Origin) -> Buyer:
    """Lock the session's customer, store the session's claims, and update the links.

    Opens no account except one that the server named.
    """
    _, catalogue = await book.catalogues.present(book.database)
    trusted = catalogue.stripe.trust_client_reference
    refused, remark = fact.hint_refused, None
    if fact.client_reference_id and not is_account_id(fact.client_reference_id):
        remark = f"client_reference_id {fact.client_reference_id[:60]!a} is no account id"
    if fact.customer_id is None:
        return Buyer(customer=None, refused=refused or remark)
    name = _server_named(fact, trusted=trusted)
    customer = await ties.lock(book, fact.customer_id, name)
    before, said = customer, None
    if name is not None and not await is_a_customers(book, name, fact.customer_id):
        said = _said(fact, Rank.NAMED, fact.session_id, name)
        customer = await ties.keep(book, customer, said)
    elif name is not None:
        refused = f"{name} is another customer's id"
    for rank, receiver in _receivers(fact):
        assert fact.subscription_id is not None
        of_it = _said(fact, rank, fact.subscription_id, receiver)
        customer = await ties.keep(book, customer, of_it)
    customer = await ties.settle(book, customer, origin)
    await ties.place(book, customer, origin)
    if remark is not None and customer.rank not in TIES:
        refused, remark = refused or remark, None
    claim = await ties.outcome(book, before, customer, said) if said else None
    return Buyer(customer=customer, claim=claim, refused=refused, remark=remark)


async def find_receiver(
    book: Book, fact: SessionFact, buyer: Buyer, origin: Origin
) -> Receiver | Unplaced:
    """Return the account that gets a paid session's credits; open it if there is none."""
    named = await _named_receiver(book, fact, buyer, origin)
    if named is None and buyer.customer is None:
        return Unplaced(
            "paid by a guest, and no account is named: set client_reference_id on the session;"
            " this one's credits can be given by POST /api/v1/accounts/{id}/grants"
        )
    if named is None:
        assert buyer.customer is not None
        return Receiver(await ties.opened(book, buyer.customer, origin), gift=False)
    if named.gift and buyer.customer and await _gave_and_disputed(book, buyer.customer.id):
        return Unplaced(
            f"an earlier gift of {buyer.customer.id} was refunded or disputed after it was spent:"
            " look at its alert gift_disputed before you give this one by a grant"
        )
    return named


async def _named_receiver(
    book: Book, fact: SessionFact, buyer: Buyer, origin: Origin
) -> Receiver | None:
    """Return the receiver: by the session's metadata, its customer's link, its reference,
    or None.
    """
    customer = buyer.customer
    if fact.account_hint:
        account = await ties.account_named(book, customer, fact.account_hint, origin)
        pays = customer is not None and customer.account == account and customer.rank in TIES
        return Receiver(account, gift=fact.by_payment_link, pays=pays)
    if customer is not None and customer.account is not None and customer.rank in TIES:
        return Receiver(customer.account, gift=False)
    reference = fact.client_reference_id
    if reference and is_account_id(reference):
        return Receiver(await ties.account_named(book, customer, reference, origin), gift=True)
    return None


async def _gave_and_disputed(book: Book, customer_id: str) -> bool:
    return await book.database.fetchval(  # type: ignore[no-any-return]
        "SELECT EXISTS (SELECT FROM alerts WHERE kind = 'gift_disputed' AND customer_id = $1)",
        customer_id,
    )


def _server_named(fact: SessionFact, *, trusted: bool) -> str | None:
    """Return the account that the session's maker named; None if a browser may have written it."""
    if fact.account_hint and not fact.by_payment_link:
        return fact.account_hint
    reference = fact.client_reference_id if trusted else None
    return reference if reference and is_account_id(reference) else None


def _receivers(fact: SessionFact) -> list[tuple[Rank, str]]:
    """Return the claims about who receives the subscription that the session begins."""
    if fact.subscription_id is None:
        return []
    named = (Rank.RECEIVER, fact.account_hint), (Rank.REFERENCE, fact.client_reference_id)
    return [(rank, name) for rank, name in named if name and is_account_id(name)]


def _said(fact: SessionFact, rank: Rank, object_id: str, name: str) -> Said:
    return Said(
        rank=rank,
        object_id=object_id,
        external_id=name,
        event_id=fact.event_id,
        occurred_at=fact.occurred_at,
    )
