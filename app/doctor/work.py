"""Check what must be at work: the catalogue, the daily runs, the worker, the inbox, Redis."""

from __future__ import annotations

import asyncio
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from app.allowance import catalogues
from app.allowance.catalogue import default_text, diff, parse
from app.doctor.finding import Finding, fail, ok, ok_or_fail, warn
from app.doctor.surroundings import Surroundings
from app.infrastructure.db import Database
from app.reconcile.store import compared_once, taken_over

LATE: Final = "5 minutes"
SEAL_LATE: Final = "10 minutes"
COUNTED_MAX: Final = 10_000
REDIS_SECONDS_MAX: Final = 3.0
_WORKER: Final = "a worker (`tallybook worker`) or a scheduler that calls /api/cron/reset-credits"


async def findings(database: Database, around: Surroundings) -> list[Finding]:
    """Check what must go on by itself once the service is up."""
    found = await at_hand(database, around)
    return [await _catalogue(database, around), *found, *await _stripe(database, around)]


async def at_hand(database: Database, around: Surroundings) -> list[Finding]:
    """Check what the database alone can tell, in milliseconds for a book of any size."""
    return [
        await _due(database),
        await _run(database),
        await _worker(database),
        await _inbox(database),
        await _seals(database, around),
    ]


async def _catalogue(database: Database, around: Surroundings) -> Finding:
    newest = await catalogues.newest(database)
    if newest is None:
        return fail("catalogue", "none is applied", "tallybook tiers apply FILE")
    applied = parse(newest.content, f"catalogue {newest.id}")
    if around.tiers is None:
        if newest.content == default_text() and around.read("TALLYBOOK_ENV") != "development":
            return warn(
                "catalogue", f"catalogue {newest.id} is the shipped sample, not your prices",
                "write your price ids into a copy, then tallybook tiers apply FILE",
            )  # fmt: skip
        return ok("catalogue", f"catalogue {newest.id} is applied; --tiers FILE compares it")
    text = await asyncio.to_thread(around.tiers.read_text, encoding="utf-8")
    changes = diff(applied, parse(text, str(around.tiers)))
    return ok_or_fail(
        "catalogue", changes, f"catalogue {newest.id} says what {around.tiers} says",
        f"tallybook tiers apply {around.tiers}",
    )  # fmt: skip


async def _due(database: Database) -> Finding:
    late = await database.fetchval(
        f"""SELECT count(*) FROM (
                SELECT FROM accounts
                 WHERE due_at < (SELECT tallybook_now()) - interval '{LATE}'
                 ORDER BY due_at LIMIT {COUNTED_MAX}) AS late"""
    )
    if late:
        least = "at least " if late == COUNTED_MAX else ""
        said = f"{least}{late} accounts wait for more than {LATE}"
        return fail("due", said, f"start {_WORKER}")
    return ok("due", f"no account waits for more than {LATE}")


async def _run(database: Database) -> Finding:
    """Check the last run; only a warning, since spends may have opened every day first."""
    last_at, recent = await database.fetchrow(  # type: ignore[misc]
        """SELECT max(started_at), max(started_at) >= tallybook_now() - interval '26 hours'
             FROM runs"""
    )
    if recent:
        return ok("daily run", f"the last one began at {last_at:%Y-%m-%d %H:%M} UTC")
    waiting = await database.fetchval(
        """SELECT EXISTS (SELECT FROM accounts WHERE closed_at IS NULL AND suspended_at IS NULL
              AND opened_at < (SELECT tallybook_now()) - interval '26 hours')"""
    )
    if not waiting:
        return ok("daily run", "there was none yet, and no account is older than a day")
    said = "there was none in 26 hours, although accounts are older than that"
    return warn("daily run", said, f"make sure that there is {_WORKER}")


async def _worker(database: Database) -> Finding:
    count = await database.fetchval(
        """SELECT count(*) FROM pg_stat_activity
            WHERE application_name = 'tallybook worker' AND datname = current_database()"""
    )
    if count:
        return ok("worker", "is connected to the database")
    return warn("worker", "none is connected to the database", f"start {_WORKER}")


async def _inbox(database: Database) -> Finding:
    told = await database.fetchrow(
        """SELECT (SELECT count(*) FROM events WHERE verdict = 'parked') AS parked,
                  (SELECT count(*) FROM events WHERE verdict = 'queued'
                      AND received_at < (SELECT tallybook_now()) - interval '10 minutes')
                  AS queued"""
    )
    assert told is not None
    if told["queued"]:
        said = f"{told['queued']} events are queued for more than ten minutes"
        return fail("inbox", said, "see their `error` under GET /api/v1/events?verdict=queued")
    if told["parked"]:
        said = f"{told['parked']} events are parked: credits may be missing"
        return warn("inbox", said, "see ops/runbook.md, events parked")
    return ok("inbox", "nothing is parked or long queued")


async def _stripe(database: Database, around: Surroundings) -> list[Finding]:
    """Check that Stripe's existing subscribers were taken over by a comparison of the lists."""
    if around.read("STRIPE_API_KEY") is None:
        return []
    told = await taken_over(database)
    if told is not None:
        return [ok("subscribers", told)]
    if not await compared_once(database):
        said = "Stripe's subscriptions were not compared yet"
        return [warn("subscribers", said, f"start {_WORKER}, or tallybook reconcile")]
    return [ok("subscribers", "all of Stripe's subscriptions came by webhooks")]


async def _seals(database: Database, around: Surroundings) -> Finding:
    if around.read("TALLYBOOK_SEAL_KEY") is None:
        said = "TALLYBOOK_SEAL_KEY is not set: nothing is sealed, and no balance can be proven"
        return warn("seals", said, "tallybook seal key NAME makes one; see ops/seals.md")
    due = await database.fetchval(
        f"""SELECT count(*) FROM (
               SELECT FROM entries WHERE id > (SELECT coalesce(max(entry_id), 0) FROM seals)
                  AND recorded_at < (SELECT tallybook_now()) - interval '{SEAL_LATE}'
                ORDER BY id LIMIT {COUNTED_MAX}) AS late"""
    )
    if due:
        least = "at least " if due == COUNTED_MAX else ""
        said = f"{least}{due} entries have waited for a seal for more than {SEAL_LATE}"
        return fail("seals", said, "see ops/runbook.md, TallybookSealDue")
    return ok("seals", f"no entry has waited for a seal for more than {SEAL_LATE}")


async def of_redis(around: Surroundings) -> Finding:
    """Check Redis: nothing is lost without it, but a REDIS_URL must answer."""
    url = around.read("REDIS_URL")
    if url is None:
        return warn("Redis", "REDIS_URL is not set: no rate limits, the worker polls", "set it")
    client = Redis.from_url(
        url, socket_timeout=REDIS_SECONDS_MAX, socket_connect_timeout=REDIS_SECONDS_MAX
    )
    try:
        await client.ping()
    except (RedisError, OSError) as error:
        said = f"does not answer: {type(error).__name__}"
        return fail("Redis", said, "start it, or correct REDIS_URL; nothing is lost meanwhile")
    finally:
        await client.aclose()
    return ok("Redis", "answers")
