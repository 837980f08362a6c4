"""Record operators' acts, with actor and reason, in the act's own transaction; append-only."""

from __future__ import annotations

import getpass
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from app.infrastructure import sql
from app.infrastructure.db import Database
from app.infrastructure.ids import AccountNumber, JournalNumber, RunNumber

if TYPE_CHECKING:
    from app.operators import row_types


log = structlog.get_logger("tallybook.operator_act")

REASON_CHARS_MAX: Final = 500
NONE_GIVEN: Final = "none given"

_SQL: Final[row_types.ActsSql] = sql.beside(__file__)


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
    WEBHOOK_ENDPOINT_PUT = "webhook_endpoint_put"
    WEBHOOK_ENDPOINT_DELETED = "webhook_endpoint_deleted"
    WEBHOOK_SECRET_ROLLED = "webhook_secret_rolled"  # noqa: S105 - an act's name
    WEBHOOK_REDELIVERED = "webhook_redelivered"


class Operator(msgspec.Struct, frozen=True, kw_only=True):
    """The actor (a key's id, or ``cli:`` and a user of the machine) and the reason.

    ``key`` is the idempotency key and the request's hash of an act that no journal keeps them for.
    """

    actor: str
    reason: str | None
    key: tuple[str, bytes] | None = None


def at_the_machine(reason: str | None) -> Operator:
    """Return the person who typed the command, and the reason if there is one."""
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
    account_id: AccountNumber | None = None,
    journal_id: JournalNumber | None = None,
    event_id: str | None = None,
    run_id: RunNumber | None = None,
    key: tuple[str, bytes] | None = None,
) -> None:
    """Record the act inside the caller's transaction, and log it after the commit.

    A reason that is in the journal's note is not written again, because it can be erased there.
    ``key`` is the idempotency key and the request's hash of an act that no journal keeps them for.
    """
    assert database.in_transaction, "an act and its record commit together"
    idempotency_key, request_hash = key or by.key or (None, None)
    await database.execute(
        _SQL["record"](
            actor=by.actor,
            act=str(act),
            reason=None if journal_id is not None else by.reason,
            subject=subject,
            account_id=account_id,
            journal_id=journal_id,
            event_id=event_id,
            run_id=run_id,
            idempotency_key=idempotency_key,
            request_hash=request_hash,
        )
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


async def record_journals(
    database: Database, act: OperatorAct, actor: str, made: Sequence[tuple[int, int]]
) -> None:
    """Record many acts of one kind inside the caller's transaction, each as (account, journal)."""
    assert database.in_transaction, "an act and its record commit together"
    accounts, journals = [one[0] for one in made], [one[1] for one in made]
    await database.execute(
        _SQL["record_journals"](
            actor=actor, act=str(act), account_ids=accounts, journal_ids=journals
        )
    )
    database.after_commit(
        lambda: log.info("operator_act", act=str(act), actor=actor, count=len(made))
    )
