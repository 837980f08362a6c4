"""Several books in one database: each is a schema, named by the address that leads to it.

TALLYBOOK_BOOK names the book that a process or command works on. TALLYBOOK_BOOKS names further
books that a server and a worker serve beside it. A variable for one of those alone ends in its
name: ``STRIPE_WEBHOOK_SECRET__ACME``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit, urlunsplit

from app.errors import ConfigurationError

MAIN_BOOK: Final = "public"
BOOK_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,40}")  # needs no quotes in SQL
_IN_BOOK: Final = re.compile(rf"-c\s*search_path=({BOOK_NAME.pattern})")
# Never inherited by another book: the source of its events, and the log that is signed.
_ITS_OWN: Final = (
    *("STRIPE_WEBHOOK_SECRET", "STRIPE_API_KEY"),
    *("TALLYBOOK_LIVEMODE", "TALLYBOOK_SEAL_KEY", "TALLYBOOK_WITNESSES", "TALLYBOOK_BOOKS"),
)


def book_of_url(url: str) -> str:
    """Return the book that an address names, as `in_book` writes it; `public` if it names none."""
    options = parse_qs(urlsplit(url).query).get("options", [""])[-1]
    found = _IN_BOOK.search(options)
    return found[1] if found else MAIN_BOOK


def in_book(url: str, book: str | None) -> str:
    """Return the address of a book in this database, in a form that psql takes too.

    Raises ConfigurationError for a name that no book can have, or an address with other options.
    """
    if book is None or book == book_of_url(url):
        return url
    check_name(book)
    parts = urlsplit(url)
    if "options" in parse_qs(parts.query):
        raise ConfigurationError(
            "The database's address has options, but the book's name goes there: leave them out."
        )
    query = f"{parts.query}&" if parts.query else ""
    return urlunsplit(parts._replace(query=f"{query}options={quote(f'-csearch_path={book}')}"))


def check_name(name: str) -> None:
    """Raise ConfigurationError for a name that no book can have."""
    if not BOOK_NAME.fullmatch(name) or name.startswith("pg_") or name == "information_schema":
        raise ConfigurationError(
            f"{name!r} cannot be a book's name: a small letter, then small letters, digits and _, "
            "at most 41 in all, and not beginning with pg_."
        )


def environment_of(book: str, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a further book: its own, then those of the process.

    Its Stripe secrets, mode and seal key are never those of the process.
    """
    check_name(book)
    ending = f"__{book.upper()}"
    own = {
        name.removesuffix("_FILE").removesuffix(ending) + "_FILE" * name.endswith("_FILE"): value
        for name, value in environment.items()
        if name.removesuffix("_FILE").endswith(ending)
    }
    stated = {name.removesuffix("_FILE") for name in own} | set(_ITS_OWN)
    if "DATABASE_URL" in stated:  # another server, so another replica, too
        stated.add("DATABASE_REPLICA_URL")
    shared = {
        name: value
        for name, value in environment.items()
        if name.removesuffix("_FILE") not in stated
    }
    return {**shared, **own, "TALLYBOOK_BOOK": book}
