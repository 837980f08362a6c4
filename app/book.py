"""The context of every use case: the database, the applied catalogues, Stripe."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from app.allowance.catalogues import Catalogues
from app.errors import ConfigurationError
from app.infrastructure import settings as settings_module
from app.infrastructure.books import environment_of
from app.infrastructure.db import Database
from app.infrastructure.settings import Settings

if TYPE_CHECKING:
    from app.stripe_client import StripeApi


@dataclass(frozen=True, slots=True)
class Book:
    """One book: its database, and the catalogues that were applied to it.

    ``livemode`` says which events it accepts; ``stripe`` is None if no key is set;
    ``grant_chunks`` is the largest number of grant chunks that run side by side.
    """

    database: Database
    catalogues: Catalogues = field(default_factory=Catalogues)
    stripe: StripeApi | None = None
    livemode: bool = False
    grant_chunks: int = 2
    seal_keys: tuple[str, ...] = field(default=(), repr=False)
    witnesses: tuple[tuple[str, str], ...] = ()


def book_of(settings: Settings, database: Database) -> Book:
    """Return the book of these settings; ``close_stripe`` closes what it may open."""
    return Book(
        database,
        stripe=_stripe(settings),
        livemode=settings.livemode,
        grant_chunks=settings.grant_chunks,
        seal_keys=settings.seal_keys,
        witnesses=settings.witnesses,
    )


def settings_of(name: str, environment: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of one of TALLYBOOK_BOOKS: the process's, with the book's own on top."""
    try:
        return settings_module.load(
            environment_of(name, os.environ if environment is None else environment)
        )
    except ConfigurationError as error:
        raise ConfigurationError(
            f"The book {name}: {error.detail}\nFor it alone: NAME__{name.upper()}."
        ) from None


def _stripe(settings: Settings) -> StripeApi | None:
    if settings.stripe_api_key is None:
        return None
    # The SDK takes half a second to import, so only with a key.
    from app.stripe_client import StripeApi  # noqa: PLC0415

    return StripeApi(settings.stripe_api_key, settings.stripe_api_base)


async def close_stripe(book: Book) -> None:
    """Close the connections to Stripe."""
    if book.stripe is not None:
        await book.stripe.close()
