"""Signed links to an account's page, which expire. They are not stored.

The signing key is derived from the pepper, so that a copy of the database is not enough to sign a
link. A link names the account's row and the instant when the account was opened. So it follows the
account through renames, merges and changes of customer, and opens nothing in another book that has
the same pepper.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from app.accounts.open import unknown
from app.book import Book
from app.errors import PageLinkError, PageLinkExpiredError, PriceUnknownError
from app.infrastructure import clock, sql
from app.infrastructure.ids import AccountNumber

if TYPE_CHECKING:
    from app.accounts import row_types


OFFERS_MAX: Final = 8
Theme = Literal["auto", "light", "dark"]
_SQL: Final[row_types.PageLinksSql] = sql.beside(__file__)
_TOKEN: Final = re.compile(r"([A-Za-z0-9_-]{1,4000})\.([A-Za-z0-9_-]{43})", re.ASCII)
_REFUSED: Final = "This link was not signed by this service, or it was changed."


class Offer(msgspec.Struct, frozen=True, array_like=True):
    """A price to buy by Checkout, with its button's text; if that is None, the catalogue's text."""

    price: str
    label: str | None = None


class PageLink(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """The content of a link: readable for everyone who has it, protected by its signature."""

    number: AccountNumber
    opened_us: int  # when the account was opened, in microseconds of Unix time
    expires_s: int  # when the link ends, in seconds of Unix time
    theme: Theme = "auto"
    accent: str | None = None
    return_url: str | None = None
    offers: tuple[Offer, ...] = ()


class PageWish(msgspec.Struct, frozen=True, kw_only=True):
    """The page's look, its return address and its offers."""

    lasts: timedelta
    theme: Theme
    accent: str | None
    return_url: str | None
    offers: tuple[Offer, ...]


async def create(book: Book, pepper: str, public_id: str, wish: PageWish) -> tuple[str, datetime]:
    """Return a new link's token, and the instant when it ends.

    Raises AccountUnknownError, and PriceUnknownError if the catalogue does not sell a price.
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
    row = await book.database.fetchrow(_SQL["named"](public_id=public_id))
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
    """Return the token of a link, to be put into an address."""
    body = _encoded(msgspec.json.encode(link))
    return f"{body}.{_signature(pepper, body)}"


def read(pepper: str, token: str) -> PageLink:
    """Return the link of a token, also if it has ended; raise PageLinkError for a bad signature."""
    found = _TOKEN.fullmatch(token)
    if found is None or not hmac.compare_digest(_signature(pepper, found[1]), found[2]):
        raise PageLinkError(_REFUSED)
    try:
        raw = base64.urlsafe_b64decode(found[1] + "=" * (-len(found[1]) % 4))
        return msgspec.json.decode(raw, type=PageLink)
    # Signed by a version that had another form of links.
    except (binascii.Error, msgspec.MsgspecError):
        raise PageLinkError(_REFUSED) from None


class Followed(msgspec.Struct, frozen=True, kw_only=True):
    """A link that is valid now, and the internal id of its account."""

    link: PageLink
    number: AccountNumber
    opened_at: datetime
    now: datetime

    @property
    def ends_at(self) -> datetime:
        """Return the instant when the link ends."""
        return datetime.fromtimestamp(self.link.expires_s, UTC)


async def follow(book: Book, link: PageLink) -> Followed:
    """Return the link with its account; raise PageLinkExpiredError or PageLinkError."""
    row = await book.database.fetchrow(_SQL["led_to"](number=link.number))
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
