"""Evidence: one file that proves a balance offline, as ops/verify_evidence.py checks it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import orjson

from app.audit import entries as audited
from app.errors import AccountUnknownError, NotSealedError
from app.infrastructure import sql
from app.infrastructure.db import Database, Record
from app.seals import balance_tree, cose, leaves, log_tree, recompute, sealer, stored
from app.seals.leaves import NOTHING_ERASED, SALT_BYTES
from app.seals.log_tree import TILE_HASHES
from app.seals.stored import in_base64

if TYPE_CHECKING:
    from app.seals import row_types


_SQL: Final[row_types.EvidenceSql] = sql.beside(__file__)
_SEALER: Final[row_types.SealerSql] = sql.beside(sealer.__file__)
FORMAT: Final = "tallybook-evidence/1"

Evidence = dict[str, Any]


async def require_numbers(database: Database, public_id: str) -> list[int]:
    """The account of an id, then those joined to it; raises AccountUnknownError."""
    known = await audited.account_numbers(database, public_id)
    if not known:
        raise AccountUnknownError(f"There is no account {public_id}.")
    rows = await database.fetch(
        "SELECT id FROM accounts WHERE id = ANY($1::bigint[]) ORDER BY joined_to IS NOT NULL, id",
        known,
    )
    return [row["id"] for row in rows]


async def evidence(
    database: Database,
    public_id: str,
    accounts: Sequence[int],
    at: datetime | None = None,
    since: int | None = None,
) -> Evidence:
    """The evidence of an account, and of those joined to it, under the newest seal.

    At an instant, which the seal must have reached, else of all its entries, which must be sealed;
    raises NotSealedError. ``since`` is the size of an older seal that the log is shown to continue.
    """
    async with database.snapshot():
        if await database.fetchval("SELECT max(size) FROM seals") is None:
            raise NotSealedError("Nothing was sealed yet; the next tick seals.")
        seal = await stored.seal(database)
        await _require_sealed(database, seal, accounts, at)
        rows = await database.fetch(
            _SQL["entries"](account_ids=list(accounts), up_to=seal.entry_id)
        )
        names = await recompute.Names.load(database, list(accounts))
        entries = await _entries(database, rows, names)
        indexes = [one["index"] for one in entries if one["index"] is not None]
        spans = list(log_tree.inclusion_of_many(sorted(indexes), seal.size))
        last = names.at(accounts[0], seal.entry_id)
        told: Evidence = {
            "format": FORMAT,
            "id": last["name"] if last else public_id,
            "at": at and at.astimezone(UTC),
            "checkpoint": seal.note,
            "keys": [row["verifier_key"] for row in await stored.keys(database)],
            "accounts": await _accounts(database, accounts, names),
            "entries": entries,
            "nodes": list(map(in_base64, await stored.hashes_of(database, spans))),
            "since": await _since(database, since, seal.size),
        }
    told["sha256"] = sha256(leaves.canonical(told)).hexdigest()
    return told


def written(told: Evidence) -> bytes:
    """The file: canonical JSON and a line end."""
    return leaves.canonical(told) + b"\n"


async def _require_sealed(
    database: Database, seal: stored.Seal, accounts: Sequence[int], at: datetime | None
) -> None:
    if at is None:
        open_entry = await database.fetchval(
            _SQL["unsealed"](account_ids=list(accounts), after=seal.entry_id)
        )
        covered = open_entry is None
    else:
        covered = at <= seal.horizon_at
    if not covered:
        raise NotSealedError(
            "The next seal covers it; ask again, or ask what stood at the newest seal's horizon.",
            horizon_at=seal.horizon_at,
        )


async def _entries(
    database: Database, rows: Sequence[Record], names: recompute.Names
) -> list[Evidence]:
    """The entries as leaves, each with its place in the log and the texts that are not erased."""
    ids = [row["entry"] for row in rows]
    placed = await places(database, ids)
    erased = await recompute.erased_of(database, ids)
    counts: dict[int, int] = {}
    entries = []
    for row in rows:
        account, entry = row["account"], row["entry"]
        counts[account] = counts.get(account, 0) + 1
        index, salts = placed.get(entry, (None, bytes(leaves.SALTS_BYTES)))
        name = names.at(account, entry)
        gone = erased.get(entry, NOTHING_ERASED)
        leaf = leaves.leaf_of_row(row, salts, name["hash"] if name else None, counts[account], gone)
        act = leaves.act_of(row) if gone.act is None else None
        text = leaves.text_of(row) if gone.text is None else None
        entries.append(
            {
                "index": index,
                "leaf": orjson.loads(leaf),
                "act": _salted(salts[:SALT_BYTES], act),
                "text": _salted(salts[SALT_BYTES:], text),
            }
        )
    return entries


def _salted(salt: bytes, value: leaves.Hidden | None) -> Evidence | None:
    return None if value is None else {"salt": salt.hex(), "value": value}


async def places(database: Database, entries: Sequence[int]) -> Mapping[int, tuple[int, bytes]]:
    """The index and the salts of each of these entries, which ascend, that the log has."""
    found: dict[int, tuple[int, bytes]] = {}
    for tile in await database.fetch(_SQL["leaves"](entry_ids=entries)):
        ids = recompute.entry_ids_of(tile)
        for number in range(bisect_left(entries, ids[0]), len(entries)):
            entry = entries[number]
            if entry > ids[-1]:
                break
            at = bisect_left(ids, entry)
            if ids[at] == entry:
                found[entry] = tile["tile"] * TILE_HASHES + at, recompute.salts_at(tile, at)
    return found


async def _accounts(
    database: Database, accounts: Sequence[int], names: recompute.Names
) -> list[Evidence]:
    """Each account with its balance in the seal, the way to the root of all, and its names."""
    found = await database.fetch(_SEALER["balances"](account_ids=list(accounts)))
    balances = {row["account"]: dict(row) for row in found}
    tiles = await sealer.balance_tiles(database, accounts)
    return [
        {
            "account": account,
            "balance": balances.get(account),
            "path": [
                None if node == balance_tree.EMPTY else in_base64(node)
                for node in balance_tree.path(tiles, account)
            ],
            "names": [
                {
                    "name": row["name"],
                    "salt": row["salt"] and row["salt"].hex(),
                    "hash": row["hash"],
                }
                for row in names.of(account)
            ],
        }
        for account in accounts
    ]


async def _since(database: Database, since: int | None, size: int) -> Evidence | None:
    if since is None:
        return None
    hashes = await stored.consistency(database, since, size)
    return {"size": since, "hashes": list(map(in_base64, hashes))}


async def receipt(database: Database, entry: int) -> tuple[bytes, bytes]:
    """The leaf of a sealed entry, and its COSE receipt under the newest seal (RFC 9942).

    Raises NotSealedError.
    """
    async with database.snapshot():
        placed = await places(database, [entry])
        account = await database.fetchval("SELECT account_id FROM entries WHERE id = $1", entry)
        if entry not in placed or account is None:
            raise NotSealedError("No seal covers this entry.")
        seal = await stored.seal(database)
        rows = await database.fetch(_SQL["entries"](account_ids=[account], up_to=entry))
        names = await recompute.Names.load(database, [account])
        (leaf,) = [
            one["leaf"]
            for one in await _entries(database, rows, names)
            if one["leaf"]["entry"] == entry
        ]
        index, _ = placed[entry]
        path = await stored.hashes_of(database, log_tree.inclusion_path(index, seal.size))
    return leaves.canonical(leaf), cose.receipt(seal.receipt, seal.size, index, path)
