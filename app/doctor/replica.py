"""The replica: whether reports may go to it, and whether what is acknowledged waits for it."""

from __future__ import annotations

from typing import Final

from app.audit.readings import WAIT_SECONDS_MAX, BehindError, replayed
from app.doctor.finding import Finding, fail, ok, warn
from app.infrastructure import sql
from app.infrastructure.db import Database

_SQL: Final = sql.beside(__file__)


async def findings(primary: Database, replica: Database) -> list[Finding]:
    """Of the server that DATABASE_REPLICA_URL names; raises what asking it raises."""
    return [await _replica(primary, replica), await _acknowledged(primary)]


async def _replica(primary: Database, replica: Database) -> Finding:
    ours = await primary.fetchrow(*_SQL["server"]())
    theirs = await replica.fetchrow(*_SQL["server"]())
    assert ours is not None
    assert theirs is not None
    if theirs["system_id"] != ours["system_id"]:
        said = "is a copy of another server: the primary answers all reports"
        return fail("replica", said, "name a streaming replica of DATABASE_URL's server")
    if not theirs["in_recovery"]:
        said = "is no standby: it was promoted, or is the primary itself"
        return fail("replica", said, "name a standby; after a failover make the old primary one")
    try:
        await replayed(primary, replica)
    except BehindError:
        said = f"is more than {WAIT_SECONDS_MAX:g} s behind: the primary answers reports meanwhile"
        return fail("replica", said, "look at pg_stat_replication, its log, disk and network")
    if not theirs["feedback"]:
        return warn(
            "replica", "has hot_standby_feedback off: long reports are ended for its replay",
            "set it on there; the primary keeps dead rows for as long as a report takes",
        )  # fmt: skip
    return ok("replica", "has replayed what the primary acknowledged, and may take reports")


async def _acknowledged(primary: Database) -> Finding:
    """Whether a commit waits for a standby; with one that streams, it may be meant not to."""
    waits = await primary.fetchrow(*_SQL["waits"]())
    assert waits is not None
    names, commit = waits["names"], waits["commit"]
    if names and commit not in ("off", "local"):
        return ok("failover", f"a commit waits for {names}, which may take the primary's place")
    return warn(
        "failover", "a commit waits for no standby: the last acknowledged may go with a server",
        "set synchronous_standby_names if a standby is to take its place; see ops/failover.md",
    )  # fmt: skip
