"""What a catalogue would change for the customers there are: who would get more, who less.

Set-based: subscriptions are alike where they have the same prices, state and tiers, and of those
there are few. An account's present tier and the tier to come are each the best that its
subscriptions give; the rest of its day is not looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from app.allowance.catalogue import Catalogue
from app.allowance.entitlement import CataloguePricing, tier_columns
from app.infrastructure.db import Database, Record


class Move(msgspec.Struct, frozen=True):
    """Accounts that a change takes from one tier and amount to another, all of them together."""

    before: str
    after: str
    accounts: int
    credits_before: int  # a day, of one account
    credits_after: int
    examples: tuple[str, ...]


class PriceChange(msgspec.Struct, frozen=True):
    """A price that becomes known, or unknown, and how many living subscriptions have it."""

    price: str
    known: bool
    subscriptions: int


class Preview(msgspec.Struct, frozen=True):
    """Every account that gets grants is in one of the moves."""

    moves: list[Move]
    prices: list[PriceChange]

    @property
    def more(self) -> int:
        """How many accounts would get more a day."""
        return sum(m.accounts for m in self.moves if m.credits_after > m.credits_before)

    @property
    def less(self) -> int:
        """How many would get less."""
        return sum(m.accounts for m in self.moves if m.credits_after < m.credits_before)


_KEY: Final = "row(price_ids, state, status, subscriptions.tier, grace_tier)::text"
_KINDS: Final = f"""
SELECT DISTINCT {_KEY} AS key, price_ids, state, status, subscriptions.tier, grace_tier
  FROM subscriptions WHERE state <> 'canceled'
"""
_MOVES: Final = f"""
WITH before AS (SELECT * FROM unnest($1::text[], $2::bigint[], $3::integer[])
                    WITH ORDINALITY AS tier (name, credits, grace_days, rank)),
after AS (SELECT * FROM unnest($4::text[], $5::bigint[], $6::integer[])
              WITH ORDINALITY AS tier (name, credits, grace_days, rank)),
kinds AS (SELECT * FROM unnest($7::text[], $8::text[], $9::text[]) AS kind (key, before, after)),
given AS (
    SELECT account_id,
           min(before.rank) FILTER (WHERE subscriptions.tier IS NOT NULL OR tallybook_now() <
               coalesce(failing_since + before.grace_days * interval '1 day', grace_ends_at))
               AS before,
           min(after.rank) FILTER (WHERE grace_tier IS NULL OR tallybook_now() <
               coalesce(failing_since + after.grace_days * interval '1 day', grace_ends_at))
               AS after
      FROM subscriptions JOIN kinds ON key = {_KEY}
      LEFT JOIN before ON before.name = kinds.before LEFT JOIN after ON after.name = kinds.after
     WHERE state <> 'canceled' GROUP BY account_id
)
SELECT before.name AS before, after.name AS after, count(*) AS accounts,
       before.credits AS credits_before, after.credits AS credits_after,
       min(external_id) AS example, max(external_id) AS another
  FROM accounts LEFT JOIN given ON given.account_id = accounts.id
  JOIN before ON before.rank = coalesce(given.before,
                                        (SELECT rank FROM before WHERE name = 'FREE'))
  JOIN after ON after.rank = coalesce(given.after, (SELECT rank FROM after WHERE name = 'FREE'))
 WHERE closed_at IS NULL
 GROUP BY before.name, after.name, before.credits, after.credits, before.rank, after.rank
 ORDER BY before.rank, after.rank
"""
_PRICES: Final = """
SELECT price, count(*) AS subscription_count
  FROM subscriptions, unnest(price_ids) AS price WHERE state <> 'canceled'
 GROUP BY price ORDER BY price
"""


async def preview(database: Database, present: Catalogue, wanted: Catalogue) -> Preview:
    """What applying ``wanted`` over ``present`` would change; reads one snapshot, writes nothing.

    A price that is forgotten gives nothing, since each subscription is derived anew from what its
    events said. Of a trial whose tier grants in no trial it is not known whether it was paid for
    before; where it gives its tier now it is taken to have been.
    """
    async with database.snapshot():
        kinds = await database.fetch(_KINDS)
        rows = await database.fetch(
            _MOVES,
            *tier_columns(present),
            *tier_columns(wanted),
            [kind["key"] for kind in kinds],
            [kind["tier"] or kind["grace_tier"] for kind in kinds],
            [_to_come(kind, present, wanted) for kind in kinds],
        )
        prices = await database.fetch(_PRICES)
    return Preview([_move(row) for row in rows], _changes(prices, present, wanted))


def _to_come(kind: Record, present: Catalogue, wanted: Catalogue) -> str | None:
    """The tier that such a subscription would give, but for the end of its grace."""
    given = kind["tier"] or kind["grace_tier"]
    pricing = CataloguePricing(wanted)
    tier = pricing.tier_of(kind["price_ids"])
    ignored = pricing.ignores(kind["price_ids"])
    if tier is None and not ignored and not any(map(present.known, kind["price_ids"])):
        tier = given  # an unknown price keeps the tier that a known one gave before it
    if tier not in {one.name for one in wanted.tiers}:
        return None
    if kind["state"] == "past_due":
        return tier if kind["grace_tier"] is not None else None
    if kind["state"] != "active":
        return None
    if kind["status"] == "trialing" and not pricing.grants_in_trial(tier):
        known = {one.name: one for one in present.tiers}
        paid_before = given in known and not known[given].trial_grants
        return tier if paid_before else None
    return tier


def _move(row: Record) -> Move:
    examples = tuple(dict.fromkeys(name for name in (row["example"], row["another"]) if name))
    return Move(
        row["before"],
        row["after"],
        row["accounts"],
        row["credits_before"],
        row["credits_after"],
        examples,
    )


def _changes(rows: Sequence[Record], present: Catalogue, wanted: Catalogue) -> list[PriceChange]:
    return [
        PriceChange(row["price"], wanted.known(row["price"]), row["subscription_count"])
        for row in rows
        if present.known(row["price"]) != wanted.known(row["price"])
    ]
