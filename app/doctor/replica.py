"""Check the replica: may reports use it, and do commits wait for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from app.audit.readings import WAIT_SECONDS_MAX, BehindError, replayed
from app.doctor.finding import Finding, fail, ok, warn
from app.infrastructure import sql
from app.infrastructure.db import Database

if TYPE_CHECKING:
    from app.doctor import row_types


_SQL: Final[row_types.ReplicaSql] = sql.beside(__file__)


async def findings(primary: Database, replica: Database) -> list[Finding]:
    """Check the server that DATABASE_REPLICA_URL names; raise what its connection raises."""
    return [await _replica(primary, replica), await _acknowledged(primary)]


async def _replica(primary: Database, replica: Database) -> Finding:
    ours = await primary.fetchrow(_SQL["server"]())
    theirs = await replica.fetchrow(_SQL["server"]())
    assert ours is not None
    assert theirs is not None
    if theirs["system_id"] != ours["system_id"]:
        said = "is a copy of another server: the primary answers all reports"
        return fail("replica", said, "name a streaming replica of DATABASE_URL's server")
    if not theirs["in_recovery"]:
        said = "is not a standby: it was promoted, or it is the primary itself"
        return fail("replica", said, "name a standby; after a failover make the old primary one")
    try:
        await replayed(primary, replica)
    except BehindError:
        said = f"is more than {WAIT_SECONDS_MAX:g} s behind: the primary answers reports meanwhile"
        return fail(
            "replica", said, "look at pg_stat_replication, and at its log, disk and network"
        )
    if not theirs["feedback"]:
        return warn(
            "replica", "has hot_standby_feedback off: replay can cancel long reports",
            "set it on there; the primary keeps dead rows for as long as a report takes",
        )  # fmt: skip
    return ok("replica", "has replayed what the primary acknowledged, and can answer reports")


async def _acknowledged(primary: Database) -> Finding:
    """Check whether a commit waits for a standby; if one streams, not waiting may be intended."""
    waits = await primary.fetchrow(_SQL["waits"]())
    assert waits is not None
    names, commit = waits["names"], waits["commit"]
    if names and commit not in ("off", "local"):
        return ok("failover", f"a commit waits for {names}, which may take the primary's place")
    return warn(
        "failover", "commits wait for no standby: the last ones can be lost with a server",
        "set synchronous_standby_names if a standby is to take its place; see ops/failover.md",
    )  # fmt: skip
