"""Signed links to an account's page, which expire. They are not stored.

The key is derived from the pepper, so that whoever reads the database can sign none. A link names
the account's row and when that was opened: it follows the account through renames, merges and
other customers, and opens nothing in another book that has the same pepper.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

import msgspec

from app.accounts.open import unknown
from app.book import Book
from app.errors import PageLinkError, PageLinkExpiredError, PriceUnknownError
from app.infrastructure import clock, sql
from app.infrastructure.ids import AccountNumber

OFFERS_MAX: Final = 8
Theme = Literal["auto", "light", "dark"]
_SQL: Final = sql.beside(__file__)
_TOKEN: Final = re.compile(r"([A-Za-z0-9_-]{1,4000})\.([A-Za-z0-9_-]{43})", re.ASCII)
_REFUSED: Final = "This link is not one of ours, or it was changed on its way."


class Offer(msgspec.Struct, frozen=True, array_like=True):
    """A price to buy by Checkout, and what its button says; by the catalogue where that is None."""

    price: str
    label: str | None = None


class PageLink(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What a link says of its page; readable by whoever has it, and sealed by its signature."""

    number: AccountNumber
    opened_us: int  # when the account was opened, in microseconds of Unix time
    expires_s: int  # Unix time
    theme: Theme = "auto"
    accent: str | None = None
    return_url: str | None = None
    offers: tuple[Offer, ...] = ()


class PageWish(msgspec.Struct, frozen=True, kw_only=True):
    """How the page is to look, where it leads back to, and what it offers."""

    lasts: timedelta
    theme: Theme
    accent: str | None
    return_url: str | None
    offers: tuple[Offer, ...]


async def create(book: Book, pepper: str, public_id: str, wish: PageWish) -> tuple[str, datetime]:
    """A new link's token, and when it ends.

    Raises AccountUnknownError, and PriceUnknownError where the catalogue does not sell a price.
    """
    _, catalogue = await book.catalogues.present(book.database)
    for offer in wish.offers:
        if catalogue.tier_of_price(offer.price) is None and not catalogue.pack_of_price(
            offer.price
        ):
            raise PriceUnknownError(
                f"The catalogue sells no tier and no pack by the price {offer.price!r}.",
                price=offer.price,
            )
    row = await book.database.fetchrow(*_SQL["named"](public_id=public_id))
    if row is None:
        raise unknown(public_id)
    ends_at = (await clock.now(book.database) + wish.lasts).replace(microsecond=0)
    link = PageLink(
        number=row["id"],
        opened_us=_microseconds(row["opened_at"]),
        expires_s=int(ends_at.timestamp()),
        theme=wish.theme,
        accent=wish.accent,
        return_url=wish.return_url,
        offers=wish.offers,
    )
    return sign(pepper, link), ends_at


def sign(pepper: str, link: PageLink) -> str:
    """The token of a link, for an address."""
    body = _encoded(msgspec.json.encode(link))
    return f"{body}.{_signature(pepper, body)}"


def read(pepper: str, token: str) -> PageLink:
    """The link of a token, ended or not; raises PageLinkError for what we did not sign."""
    found = _TOKEN.fullmatch(token)
    if found is None or not hmac.compare_digest(_signature(pepper, found[1]), found[2]):
        raise PageLinkError(_REFUSED)
    try:
        raw = base64.urlsafe_b64decode(found[1] + "=" * (-len(found[1]) % 4))
        return msgspec.json.decode(raw, type=PageLink)
    except (binascii.Error, msgspec.MsgspecError):  # of a version that had other links
        raise PageLinkError(_REFUSED) from None


class Followed(msgspec.Struct, frozen=True, kw_only=True):
    """A link that is good now, and the account that it leads to, by its internal id."""

    link: PageLink
    number: AccountNumber
    opened_at: datetime
    now: datetime

    @property
    def ends_at(self) -> datetime:
        """When the link ends."""
        return datetime.fromtimestamp(self.link.expires_s, UTC)


async def follow(book: Book, link: PageLink) -> Followed:
    """Where the link leads; raises PageLinkExpiredError, PageLinkError."""
    row = await book.database.fetchrow(*_SQL["led_to"](number=link.number))
    if row is None or _microseconds(row["opened_at"]) != link.opened_us:
        raise PageLinkError(_REFUSED)  # signed for another book
    if row["now"].timestamp() >= link.expires_s:
        raise PageLinkExpiredError("This link has ended.")
    return Followed(link=link, number=row["present"], opened_at=row["opened_at"], now=row["now"])


def _signature(pepper: str, body: str) -> str:
    key = hmac.digest(pepper.encode(), b"tallybook page links", hashlib.sha256)
    return _encoded(hmac.digest(key, body.encode(), hashlib.sha256))


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _microseconds(at: datetime) -> int:
    return (at - datetime.fromtimestamp(0, at.tzinfo)) // timedelta(microseconds=1)
