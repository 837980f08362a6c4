"""A book for Hypothesis: one database and one loop for all examples of a test."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest

from app.book import Book
from app.infrastructure import clock
from tests.conftest import NOW, new_server, open_database
from tests.invariants import differences


@pytest.fixture
def loop_book() -> Iterator[tuple[asyncio.Runner, Book]]:
    """The book, and the runner of its loop; at the end the ledger is what its entries say."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()

        async def begin() -> Book:
            server = await stack.enter_async_context(new_server())
            database = await stack.enter_async_context(open_database(server.application_url, 3))
            await clock.stand(database, NOW)
            return Book(database)

        book = runner.run(begin())
        try:
            yield runner, book
            assert runner.run(differences(book.database)) == []
        finally:
            runner.run(stack.aclose())
