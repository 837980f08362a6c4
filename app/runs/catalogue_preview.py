"""Preview of a catalogue: the accounts that get more or less by it, today and from the next day.

Set-based: subscriptions are alike if they have the same prices, state and tiers, and of those
there are few. An account's tier before and after is each the best that its subscriptions give; what
it used of its day is not looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from app.allowance.catalogue import Catalogue, running
from app.allowance.catalogues import Applied, Catalogues
from app.allowance.entitlement import CataloguePricing, tier_columns
from app.infrastructure import sql
from app.infrastructure.db import Database, Record

if TYPE_CHECKING:
    from app.runs import row_types


EXAMPLES_MAX: Final = 2


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


class Moves(msgspec.Struct, frozen=True):
    """Moves of all accounts that get grants, each account in one of them."""

    moves: list[Move]

    @property
    def more(self) -> int:
        """Number of accounts that get more."""
        return sum(m.accounts for m in self.moves if m.credits_after > m.credits_before)

    @property
    def less(self) -> int:
        """Number of accounts that get less."""
        return sum(m.accounts for m in self.moves if m.credits_after < m.credits_before)


class Preview(msgspec.Struct, frozen=True):
    """Changes within the accounts' running days, and from each account's next day."""

    today: Moves
    next_day: Moves
    prices: list[PriceChange]


_SQL: Final[row_types.CataloguePreviewSql] = sql.beside(__file__)


async def preview(database: Database, present: Applied, wanted: Catalogue) -> Preview:
    """Compare the catalogue in force with the wanted one; reads one snapshot, writes nothing.

    A forgotten price gives nothing, since each subscription is derived again from what its
    events said. Of a trial whose tier grants in no trial it is not known whether it was paid for
    before; if it gives its tier now it is taken to have been.
    """
    catalogues = Catalogues()
    in_force = await catalogues.of(database, present.id)
    async with database.snapshot():
        kinds = await database.fetch(_SQL["kinds"]())
        compare = _Comparing(database, kinds, in_force, wanted)
        today: list[Record] = []
        for row in await database.fetch(_SQL["running"](present_id=present.id)):
            opened_by = await catalogues.of(database, row["catalogue_id"])
            before, after = running(opened_by, in_force), running(opened_by, wanted)
            today += await compare.accounts(before, after, row["catalogue_id"], present.id)
        next_day = await compare.accounts(in_force, wanted, None, present.id)
        prices = await database.fetch(_SQL["prices"]())
    return Preview(_moves(today), _moves(next_day), _changes(prices, in_force, wanted))


class _Comparing:
    """Accounts by what they get before and after a change, grouped by the database."""

    def __init__(
        self, database: Database, kinds: Sequence[Record], present: Catalogue, wanted: Catalogue
    ) -> None:
        self._database = database
        self._keys = [kind["key"] for kind in kinds]
        self._before = [kind["tier"] or kind["grace_tier"] for kind in kinds]
        self._after = [_to_come(kind, present, wanted) for kind in kinds]

    async def accounts(
        self, before: Catalogue, after: Catalogue, opened_by: int | None, present_id: int
    ) -> list[row_types.CataloguePreviewMoves]:
        """Compare the accounts whose day was opened under ``opened_by``; all if it is None."""
        return await self._database.fetch(
            _SQL["moves"](
                **_columns("before", before),
                **_columns("after", after),
                keys=self._keys,
                kinds_before=self._before,
                kinds_after=self._after,
                opened_by=opened_by,
                present_id=present_id,
            )
        )


def _columns(prefix: str, catalogue: Catalogue) -> dict[str, object]:
    return {f"{prefix}_{name}": column for name, column in tier_columns(catalogue).items()}


def _to_come(kind: Record, present: Catalogue, wanted: Catalogue) -> str | None:
    """The tier that such a subscription would give, but for the end of its grace."""
    given = kind["tier"] or kind["grace_tier"]
    pricing = CataloguePricing(wanted)
    tier = pricing.tier_of(kind["price_ids"])
    ignored = pricing.ignores(kind["price_ids"])
    if tier is None and not ignored and not any(map(present.known, kind["price_ids"])):
        tier = given  # an unknown price keeps the tier that a known one gave before it
    if tier is None or not wanted.has(tier):
        return None
    if kind["state"] == "past_due":
        return tier if kind["grace_tier"] is not None else None
    if kind["state"] != "active":
        return None
    if kind["status"] == "trialing" and not pricing.grants_in_trial(tier):
        known = present.tier(given) if given is not None and present.has(given) else None
        return tier if known is not None and not known.trial_grants else None
    return tier


def _moves(rows: Sequence[row_types.CataloguePreviewMoves]) -> Moves:
    """The groups as moves; days that different catalogues opened may have the same move."""
    moves: dict[tuple[object, ...], Move] = {}
    for row in rows:
        key = tuple(row[name] for name in ("before", "after", "credits_before", "credits_after"))
        same = moves.get(key)
        named = (*(same.examples if same else ()), row["example"], row["another"])
        moves[key] = Move(
            row["before"],
            row["after"],
            row["accounts"] + (same.accounts if same else 0),
            row["credits_before"],
            row["credits_after"],
            tuple(dict.fromkeys(name for name in named if name))[:EXAMPLES_MAX],
        )
    return Moves(list(moves.values()))


def _changes(
    rows: Sequence[row_types.CataloguePreviewPrices], present: Catalogue, wanted: Catalogue
) -> list[PriceChange]:
    return [
        PriceChange(row["price"], wanted.known(row["price"]), row["subscription_count"])
        for row in rows
        if present.known(row["price"]) != wanted.known(row["price"])
    ]
