"""Rows of this package's statements. Generated: WRITE_ROWS=1 pytest tests/infrastructure/test_row_types.py"""

from datetime import datetime
from typing import Any, TypedDict

from app.infrastructure.ids import AccountNumber, EntryNumber
from app.infrastructure.sql import Statement
from app.tables.row_types import SealBalanceTilesRow, SealErasedRow, SealKeysRow, SealLeavesRow, SealNamesRow, SealTilesRow

class BacklogStretches(TypedDict):
    stretch: int
    first: datetime

class BacklogWithin(TypedDict):
    min: datetime

class BacklogSql(TypedDict):
    stretches: Statement[BacklogStretches]
    within: Statement[BacklogWithin]

class EvidenceEntries(TypedDict):
    account: int
    entry: int
    free_after: int
    held_after: int
    debt_after: int
    at: str
    leaf: str
    act: str
    hidden: str

class EvidenceUnsealed(TypedDict):
    min: int

class EvidenceSql(TypedDict):
    entries: Statement[EvidenceEntries]
    unsealed: Statement[EvidenceUnsealed]
    leaves: Statement[SealLeavesRow]

class LeavesNext(TypedDict):
    accounts: list[int]
    entries: list[EntryNumber]
    free: list[Any]
    held: list[Any]
    debt: list[Any]
    at: str
    leaves: str
    acts: str
    hidden: str

class LeavesAfter(TypedDict):
    account: int
    entry: int
    free_after: int
    held_after: int
    debt_after: int
    at: str
    leaf: str
    act: str
    hidden: str

class LeavesSql(TypedDict):
    next: Statement[LeavesNext]
    after: Statement[LeavesAfter]
    of_entries: Statement[LeavesAfter]

class RecomputeTiles(TypedDict):
    tile: int
    entry_ids: bytes
    salts: bytes

class RecomputeSeals(TypedDict):
    size: int
    entry_id: EntryNumber
    root: bytes
    balances_root: bytes
    horizon_at: datetime
    note: str
    catalogue_id: Any
    catalogue_hash: bytes

class RecomputeSql(TypedDict):
    tiles: Statement[RecomputeTiles]
    names: Statement[SealNamesRow]
    erased: Statement[SealErasedRow]
    seals: Statement[RecomputeSeals]

class SealerTryLock(TypedDict):
    pg_try_advisory_xact_lock: bool
    set_config: str

class SealerNewest(TypedDict):
    size: int
    entry_id: EntryNumber
    root: bytes
    balances_root: bytes
    horizon_at: datetime
    sealed_at: datetime
    note: str

class SealerAbout(TypedDict):
    now: datetime
    epoch: int
    catalogue_id: Any
    catalogue_hash: bytes

class SealerBalances(TypedDict):
    account: int
    entry: int
    entries: int
    free: int
    held: int
    debt: int

class SealerNames(TypedDict):
    account_id: AccountNumber
    public_id: str
    name: str
    hash: str

class SealerSql(TypedDict):
    try_lock: Statement[SealerTryLock]
    newest: Statement[SealerNewest]
    about: Statement[SealerAbout]
    tiles: Statement[SealTilesRow]
    balance_tiles: Statement[SealBalanceTilesRow]
    balances: Statement[SealerBalances]
    names: Statement[SealerNames]
    write_tiles: Statement[None]
    write_leaves: Statement[None]
    write_names: Statement[None]
    write_balances: Statement[None]
    write_balance_tiles: Statement[None]
    write_keys: Statement[None]
    write_seal: Statement[None]

class StoredSeal(TypedDict):
    size: int
    entry_id: EntryNumber
    root: bytes
    balances_root: bytes
    horizon_at: datetime
    sealed_at: datetime
    receipt: bytes
    note: str

class StoredSeals(TypedDict):
    size: int
    horizon_at: datetime
    sealed_at: datetime
    note: str

class StoredSql(TypedDict):
    seal: Statement[StoredSeal]
    seals: Statement[StoredSeals]
    seals_back: Statement[StoredSeals]
    keys: Statement[SealKeysRow]

class TiledLogTile(TypedDict):
    tile: int
    entry_ids: bytes
    salts: bytes

class TiledLogBefore(TypedDict):
    account_id: AccountNumber
    entries: int

class TiledLogSql(TypedDict):
    tile: Statement[TiledLogTile]
    before: Statement[TiledLogBefore]

class WithholdLock(TypedDict):
    pg_advisory_xact_lock: Any

class WithholdEntries(TypedDict):
    account: int
    entry: int
    free_after: int
    held_after: int
    debt_after: int
    at: str
    leaf: str
    act: str
    hidden: str

class WithholdSalts(TypedDict):
    tile: int
    salts: bytes

class WithholdSql(TypedDict):
    lock: Statement[WithholdLock]
    entries: Statement[WithholdEntries]
    keep_names: Statement[None]
    keep_hashes: Statement[None]
    salts: Statement[WithholdSalts]
    write_salts: Statement[None]

class WitnessesLast(TypedDict):
    max: int

class WitnessesSql(TypedDict):
    last: Statement[WitnessesLast]
    keep: Statement[None]
