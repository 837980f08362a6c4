"""The catalogue: which Stripe price buys which tier or credit pack, read from tiers.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from importlib import resources
from typing import Final

import msgspec

from app.allowance.catalogue_reading import Reading
from app.errors import ConfigurationError

FREE: Final = "FREE"
ACCOUNT_KEY: Final = "tallybook_account_id"  # set in the metadata of our own Checkout sessions
METADATA_KEYS_MAX: Final = 10
CREDITS_MAX: Final = 10**12
GRACE_DAYS_MAX: Final = 365
EXPIRES_DAYS_MAX: Final = 36_500
DORMANT_DAYS_MAX: Final = 3_650
_RUNNING_CACHED_MAX: Final = 64


class CatalogueError(ConfigurationError):
    """The catalogue is wrong; the detail lists every problem, one per line."""

    code = "catalogue"

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class Tier(msgspec.Struct, frozen=True):
    """A tier: the daily credits that its prices buy, and its rules."""

    name: str
    daily_credits: int
    prices: tuple[str, ...]
    past_due_grace_days: int = 7
    carry_over_max: int = 0
    trial_grants: bool = True
    low_balance_alert: int | None = None  # an alert rises when the balance falls below this
    unusual_use_alert: int | None = None  # an alert rises when this much is spent in a day, net
    # The tier, or "none", that it gives while its collection is paused.
    pause_collection: str = "keep"


class Pack(msgspec.Struct, frozen=True):
    """Credits bought once; with ``expires_days`` None they never expire."""

    name: str
    credits: int
    prices: tuple[str, ...]
    expires_days: int | None = None


class StripeRules(msgspec.Struct, frozen=True):
    """Rules for reading the objects of the Stripe account.

    ``account_metadata`` are the metadata keys that name the application's id; the first key that
    is set counts. ``park_unknown`` parks a subscription if none of its prices is known. False
    ignores it instead, for a Stripe account that other products share. ``trust_client_reference``
    lets a session's client_reference_id link its customer.
    """

    account_metadata: tuple[str, ...] = (ACCOUNT_KEY,)
    park_unknown: bool = True
    trust_client_reference: bool = False


class Catalogue(msgspec.Struct, frozen=True, dict=True):
    """Tiers and packs in the file's order; FREE is always among the tiers.

    Runs skip accounts that were unused for ``dormant_after_days``; None skips none.
    """

    tiers: tuple[Tier, ...]
    packs: tuple[Pack, ...] = ()
    ignored_prices: tuple[str, ...] = ()
    dormant_after_days: int | None = None
    stripe: StripeRules = StripeRules()

    @cached_property
    def _tier_of_name(self) -> dict[str, Tier]:
        return {tier.name: tier for tier in self.tiers}

    @cached_property
    def _tier_of_price(self) -> dict[str, Tier]:
        return {price: tier for tier in self.tiers for price in tier.prices}

    @cached_property
    def _pack_of_price(self) -> dict[str, Pack]:
        return {price: pack for pack in self.packs for price in pack.prices}

    @cached_property
    def _rank(self) -> dict[str, int]:
        # sorted() is stable, so the file's order decides between equals.
        best_first = sorted(self.tiers, key=lambda tier: -tier.daily_credits)
        return {tier.name: rank for rank, tier in enumerate(best_first)}

    @property
    def free(self) -> Tier:
        """Return the tier that every account has."""
        return self._tier_of_name[FREE]

    def has(self, name: str) -> bool:
        """Return whether there is a tier of this name."""
        return name in self._tier_of_name

    def tier(self, name: str) -> Tier:
        """Return the tier of this name; raise KeyError if there is none."""
        return self._tier_of_name[name]

    def carry_over_max(self, name: str) -> int:
        """Return how many credits the tier carries over at most; 0 if no tier has this name."""
        tier = self._tier_of_name.get(name)
        return tier.carry_over_max if tier else 0

    def tier_of_price(self, price: str) -> Tier | None:
        """Return the tier that the price buys, or None."""
        return self._tier_of_price.get(price)

    def pack_of_price(self, price: str) -> Pack | None:
        """Return the pack that the price buys, or None."""
        return self._pack_of_price.get(price)

    def is_ignored(self, price: str) -> bool:
        """Return whether the file lists the price as one that grants nothing."""
        return price in self.ignored_prices

    def known(self, price: str) -> bool:
        """Return whether the file names the price at all."""
        return (
            price in self._tier_of_price or price in self._pack_of_price or self.is_ignored(price)
        )

    def best(self, names: Iterable[str]) -> str:
        """Return the tier with most daily credits, then the file's first; FREE if none is named.

        Raises KeyError if a name is no tier.
        """
        return min(names, key=self._rank.__getitem__, default=FREE)


@lru_cache(maxsize=_RUNNING_CACHED_MAX)
def running(opened_by: Catalogue, present: Catalogue) -> Catalogue:
    """Return the catalogue that decides within a running day.

    Its tiers are those of the catalogue that opened the day, so that a change gives and takes
    nothing before the account's next day. Newer tiers are added after them.
    """
    added = tuple(tier for tier in present.tiers if not opened_by.has(tier.name))
    return msgspec.structs.replace(present, tiers=(*opened_by.tiers, *added))


def parse(text: str, file: str) -> Catalogue:
    """Read the text of a tiers.toml; ``file`` is the name used in problems.

    Raises CatalogueError with all problems at once.
    """
    try:
        document = tomllib.loads(text)
    # tomllib recurses: a thousand nested brackets are a RecursionError, not a TOMLDecodeError.
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        problem = f"{file}: no valid TOML ({error}); correct the line and apply the file again"
        raise CatalogueError([problem]) from None
    reading = Reading(file)
    catalogue = _catalogue(reading, document)
    if reading.problems:
        raise CatalogueError(reading.problems)
    return catalogue


def default_text() -> str:
    """Return the text of the tiers.toml in the package, with its comments."""
    return resources.files("app.allowance").joinpath("tiers.toml").read_text(encoding="utf-8")


def _catalogue(reading: Reading, document: dict[str, object]) -> Catalogue:
    reading.only_keys(document, Catalogue.__struct_fields__, within="")
    tiers = tuple(_tier(reading, name, table) for name, table in reading.tables(document, "tiers"))
    packs = tuple(_pack(reading, name, table) for name, table in reading.tables(document, "packs"))
    ignored = reading.prices(document, "ignored_prices", within="", default=())
    if FREE not in {tier.name for tier in tiers}:
        reading.refuse(
            "tiers.FREE", "is missing", "add [tiers.FREE], the tier that every account has"
        )
    dormant_after_days = None
    if "dormant_after_days" in document:
        bounds = (1, DORMANT_DAYS_MAX)
        dormant_after_days = reading.integer(document, "dormant_after_days", bounds, within="")
    return Catalogue(tiers, packs, ignored, dormant_after_days, _stripe(reading, document))


def _stripe(reading: Reading, document: dict[str, object]) -> StripeRules:
    table = reading.table(document, "stripe")
    reading.only_keys(table, StripeRules.__struct_fields__, within="stripe")
    plain = StripeRules()
    return StripeRules(
        account_metadata=reading.names(
            table,
            "account_metadata",
            METADATA_KEYS_MAX,
            within="stripe",
            default=plain.account_metadata,
        ),
        park_unknown=reading.truth(table, "park_unknown", within="stripe", default=True),
        trust_client_reference=reading.truth(
            table, "trust_client_reference", within="stripe", default=False
        ),
    )


def _tier(reading: Reading, name: str, table: dict[str, object]) -> Tier:
    within = f"tiers.{name}"
    reading.only_keys(table, Tier.__struct_fields__[1:], within=within)
    return Tier(
        name=name,
        daily_credits=reading.integer(table, "daily_credits", (0, CREDITS_MAX), within=within),
        # FREE is given to everyone, so it needs no prices.
        prices=reading.prices(table, "prices", within=within, default=() if name == FREE else None),
        past_due_grace_days=reading.integer(
            table, "past_due_grace_days", (0, GRACE_DAYS_MAX), within=within, default=7
        ),
        carry_over_max=reading.integer(
            table, "carry_over_max", (0, CREDITS_MAX), within=within, default=0
        ),
        trial_grants=reading.truth(table, "trial_grants", within=within, default=True),
        low_balance_alert=_threshold(reading, table, "low_balance_alert", within),
        unusual_use_alert=_threshold(reading, table, "unusual_use_alert", within),
        pause_collection=reading.one_of(table, "pause_collection", ("keep", "none"), within=within),
    )


def _threshold(reading: Reading, table: dict[str, object], key: str, within: str) -> int | None:
    return reading.integer(table, key, (1, CREDITS_MAX), within=within) if key in table else None


def _pack(reading: Reading, name: str, table: dict[str, object]) -> Pack:
    within = f"packs.{name}"
    reading.only_keys(table, Pack.__struct_fields__[1:], within=within)
    expires_days = None
    if "expires_days" in table:
        bounds = (1, EXPIRES_DAYS_MAX)
        expires_days = reading.integer(table, "expires_days", bounds, within=within)
    return Pack(
        name=name,
        credits=reading.integer(table, "credits", (1, CREDITS_MAX), within=within),
        prices=reading.prices(table, "prices", within=within),
        expires_days=expires_days,
    )


def diff(old: Catalogue, new: Catalogue) -> list[str]:
    """Return what applying ``new`` over ``old`` changes, one readable line each; [] for no
    change.
    """
    return [
        *_diff_named("tier", _by_name(old.tiers), _by_name(new.tiers)),
        *_diff_named("pack", _by_name(old.packs), _by_name(new.packs)),
        *_diff_values("", _of_the_whole(old), _of_the_whole(new)),
        *_diff_order([tier.name for tier in old.tiers], [tier.name for tier in new.tiers]),
    ]


def _of_the_whole(catalogue: Catalogue) -> dict[str, object]:
    return {
        "ignored_prices": catalogue.ignored_prices,
        "dormant_after_days": catalogue.dormant_after_days,
        **{
            f"stripe.{name}": value
            for name, value in msgspec.structs.asdict(catalogue.stripe).items()
        },
    }


def _by_name(things: Iterable[Tier | Pack]) -> dict[str, dict[str, object]]:
    return {thing.name: msgspec.structs.asdict(thing) for thing in things}


def _diff_named(
    what: str, old: Mapping[str, Mapping[str, object]], new: Mapping[str, Mapping[str, object]]
) -> Iterator[str]:
    for name in [*old, *(name for name in new if name not in old)]:
        if name not in new:
            yield f"{what} {name}: removed"
        elif name not in old:
            values = (
                f"{key} {_shown(value)}"
                for key, value in new[name].items()
                if key != "name" and value is not None
            )
            yield f"{what} {name}: added ({', '.join(values)})"
        else:
            yield from _diff_values(f"{what} {name}: ", old[name], new[name])


def _diff_values(head: str, old: Mapping[str, object], new: Mapping[str, object]) -> Iterator[str]:
    for key, was in old.items():
        if was != new[key]:
            yield f"{head}{key} {_shown(was)} → {_shown(new[key])}"


def _diff_order(old: list[str], new: list[str]) -> Iterator[str]:
    """The order decides between tiers of equal credits, so a move is a change."""
    was = [name for name in old if name in new]
    now = [name for name in new if name in old]
    if was != now:
        yield f"order of tiers: {', '.join(was)} → {', '.join(now)}"


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(value) or "none"
    if isinstance(value, bool):
        return str(value).lower()
    return "never" if value is None else str(value)
