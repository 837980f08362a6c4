"""`tallybook simulate` at the real service over ASGI, as its command runs it."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
from rich.console import Console

from app.simulate.address import Address
from app.simulate.disorder import Disorder
from app.simulate.simulation import Plan, simulate
from tests.api_client import BASE, Api

START = datetime(2026, 1, 2, tzinfo=UTC)  # the test's clock stands at noon of the day before
PLAN = Plan(
    names=(),
    customers=None,
    days=35,
    starts_at=START,
    tiers=None,
    seed=1,
    disorder=Disorder(),
    concurrency=8,
)


@dataclass(frozen=True)
class Played:
    """How it ended, and what was printed."""

    code: int
    text: str
    errors: str


@dataclass(frozen=True)
class Player:
    """Runs the command at one service."""

    transport: httpx.AsyncBaseTransport
    address: Address

    async def __call__(self, plan: Plan = PLAN, **changed: object) -> Played:
        """Play it, and compare."""
        console, errors = (Console(file=io.StringIO(), width=200) for _ in range(2))
        changed_plan = replace(plan, **changed)  # type: ignore[arg-type]
        code = await simulate(console, errors, self.address, changed_plan, self.transport)
        return Played(code, _text(console), _text(errors))

    def at(self, **address: object) -> Player:
        """A player with another address."""
        return replace(self, address=replace(self.address, **address))  # type: ignore[arg-type]


def _text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def player_of(api: Api) -> Player:
    """Knows the webhook's secret and a reader's key: any book."""
    transport = api.client._transport
    address = Address(to=BASE, secret=api.secret, key=api.tokens["service"])
    return Player(transport, address)


def player_with_clock(api: Api, folder: Path, database_url: str) -> Player:
    """Knows all that dev.json tells."""
    told = {
        "base_url": BASE,
        "database_url": database_url,
        "redis_url": None,
        "stripe_webhook_secret": api.secret,
        "cron_secret": "",
        "keys": {scope: api.tokens[scope] for scope in ("service", "auditor", "operator")},
    }
    (folder / "dev.json").write_text(json.dumps(told))
    return Player(api.client._transport, Address(data_dir=folder))
