"""Seals: the signed heads, the log's tiles, the public keys, and evidence of balances."""

from __future__ import annotations

from typing import Annotated, Any, Final

from litestar import Response, get
from litestar.datastructures import State
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromQuery, PathParameter, QueryParameter

from app.audit import cursor as cursors
from app.audit.life_cycle import Order
from app.seals import stored, tiled_log
from app.seals.evidence import evidence, require_numbers, written
from app.seals.log_tree import TILE_HASHES
from app.web.http import problems
from app.web.http.access import Access, access
from app.web.http.instants import Instant
from app.web.http.parameters import AccountId, At, Cursor, Limit, instant_if_given
from app.web.http.views import View, view_of

SIZE_MAX: Final = 2**53 - 1
OCTETS: Final = "application/octet-stream"
TEXT: Final = "text/plain"
Size = Annotated[
    int, PathParameter(ge=1, le=SIZE_MAX, description="The number of entries in its log.")
]
Since = Annotated[
    int | None,
    QueryParameter(ge=1, le=SIZE_MAX, description="The size of an older seal, to compare with."),
]
Level = Annotated[int, PathParameter(ge=0, le=7, description="0 holds the hashes of leaves.")]
Number = Annotated[int, PathParameter(ge=0, le=SIZE_MAX, description="Counted from 0.")]
Width = Annotated[
    int, QueryParameter(ge=1, le=TILE_HASHES, description="Hashes of 32 bytes; 256 is all.")
]

Place = Annotated[
    str, PathParameter(description="LEVEL/NUMBER or entries/NUMBER, then .p/WIDTH if not full.")
]


class SealAnswer(View, frozen=True, kw_only=True):
    """A seal: `checkpoint` is its signed head, a C2SP checkpoint.

    All that was recorded up to `horizon_at` is in its log. `consistency` proves, hash by hash in
    base64, that the log begins with that of the seal of size `since` (RFC 9162, 2.1.4); null where
    nothing was asked to compare.
    """

    size: int
    horizon_at: Instant
    sealed_at: Instant
    checkpoint: str
    consistency: list[str] | None


class SealList(View, frozen=True, kw_only=True):
    """A page of seals."""

    data: list[SealAnswer]
    next_cursor: str | None


class SealKey(View, frozen=True, kw_only=True):
    """A public key by which seals were signed, from the seal of `first_size` on.

    `key` is `name+hash+key`, as verifiers of C2SP's signed notes want it.
    """

    key: str
    first_size: int


class SealKeys(View, frozen=True, kw_only=True):
    """The public keys of all seals, the newest first."""

    keys: list[SealKey]


def _raw(kind: type, description: str, media_type: str, *refusals: int) -> dict[int, ResponseSpec]:
    """Describe an answer that is no JSON."""
    answer = ResponseSpec(
        kind, description=description, media_type=media_type, generate_examples=False
    )
    return {200: answer, **problems.declared(*refusals)}


@get(
    "/api/v1/seals",
    responses=problems.declared(400, 401, 403, 422),
    tags=["Seals"],
    **access(Access.AUDITOR),
)
async def list_seals(
    state: State, order: FromQuery[Order] = "asc", cursor: Cursor = None, limit: Limit = 100
) -> SealList:
    """List the seals by size."""
    asked = ("seals", order)
    after = cursors.decode_number(cursor, asked) if cursor is not None else None
    rows = await stored.seals(state.book.database, after, limit + 1, order)
    page = cursors.page(rows, limit, asked, key="size")
    answers = [
        view_of(SealAnswer, row, checkpoint=row["note"], consistency=None) for row in page.rows
    ]
    return SealList(data=answers, next_cursor=page.next_cursor)


@get(
    "/api/v1/seals/{size:int}",
    responses=problems.declared(400, 401, 403, 404),
    tags=["Seals"],
    **access(Access.AUDITOR),
)
async def get_seal(size: Size, state: State, since: Since = None) -> SealAnswer:
    """Return a seal and, on request, the proof that it continues an older one."""
    database = state.book.database
    one = await stored.seal(database, size)
    proof = None
    if since is not None:
        hashes = await stored.consistency(database, since, size)
        proof = [stored.in_base64(one) for one in hashes]
    return view_of(SealAnswer, one._asdict(), checkpoint=one.note, consistency=proof)


@get(
    "/api/v1/seals/tiles/{level:int}/{number:int}",
    media_type=OCTETS,
    responses=_raw(bytes, "The hashes, one after another.", OCTETS, 400, 401, 403, 404),
    tags=["Seals"],
    **access(Access.AUDITOR),
)
async def get_tile(
    level: Level, number: Number, state: State, width: Width = TILE_HASHES
) -> Response[bytes]:
    """Return the first hashes of a tile of the log's tree, as in C2SP's tlog-tiles."""
    return Response(await stored.tile(state.book.database, level, number, width), media_type=OCTETS)


@get(
    "/api/v1/seals/log/checkpoint",
    media_type=TEXT,
    responses=_raw(str, "A signed note.", TEXT, 400, 401, 403, 404),
    tags=["Seals"],
    **access(Access.AUDITOR),
)
async def get_checkpoint(state: State) -> Response[str]:
    """Return the newest seal's head with its witnesses' lines, where C2SP's tlog-tiles has it."""
    return Response((await stored.seal(state.book.database)).note, media_type=TEXT)


@get(
    "/api/v1/seals/log/tile/{place:path}",
    media_type=OCTETS,
    responses=_raw(
        bytes,
        "Hashes one after another, or entries behind their lengths.",
        OCTETS,
        400,
        401,
        403,
        404,
    ),
    tags=["Seals"],
    **access(Access.AUDITOR, deep=True),
)
async def get_log_tile(place: Place, state: State) -> Response[bytes]:
    """Return a tile of hashes or a bundle of entries of the C2SP tlog-tiles log.

    An entry is the canonical JSON that its leaf is the hash of. Names, keys and texts are salted
    hashes in it, and no salt is told.
    """
    wanted = tiled_log.place_of(place.removeprefix("/"))
    async with state.reports.room():
        return Response(await tiled_log.read(state.book.database, wanted), media_type=OCTETS)


@get(
    "/.well-known/tallybook-seal-keys",
    responses=problems.declared(400),
    tags=["Seals"],
    **access(Access.OPEN),
)
async def get_seal_keys(state: State) -> SealKeys:
    """Return the public keys by which this book's seals were signed."""
    rows = await stored.keys(state.book.database)
    return SealKeys(keys=[view_of(SealKey, row, key=row["verifier_key"]) for row in rows])


class EvidenceAnswer(View, frozen=True, kw_only=True):
    """An evidence file. ops/verify_evidence.py checks its bytes as they come.

    `checkpoint` is the newest seal's head; `keys` are the public keys of all seals; `accounts` are
    the account and those joined to it, each with its balance and the way to the root of all
    balances; `entries` are theirs, as leaves of the log, with the texts that enter by salted hashes
    and are not erased; `nodes` are the log's hashes between them, from left to right; `since`
    proves that the log continues the older seal that was asked for; `sha256` is of all the rest.
    """

    format: str
    id: str | None
    at: Instant | None
    checkpoint: str
    keys: list[str]
    accounts: list[dict[str, Any]]
    entries: list[dict[str, Any]]
    nodes: list[str]
    since: dict[str, Any] | None
    sha256: str


@get(
    "/api/v1/accounts/{account_id:str}/evidence",
    media_type="application/json",
    responses={
        200: ResponseSpec(
            EvidenceAnswer, description="The evidence file.", generate_examples=False
        ),
        **problems.declared(400, 401, 403, 404, 409),
    },
    tags=["Seals"],
    **access(Access.AUDITOR),
)
async def get_evidence(
    account_id: AccountId, state: State, at: At = None, since: Since = None
) -> Response[bytes]:
    """Prove an account's balance: now, once a seal covers it, or at an earlier instant."""
    database = state.book.database
    numbers = await require_numbers(database, account_id)
    async with state.reports.room():
        told = await evidence(database, account_id, numbers, instant_if_given(at, "at"), since)
    return Response(written(told), media_type="application/json")
