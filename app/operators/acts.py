"""Record of operators' acts, with actor and reason, in the act's own transaction; append-only."""

from __future__ import annotations

import getpass
from enum import StrEnum

import msgspec
import structlog

from app.infrastructure.db import Database

log = structlog.get_logger("tallybook.operator_act")

REASON_CHARS_MAX = 500
NONE_GIVEN = "none given"


class OperatorAct(StrEnum):
    """The closed list of acts."""

    GRANT = "grant"
    ADJUSTMENT = "adjustment"
    CLOSE = "close"
    REOPEN = "reopen"
    SUSPEND = "suspend"
    RESUME = "resume"
    RENAME = "rename"
    MERGE = "merge"
    REVERSAL = "reversal"
    RUN = "run"
    REPLAY = "replay"
    RECONCILE = "reconcile"
    REBUILD = "rebuild"
    RESTORE = "restore"
    ERASE = "erase"
    KEY_CREATED = "key_created"
    KEY_REVOKED = "key_revoked"
    KEY_ROTATED = "key_rotated"
    TIERS_APPLIED = "tiers_applied"


class Operator(msgspec.Struct, frozen=True, kw_only=True):
    """The actor (a key's id, or ``cli:`` and a user of the machine) and the reason."""

    actor: str
    reason: str | None


def at_the_machine(reason: str | None) -> Operator:
    """The person who typed the command, and the reason if one was given."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = "unknown"
    return Operator(
        actor=f"cli:{user}", reason=(reason or "").strip()[:REASON_CHARS_MAX] or NONE_GIVEN
    )


async def record(
    database: Database,
    act: OperatorAct,
    by: Operator,
    *,
    subject: str | None = None,
    account_id: int | None = None,
    journal_id: int | None = None,
    event_id: str | None = None,
    run_id: int | None = None,
) -> None:
    """Record the act inside the caller's transaction, and log it once that has committed.

    An act's reason that stands in the journal's note is not written again: there it can be erased.
    """
    assert database.in_transaction, "an act and its record commit together"
    await database.execute(
        """INSERT INTO operator_acts (actor, act, reason, subject, account_id, journal_id, event_id,
                                      run_id, at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, tallybook_now())""",
        by.actor,
        str(act),
        None if journal_id is not None else by.reason,
        subject,
        account_id,
        journal_id,
        event_id,
        run_id,
    )
    told = {
        "act": str(act),
        "actor": by.actor,
        "subject": subject,
        "account": account_id,
        "journal": journal_id,
        "event_id": event_id,
        "run": run_id,
    }
    database.after_commit(
        lambda: log.info(
            "operator_act", **{name: value for name, value in told.items() if value is not None}
        )
    )
