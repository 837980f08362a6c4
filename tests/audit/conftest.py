"""Ledgers to report on."""

from __future__ import annotations

import pytest

from tests.api_client import Api
from tests.audit.busy_ledger import BusyLedger


@pytest.fixture(params=range(2))
async def busy(api: Api, request: pytest.FixtureRequest) -> BusyLedger:
    """A ledger of fifty random acts over some days."""
    return await BusyLedger(api, request.param).play(50)
