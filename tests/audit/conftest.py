"""Ledgers to report on."""

from __future__ import annotations

import pytest

from app.audit import horizon
from tests.api_client import Api
from tests.audit.busy_ledger import BusyLedger


@pytest.fixture(params=range(2))
async def busy(api: Api, request: pytest.FixtureRequest) -> BusyLedger:
    """A ledger of fifty random acts over some days."""
    return await BusyLedger(api, request.param).play(50)


@pytest.fixture
def patient_horizon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for writers as long as it takes: on a busy machine a second may not do."""
    monkeypatch.setattr(horizon, "WAIT_SECONDS_MAX", 60.0)
