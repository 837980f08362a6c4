"""Seals: heads, their log and their balances."""

from __future__ import annotations

from piccolo.columns import BigInt, Bytea, SmallInt, Text, Timestamptz
from piccolo.table import Table

from app.tables.clock_and_catalogues import Catalogues
from app.tables.reference import references


class Seals(Table, tablename="seals"):
    """Each seal: the head of the log at a size, with what it says of the balances, signed."""

    size = BigInt(primary_key=True, null=False, default=None)
    entry_id = BigInt(null=False, unique=True, default=None)
    root = Bytea(null=False, default=None)
    balances_root = Bytea(null=False, default=None)
    horizon_at = Timestamptz(null=False, default=None)
    sealed_at = Timestamptz(null=False, default=None)
    catalogue_id = references(Catalogues, null=True)
    note = Text(null=False, default=None)
    receipt = Bytea(null=False, default=None)


class SealCosignatures(Table, tablename="seal_cosignatures"):
    """Words of witnesses that saw a seal after those before it."""

    size = references(Seals, primary_key=True)
    witness = Text(primary_key=True, null=False, default=None)
    line = Text(null=False, default=None)
    added_at = Timestamptz(null=False, default=None)


class SealKeys(Table, tablename="seal_keys"):
    """Every public key by which a seal was signed."""

    verifier_key = Text(primary_key=True, null=False, default=None)
    first_size = BigInt(null=False, default=None)


class SealTiles(Table, tablename="seal_tiles"):
    """The log's hashes, 256 to a row."""

    level = SmallInt(primary_key=True, null=False, default=None)
    tile = BigInt(primary_key=True, null=False, default=None)
    hashes = Bytea(null=False, default=None)


class SealLeaves(Table, tablename="seal_leaves"):
    """Beside each tile of level 0: its entries' ids and their salts."""

    tile = BigInt(primary_key=True, null=False, default=None)
    first_entry_id = BigInt(null=False, unique=True, default=None)
    entry_ids = Bytea(null=False, default=None)
    salts = Bytea(null=False, default=None)


class SealNames(Table, tablename="seal_names"):
    """The names under which accounts were sealed, from an entry on."""

    account_id = BigInt(primary_key=True, null=False, default=None)
    since_entry_id = BigInt(primary_key=True, null=False, default=None)
    name = Text(null=True, default=None)
    salt = Bytea(null=True, default=None)
    hash = Text(null=True, default=None)


class SealErased(Table, tablename="seal_erased"):
    """Hashes of what was erased, by entry."""

    entry_id = BigInt(primary_key=True, null=False, default=None)
    act = Text(null=True, default=None)
    text = Text(null=True, default=None)


class SealBalances(Table, tablename="seal_balances"):
    """Each account as the newest seal has it."""

    account_id = BigInt(primary_key=True, null=False, default=None)
    entry_id = BigInt(null=False, default=None)
    entry_count = BigInt(null=False, default=None)
    free = BigInt(null=False, default=None)
    held = BigInt(null=False, default=None)
    debt = BigInt(null=False, default=None)


class SealBalanceTiles(Table, tablename="seal_balance_tiles"):
    """The Merkle sum tree over them, 16 nodes to a row."""

    level = SmallInt(primary_key=True, null=False, default=None)
    tile = BigInt(primary_key=True, null=False, default=None)
    nodes = Bytea(null=False, default=None)
