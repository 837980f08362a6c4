"""A fake Stripe on a loopback socket, and a book that knows its key."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from app.book import Book
from app.infrastructure.db import Database
from app.infrastructure.settings import Settings
from app.stripe_client import StripeApi
from tests.api_client import Api, open_api
from tests.conftest import NOW
from tests.stripe_api.fake_stripe import KEY, FakeStripe, serving_stripe


@pytest.fixture
async def stripe() -> AsyncIterator[FakeStripe]:
    """Stripe, its clock standing at NOW."""
    async with serving_stripe(FakeStripe(NOW)) as one:
        yield one


@pytest.fixture
async def stripe_api(stripe: FakeStripe) -> AsyncIterator[StripeApi]:
    """Its API."""
    one = StripeApi(KEY, stripe.base)
    yield one
    await one.close()


@pytest.fixture
def book(database: Database, stripe_api: StripeApi) -> Book:
    """The test's book, with a key of the fake Stripe's."""
    return Book(database, stripe=stripe_api)


@pytest.fixture
def stripe_settings(settings: Settings, stripe: FakeStripe) -> Settings:
    """The settings of a service that knows the key."""
    return msgspec.structs.replace(settings, stripe_api_key=KEY, stripe_api_base=stripe.base)


@pytest.fixture
async def stripe_service(database: Database, stripe_settings: Settings) -> AsyncIterator[Api]:
    """The service on the test's database, with the key."""
    async with open_api(database, stripe_settings) as opened:
        yield opened
