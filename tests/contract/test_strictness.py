"""What is not what the schema says is refused with a 4xx, never a 500, and changes nothing."""

from __future__ import annotations

from typing import Any

import httpx
import jsonschema_rs
import msgspec
import pytest

from app.infrastructure.db import Database
from app.web.http.body import BODY_BYTES_MAX
from tests.api_client import Api

SPENDS = "/api/v1/accounts/user-1/spends"
ACCOUNT = "/api/v1/accounts/user-1"


@pytest.fixture
async def untouched(api: Api, database: Database) -> Any:
    """An account with 5 credits, and the check that it still stands as it did."""
    await api.put(ACCOUNT, {})
    before = await api.account("user-1")

    async def check() -> None:
        assert await api.account("user-1") == before
        rows = await database.fetch("SELECT kind FROM entries")
        assert [row["kind"] for row in rows] == ["grant"]

    return check


async def send(
    api: Api, content: bytes, path: str = SPENDS, method: str = "POST", **headers: str
) -> httpx.Response:
    stated = {"Content-Type": "application/json", "Idempotency-Key": "key", **headers}
    return await api.client.request(
        method, path, content=content, headers=api.headers("service", **stated)
    )


NO_SPENDS = {
    "a string for a number": b'{"amount": "1"}',
    "true for a number": b'{"amount": true}',
    "null for a number": b'{"amount": null}',
    "a list for a number": b'{"amount": [1]}',
    "a fraction": b'{"amount": 1.5}',
    "nearly one": b'{"amount": 1.0000000001}',
    "nothing": b'{"amount": 0}',
    "less than nothing": b'{"amount": -1}',
    "more than the most": b'{"amount": 1000000000001}',
    "more than eight bytes": b'{"amount": 9223372036854775808}',
    "a very large number": b'{"amount": 1' + b"0" * 400 + b"}",
    "a float beyond all": b'{"amount": 1e400}',
    "no number": b'{"amount": NaN}',
    "infinity": b'{"amount": Infinity}',
    "no amount": b"{}",
    "an unknown field": b'{"amount": 1, "amuont": 2}',
    "a NUL in text": b'{"amount": 1, "reason": "a\\u0000b"}',
    "a NUL in metadata": b'{"amount": 1, "metadata": {"a": "\\u0000"}}',
    "a number in metadata": b'{"amount": 1, "metadata": {"a": 123456789012345678901234567890}}',
    "a NUL in a name": b'{"amount": 1, "metadata": {"\\u0000": 1}}',
    "half a surrogate pair": b'{"amount": 1, "reason": "\\ud800"}',
    "an empty reason": b'{"amount": 1, "reason": ""}',
    "a long reason": b'{"amount": 1, "reason": "' + b"a" * 501 + b'"}',
    "text for metadata": b'{"amount": 1, "metadata": "x"}',
    "deep metadata": b'{"amount": 1, "metadata": {"a": ' + b"[" * 50 + b"]" * 50 + b"}}",
    "very deep nesting": b"[" * 100_000 + b"]" * 100_000,
    "much metadata": b'{"amount": 1, "metadata": {'
    + b",".join(b'"%d": "1"' % n for n in range(51))
    + b"}}",
    "invalid UTF-8": b'{"amount": 1, "reason": "\xff"}',
    "an overlong encoding": b'{"amount": 1, "reason": "\xc0\xaf"}',
    "UTF-16": '{"amount": 1}'.encode("utf-16"),
    "a list": b"[]",
    "a number": b"1",
    "null": b"null",
    "text": b'"x"',
    "no JSON": b"{",
    "two of them": b'{"amount": 1}{"amount": 1}',
    "a trailing comma": b'{"amount": 1,}',
    "a comment": b'{"amount": 1 /* one */}',
    "an empty body": b"",
    "white space": b"  \n",
}


async def test_what_is_no_spend_is_a_400_and_spends_nothing(api: Api, untouched: Any) -> None:
    wrong = {}
    for name, content in NO_SPENDS.items():
        answer = await send(api, content)
        told = (answer.status_code, answer.json()["code"])
        if told != (400, "invalid_request"):
            wrong[name] = answer.text
    assert wrong == {}
    await untouched()


async def test_a_number_of_integral_value_is_an_integer(api: Api, untouched: Any) -> None:
    same = [
        b'{"amount": 1}',
        b'{"amount": 1.0}',
        b'{"amount": 1e0}',
        b'{"amount": 10E-1}',
        b' { "metadata" : null, "amount" : 1.000 } ',
    ]
    answers = [await send(api, content) for content in same]
    assert [answer.status_code for answer in answers] == [201] * len(same)
    replayed = [answer.headers.get("Idempotency-Replayed") for answer in answers]
    assert replayed == [None, *["true"] * (len(same) - 1)], "bodies are compared as parsed"
    assert len({answer.text for answer in answers}) == 1
    assert (await api.account("user-1"))["available"] == 4


async def test_metadata_is_kept_as_it_came_up_to_the_bounds(api: Api, untouched: Any) -> None:
    metadata = {
        "text": "naïve ☃ 𝄞 '; --",
        "k" * 40: "v" * 500,
        "nothing": "",
        **{f"more {number}": "𝄞" * 500 for number in range(46)},
    }
    metadata["last"] = "9" * 30
    assert len(metadata) == 50
    answer = await api.client.post(
        SPENDS,
        json={"amount": 1, "metadata": metadata},
        headers=api.headers("service", **{"Idempotency-Key": "key"}),
    )
    assert answer.status_code == 201, answer.text
    journal = (await api.get(f"/api/v1/ledger/journals/{answer.json()['id']}")).json()
    assert journal["metadata"] == metadata


async def test_a_body_that_the_description_lets_through_is_never_a_400(api: Api) -> None:
    """Bounds of names and values were left out of it: a client that kept to it was refused."""
    schema = (await api.client.get("/schema/openapi.json")).json()
    shape = schema["components"]["schemas"]["SpendBody"]["properties"]["metadata"]
    (described,) = [one for one in shape["oneOf"] if one["type"] == "object"]
    checker = jsonschema_rs.Draft202012Validator(described)
    allowed: list[dict[str, str]] = [{}, {"a": ""}, {"k" * 40: "v" * 500}]
    allowed += [{str(number): "x" for number in range(50)}, {"ключ": "𝄞" * 500}]
    refused: list[dict[str, Any]] = [{"": "x"}, {"k" * 41: "x"}, {"a": "v" * 501}, {"a": "\n"}]
    refused += [{"a": 1}, {"a": None}, {"a": {}}, {"a": ["x"]}, {"a\t": "x"}, {"a": "\x85"}]
    refused += [{str(number): "x" for number in range(51)}]
    for number, metadata in enumerate([*allowed, *refused]):
        content = msgspec.json.encode({"amount": 1, "metadata": metadata})
        answer = await send(api, content, **{"Idempotency-Key": f"key-{number}"})
        wanted = 400 if metadata in refused else 404
        assert checker.is_valid(metadata) is (metadata in allowed), metadata
        assert answer.status_code == wanted, (metadata, answer.text)


async def test_another_content_type_is_refused(api: Api, untouched: Any) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""):
        answer = await send(api, b'{"amount": 1}', **{"Content-Type": kind})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request"), kind
    await untouched()


async def test_json_with_a_charset_is_json(api: Api, untouched: Any) -> None:
    kind = "Application/JSON; charset=utf-8"
    assert (await send(api, b'{"amount": 1}', **{"Content-Type": kind})).status_code == 201


async def test_a_body_past_the_limit_is_a_413(api: Api, untouched: Any) -> None:
    fits = b'{"amount": 9' + b" " * (BODY_BYTES_MAX - 13) + b"}"
    assert len(fits) == BODY_BYTES_MAX
    assert (await send(api, fits)).status_code == 402
    answer = await send(api, fits + b" ")
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    await untouched()


async def test_a_streamed_body_past_the_limit_is_a_413(api: Api, untouched: Any) -> None:
    async def stream() -> Any:
        for _ in range(40):
            yield b" " * 8_192

    headers = api.headers("service", **{"Content-Type": "application/json", "Idempotency-Key": "k"})
    answer = await api.client.post(SPENDS, content=stream(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    await untouched()


async def test_an_act_without_a_proper_idempotency_key_is_refused(api: Api, untouched: Any) -> None:
    for key in ("", "x" * 256, "tab\there", "caf\u00e9", "\x7f", "a\x01"):
        answer = await api.client.post(
            SPENDS,
            json={"amount": 1},
            headers=[
                (b"Authorization", f"Bearer {api.tokens['service']}".encode()),
                (b"Idempotency-Key", key.encode("latin-1")),
            ],
        )
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request"), key
    none = await api.client.post(SPENDS, json={"amount": 1}, headers=api.headers("service"))
    assert (none.status_code, none.json()["code"]) == (400, "invalid_request")
    assert "Idempotency-Key" in none.json()["detail"]
    await untouched()


@pytest.mark.usefixtures("untouched")
async def test_a_key_of_255_printable_characters_is_kept_whole(
    api: Api, database: Database
) -> None:
    key = "".join(chr(33 + n % 94) for n in range(255))
    answer = await send(api, b'{"amount": 1}', **{"Idempotency-Key": key})
    assert answer.status_code == 201, answer.text
    kept = "SELECT idempotency_key FROM journals WHERE kind = 'spend'"
    assert await database.fetchval(kept) == key


NO_QUERIES = (
    "kind=gift",
    "kind=",
    "order=up",
    "limit=0",
    "limit=1001",
    "limit=-1",
    "limit=1.5",
    "limit=x",
    "limit=99999999999999999999",
    "limit=%00",
    "limit=1&limit=2",
    "kind=spend&kind=spend",
    "knid=spend",
    "Kind=spend",
    "cursor=",
    "cursor=%00",
    "cursor=%F0%9F%92%A9",
    f"cursor={'A' * 513}",
    "account_id=a%00b",
    f"account_id={'a' * 129}",
    "account_id=a%20b",
    "account_id=%FF",
    "journal_id=1",
    "journal_id=ent_0000000000001",
    "journal_id=jrn_1",
    "journal_id=jrn_000000000000U",
    "event_id=%00",
    "event_id=a%0Ab",
    "recorded_from=yesterday",
    "recorded_from=2026-01-01T00:00:00",
    "recorded_to=2026-02-30T00:00:00Z",
    "recorded_to=2026-01-01T24:00:00Z",
    "effective_from=0001-01-01T00:00:00Z",
    "effective_from=10000-01-01T00:00:00Z",
    "effective_to=2026-01-01T00:00:00.1234567Z",
    "effective_to=%D9%A2026-01-01T00:00:00Z",
    "hold_id=hld_",
    "run_id=None",
    "lot_id=lot_%00",
)


async def test_a_query_that_is_not_described_is_a_400(api: Api, untouched: Any) -> None:
    wrong = {}
    for query in NO_QUERIES:
        answer = await api.client.get(
            f"/api/v1/ledger/entries?{query}", headers=api.headers("auditor")
        )
        if (answer.status_code, answer.json().get("code")) != (400, "invalid_request"):
            wrong[query] = f"{answer.status_code} {answer.text[:200]}"
    assert wrong == {}


@pytest.mark.parametrize(
    "path",
    [
        "/health/live?x=1",
        "/api/v1/accounts/user-1?expand=all",
        "/api/v1/accounts/user-1/balance?as_of=2026-01-01T00:00:00Z&as_of=2026-01-01T00:00:00Z",
        "/api/v1/ledger/journals/jrn_0000000000001?x",
    ],
)
async def test_an_unknown_or_repeated_parameter_is_refused_everywhere(
    api: Api, untouched: Any, path: str
) -> None:
    answer = await api.client.get(path, headers=api.headers("auditor"))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


async def test_a_path_that_is_no_id_is_a_4xx(api: Api, untouched: Any) -> None:
    for account in ("a%00b", "a%20b", "%FF", "a" * 129, "a%0Ab", "\u00fc", "%ED%A0%80"):
        answer = await api.client.get(f"/api/v1/accounts/{account}", headers=api.headers("auditor"))
        assert answer.status_code in (400, 404), account
        answer = await send(api, b"{}", f"/api/v1/accounts/{account}", "PUT")
        assert answer.status_code in (400, 404), account
    for journal in ("x", "jrn_", "jrn_%00", "jrn_000000000000u", "ent_0000000000001", "0"):
        answer = await api.get(f"/api/v1/ledger/journals/{journal}")
        assert answer.status_code in (400, 404), journal
    await untouched()


NO_ACCOUNTS = (
    b'{"stripe_customer_id": 1}',
    b'{"stripe_customer_id": ""}',
    b'{"stripe_customer_id": "a b"}',
    b'{"stripe_customer_id": "a\\u0000"}',
    b'{"stripe_customer_id": "' + b"c" * 256 + b'"}',
    b'{"time_zone": ""}',
    b'{"time_zone": null}',
    b'{"time_zone": 1}',
    b'{"timezone": "UTC"}',
    b"[]",
    b"null",
)


async def test_what_is_no_account_is_a_400_and_opens_none(api: Api) -> None:
    for content in NO_ACCOUNTS:
        answer = await send(api, content, "/api/v1/accounts/user-9", "PUT")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request"), content
    assert (await api.get("/api/v1/accounts/user-9")).status_code == 404


async def test_a_zone_that_is_no_zone_is_a_422_and_opens_none(api: Api) -> None:
    for zone in ("Mars/Base", "../../etc/passwd", "utc", "UTCx"):
        answer = await api.put("/api/v1/accounts/user-9", {"time_zone": zone})
        assert (answer.status_code, answer.json()["code"]) == (422, "unknown_zone"), zone
    assert (await api.get("/api/v1/accounts/user-9")).status_code == 404


async def test_a_clock_that_is_no_instant_is_a_400(api: Api, untouched: Any) -> None:
    for now in ("tomorrow", "2026-02-30T00:00:00Z", 1_800_000_000, None, "2026-01-02T00:00:00"):
        answer = await api.put("/api/v1/dev/clock", {"now": now}, "operator")
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request"), now
    answer = await api.put("/api/v1/dev/clock", {"now": "2020-01-01T00:00:00Z"}, "operator")
    assert (answer.status_code, answer.json()["code"]) == (409, "clock_backwards")
    await untouched()
