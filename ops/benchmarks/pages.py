"""Pages of the console on a small and on a large book: each from the request to the last byte."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import median
from typing import Final

import asyncpg
import httpx

from app.asgi import create_app
from app.infrastructure import logs
from app.infrastructure.db import opened
from app.infrastructure.settings import Settings
from app.operators import keys
from app.operators.keys import Scope
from ops.benchmarks import seed
from ops.benchmarks.figures import Figure, below
from ops.benchmarks.server import Ledger, Server, make_ledger
from ops.benchmarks.sizes import Sizes

PEPPER: Final = "pepper-of-the-benchmarks"
SMALL: Final = 1_000
GROWTH_MAX: Final = 3.0  # of a page's time, from the small book to the large one
ACCOUNT: Final = "bench-7"
PAGES: Final = {
    "today": "/console",
    "accounts": "/console/accounts",
    "accounts of a tier": "/console/accounts?tier=NONE",
    "accounts of a state": "/console/accounts?state=past_due",
    "accounts that owe": "/console/accounts?debt_gt=0",
    "search": f"/console/accounts?q={ACCOUNT}",
    "life": f"/console/accounts/{ACCOUNT}?days=365",
    "explain": f"/console/accounts/{ACCOUNT}/explain",
    "why": f"/console/accounts/{ACCOUNT}/why?month=2026-01",
    "inbox": "/console/inbox",
    "parked": "/console/inbox?verdict=parked",
    "events of a type": "/console/inbox?type=charge.refunded",
    "event": "/console/inbox/evt_7",
    "runs": "/console/runs",
    "corrections": "/console/corrections",
    "ledger": "/console/ledger",
    "ledger of an account": f"/console/ledger?account_id={ACCOUNT}",
    "journal": "/console/ledger/journals/jrn_0000000000007",
    "catalogue": "/console/catalogue",
    "keys": "/console/keys",
}
# As many events as accounts; a hundred of them are parked. Usage by 20 labels of three tiers.
_MORE: Final = """
INSERT INTO events (id, type, livemode, created_at, received_at, payload, verdict, verdict_reason,
                    customer_id)
SELECT 'evt_' || n, 'invoice.paid', false, '2026-01-01Z',
       timestamptz '2026-01-01Z' + n * interval '1 ms',
       convert_to(json_build_object('id', 'evt_' || n, 'data', repeat('x', 800))::text, 'UTF8'),
       CASE WHEN n % ($1 / 100) = 0 THEN 'parked' ELSE 'ignored' END, 'seeded', 'cus_' || n
  FROM generate_series(1, $1::bigint) AS n
"""
_USAGE: Final = """
INSERT INTO usage_days (day_on, tier, label, member, granted, spent, expired)
SELECT day, tier, 'label-' || label, 'member-' || member, 100, 50, 50
  FROM generate_series(current_date - 60, current_date, interval '1 day') AS day,
       unnest(ARRAY['FREE', 'PRO', 'ENTERPRISE']) AS tier,
       generate_series(1, 20) AS label, generate_series(1, least(50, $1::bigint / 1000)) AS member
"""
_TOTALS: Final = """
INSERT INTO usage_totals (day_on, tier, granted, spent, expired)
SELECT day_on, tier, sum(granted), sum(spent), sum(expired) FROM usage_days GROUP BY day_on, tier
"""


async def measure(server: Server, sizes: Sizes) -> list[Figure]:
    """Each page's time on both books, in turn."""
    small = await _book(server, "pages_small", SMALL)
    large = await _book(server, "pages_large", sizes.page_accounts)
    figures = []
    async with _signed_in(small) as one, _signed_in(large) as other:
        for name, path in PAGES.items():
            rounds = []
            for _ in range(sizes.rounds):
                rounds.append(
                    (await _ms(one, path, sizes.reads), await _ms(other, path, sizes.reads))
                )
            told = f"page {name}, {SMALL} to {sizes.page_accounts} accounts"
            figures.append(below(told, "ms", GROWTH_MAX, rounds))
    return figures


async def _book(server: Server, name: str, accounts: int) -> Ledger:
    ledger = await make_ledger(server, name)
    await seed.seed(ledger, accounts, accounts)
    connection = await asyncpg.connect(ledger.superuser_url, command_timeout=seed.TIMEOUT_S)
    try:
        await connection.execute(_MORE, accounts)
        await connection.execute(_USAGE, accounts)
        await connection.execute(_TOTALS)
        await connection.execute(
            "UPDATE usage_fold SET entry_id = (SELECT max(id) FROM entries), alerted_to = entry_id"
        )
        await seed.settle(connection)
    finally:
        await connection.close()
    return ledger


@asynccontextmanager
async def _signed_in(ledger: Ledger) -> AsyncIterator[httpx.AsyncClient]:
    """A browser that an operator is signed in with, at an application of this process."""
    async with opened(ledger.superuser_url) as owner:
        await keys.keep_pepper(owner, PEPPER)
        key = await keys.create(owner, PEPPER, "bench", [Scope.OPERATOR])
    settings = Settings(
        database_url=ledger.application_url,
        stripe_webhook_secrets=("whsec_of_the_benchmarks",),
        key_pepper=PEPPER,
        environment="development",
        log_level="ERROR",
    )
    logs.configure(settings)  # a line for each page is none of its time here
    app = create_app(settings)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.lifespan(),
        httpx.AsyncClient(transport=transport, base_url="http://bench", timeout=60) as client,
    ):
        answer = await client.post("/console/sign-in", data={"key": key})
        assert answer.status_code == 303, answer.text
        yield client


async def _ms(client: httpx.AsyncClient, path: str, count: int) -> float:
    """The median of so many loads."""
    taken = []
    for _ in range(count):
        started = time.perf_counter()
        answer = await client.get(path)
        taken.append(time.perf_counter() - started)
        assert answer.status_code in (200, 303), (path, answer.status_code, answer.text[-500:])
    return median(taken) * 1_000
