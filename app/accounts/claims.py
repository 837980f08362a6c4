"""Claims: an event may say which account a customer has; all claims together decide."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from app.accounts.open import TIES, Rank
from app.infrastructure import ids
from app.infrastructure.db import Database

if TYPE_CHECKING:
    from app.accounts import row_types


_ACCOUNT_ID: Final = re.compile(ids.ACCOUNT_ID)


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """One statement by a Stripe object that its customer belongs to this account.

    ``object_id`` is the subscription, session or customer that says it; for the ranks that name a
    receiver it is the subscription that is received. ``first`` and ``last`` are the earliest and
    the latest event that said so, ordered by (created, event id). ``stands`` is true while the
    object's latest snapshot still says so; what a session says always stands.
    """

    rank: Rank
    object_id: str
    external_id: str
    first_at: datetime
    first_event_id: str
    last_at: datetime
    last_event_id: str
    stands: bool

    @property
    def first(self) -> tuple[datetime, str]:
        """Return the earliest event as a sort key: (created, event id)."""
        return self.first_at, self.first_event_id

    @property
    def last(self) -> tuple[datetime, str]:
        """Return the latest event as a sort key: (created, event id)."""
        return self.last_at, self.last_event_id


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A claim of one event; an empty ``external_id`` names nobody.

    ``latest`` says whether this is what the object's latest snapshot says. The caller sets it if
    it knows that better than the events' own times do.
    """

    rank: Rank
    object_id: str
    external_id: str
    event_id: str
    occurred_at: datetime
    latest: str | None = None


def is_account_id(value: str) -> bool:
    """Return whether an account could have this id."""
    return _ACCOUNT_ID.fullmatch(value) is not None


def best(claims: Iterable[Claim]) -> Claim | None:
    """Return the claim that links the customer: the best rank first, then the earliest event."""
    ties = [claim for claim in claims if claim.rank in TIES]
    return min(_standing_names(ties), key=lambda claim: (claim.rank, claim.first), default=None)


def receiver(claims: Iterable[Claim], subscription_id: str, *ranks: Rank) -> str | None:
    """Return the account that a claim of one of these ranks names for this subscription alone."""
    of_it = [one for one in claims if one.object_id == subscription_id and one.rank in ranks]
    best = min(_standing_names(of_it), key=lambda claim: (claim.rank, claim.first), default=None)
    return best.external_id if best else None


def _standing_names(claims: Iterable[Claim]) -> list[Claim]:
    return [claim for claim in claims if claim.stands and claim.external_id]


def with_said(claims: Sequence[Claim], said: Said) -> list[Claim]:
    """Return the claims with this one added; the result does not depend on the order of events."""
    key = (said.rank, said.object_id)
    others = [claim for claim in claims if (claim.rank, claim.object_id) != key]
    of_object = {
        claim.external_id: claim for claim in claims if (claim.rank, claim.object_id) == key
    }
    if said.rank is Rank.NAMED and not said.external_id:
        return others + _standing(of_object, said)  # who is latest is known without a row
    now = (said.occurred_at, said.event_id)
    before = of_object.get(said.external_id)
    first = min(before.first, now) if before else now
    last = max(before.last, now) if before else now
    of_object[said.external_id] = Claim(
        rank=said.rank,
        object_id=said.object_id,
        external_id=said.external_id,
        first_at=first[0],
        first_event_id=first[1],
        last_at=last[0],
        last_event_id=last[1],
        stands=True,
    )
    return others + _standing(of_object, said)


def _standing(of_object: Mapping[str, Claim], said: Said) -> list[Claim]:
    if said.rank in (Rank.RECEIVER, Rank.REFERENCE):
        return list(of_object.values())  # a session's claim always stands
    latest = said.latest
    if latest is None:
        latest = max(of_object.values(), key=lambda claim: claim.last).external_id
    return [
        msgspec.structs.replace(claim, stands=claim.external_id == latest)
        for claim in of_object.values()
    ]


def of_row(row: row_types.TiesCustomer) -> Claim:
    """Return a claim from its stored row."""
    return Claim(
        rank=Rank(row["rank"]),
        object_id=row["object_id"],
        external_id=row["external_id"],
        first_at=row["first_at"],
        first_event_id=row["first_event_id"],
        last_at=row["last_at"],
        last_event_id=row["last_event_id"],
        stands=row["stands"],
    )


async def store(
    database: Database, customer_id: str, before: Sequence[Claim], after: Sequence[Claim]
) -> None:
    """Write the claims that changed."""
    for claim in [claim for claim in after if claim not in before]:
        await database.execute(
            """INSERT INTO claims (customer_id, rank, object_id, external_id, first_at,
                                   first_event_id, last_at, last_event_id, stands)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
               ON CONFLICT (customer_id, rank, object_id, external_id) DO UPDATE
                  SET first_at = excluded.first_at, first_event_id = excluded.first_event_id,
                      last_at = excluded.last_at, last_event_id = excluded.last_event_id,
                      stands = excluded.stands""",
            customer_id,
            claim.rank,
            claim.object_id,
            claim.external_id,
            *claim.first,
            *claim.last,
            claim.stands,
        )
