"""What two readers would read differently is refused, and each refusal tells the remedy."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from app.infrastructure.db import Database
from tests.api_client import Api

SPENDS = "/api/v1/accounts/user-1/spends"


@pytest.fixture(autouse=True)
async def account(api: Api) -> None:
    """An account with 5 credits."""
    await api.put("/api/v1/accounts/user-1", {})


async def spend(api: Api, content: bytes, *more: tuple[str, str]) -> Any:
    headers = [
        *api.headers("service").items(),
        ("Content-Type", "application/json"),
        ("Idempotency-Key", "key-1"),
        *more,
    ]
    return await api.client.post(SPENDS, content=content, headers=headers)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b'{"amount": 1, "amount": 5}', "amount"),
        (b'{"amount": 5, "\\u0061mount" : 1}', "amount"),
        (b'{"amount": 1, "metadata": {"job": 1, "job": 2}}', "job"),
        (b'{"amount": 1, "metadata": {"a": "1", "b": "", "a": "1"}}', "a"),
        (b'{"amount": 1, "reason": "\\":", "amount":1}', "amount"),
    ],
)
async def test_a_name_that_stands_twice_is_refused_and_nothing_is_spent(
    api: Api, content: bytes, name: str
) -> None:
    answer = await spend(api, content)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert answer.json()["detail"] == f"{name!r} stands twice in one object of the body."
    assert (await api.account("user-1"))["available"] == 5


async def test_a_text_that_looks_like_a_name_is_none(api: Api) -> None:
    content = b'{"amount": 1, "reason": "\\"amount\\": 5", "metadata": {"a\\":": "\\":"}}'
    answer = await spend(api, content)
    assert answer.status_code == 201, answer.text
    journal = (await api.get(f"/api/v1/ledger/journals/{answer.json()['id']}")).json()
    assert journal["reason"] == '"amount": 5'
    assert journal["metadata"] == {'a":': '":'}


@pytest.mark.parametrize("name", ["Idempotency-Key", "Authorization"])
async def test_a_header_that_decides_stands_once(api: Api, database: Database, name: str) -> None:
    again = {"Idempotency-Key": "key-2", **api.headers("operator")}[name]
    answer = await spend(api, b'{"amount": 1}', (name, again))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert answer.json()["detail"] == f"The header {name} is given more than once."
    assert await database.fetchval("SELECT count(*) FROM journals WHERE kind = 'spend'") == 0


@pytest.mark.parametrize(
    "path",
    [
        "/metrics/",
        "/metrics//",
        "//metrics",
        "/%6Detrics",
        "/m%65trics",
        "/schema//",
        "/health//live",
        "/health/%6c%69ve",
        "/api//v1/runs",
        "/api/v1/runs/",
        "/api/v%31/runs",
        "/api/v1/accounts/user-1/",
        "/api/v1/accounts%2Fuser-1",
        "/api/v1%2faccounts/user-1",
        "/api/v1/accounts/user-1%2Fbalance",
        "/api/v1/accounts/user-1/b%61lance",
        "/api/v1/dev%2Fclock",
    ],
)
async def test_a_route_has_one_path_so_that_a_proxys_rule_for_it_holds(api: Api, path: str) -> None:
    answer = await api.client.get(f"http://tallybook.test{path}", headers=api.headers("operator"))
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), answer.text
    assert answer.json()["detail"] == "Nothing is served at this path; /schema lists what is."


async def test_an_id_may_be_written_with_escapes(api: Api) -> None:
    """Clients differ in what they escape; `@` and `~` are escaped by some and not by others."""
    await api.put("/api/v1/accounts/a@b:c", {})
    answer = await api.get("/api/v1/accounts/%61%40b%3Ac")
    assert (answer.status_code, answer.json()["id"]) == (200, "a@b:c")


async def test_another_method_is_told_which_there_are(api: Api) -> None:
    told = (await api.client.delete("/api/v1/runs")).json()["detail"]
    assert "GET" in told
    assert "POST" in told


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", SPENDS), ("POST", "/api/v1/runs"), ("PUT", "/api/v1/accounts/user-2")],
)
async def test_a_body_that_is_missing_is_asked_for(api: Api, method: str, path: str) -> None:
    headers = api.headers("operator", **{"Idempotency-Key": "key-1"})
    for kind in ({}, {"Content-Type": "application/json"}):
        answer = await api.client.request(method, path, headers={**headers, **kind})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
        wanted = "The body is missing: send JSON with Content-Type: application/json."
        assert answer.json()["detail"] == wanted


@pytest.mark.parametrize(
    "content", [b'{"amount": 1}', gzip.compress(b'{"amount": 1}', mtime=0)], ids=["plain", "packed"]
)
async def test_a_body_that_is_said_to_be_packed_is_refused(api: Api, content: bytes) -> None:
    """One reader would unpack it, and another would not."""
    answer = await spend(api, content, ("Content-Encoding", "gzip"))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert answer.json()["detail"].endswith("send no Content-Encoding.")
    assert (await api.account("user-1"))["available"] == 5


INSTANT = "a date or an RFC 3339 instant, such as 2026-01-31T00:00:00Z (in a query + is %2B)"


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("ledger/entries?recorded_from=2026-02-30", f"recorded_from: Expected {INSTANT}"),
        (
            "ledger/entries?recorded_to=2026-01-01T00:00:00+00:00",
            f"recorded_to: Expected {INSTANT}",
        ),
        ("ledger/entries?journal_id=7", "journal_id: Expected an id such as jrn_000000000001a"),
        ("ledger/roll-forward?from=x&to=2026-01-01T00:00:00Z", f"from: Expected {INSTANT}"),
        ("events?type=%20", "type: Expected a type of Stripe's events, such as invoice.paid"),
        (
            "subscriptions?state=gone",
            "state: 'gone' is none of created, active, past_due, canceled",
        ),
        ("ledger/entries?order=up", "order: 'up' is none of asc, desc"),
        ("usage?from=1", "from: Invalid RFC3339 encoded date"),
        ("usage?tier=pro", "tier: Expected a tier's name: capitals, digits and _, such as PRO"),
        ("alerts?cursor=%20", "cursor: Expected the `next_cursor` of a page"),
    ],
)
async def test_a_refusal_names_what_was_sent_and_says_what_is_wanted(
    api: Api, path: str, detail: str
) -> None:
    answer = await api.client.get(f"/api/v1/{path}", headers=api.headers("auditor"))
    assert (answer.status_code, answer.json()["detail"]) == (400, detail)


async def test_a_refused_word_of_a_body_is_answered_with_those_there_are(api: Api) -> None:
    answer = await api.client.post(
        "/api/v1/reversals",
        json={"reason": "x", "journal_id": "jrn_0000000000001", "shortfall": "forgive"},
        headers=api.headers("operator", **{"Idempotency-Key": "k"}),
    )
    told = "'forgive' is none of debt, reject, write_off - at `$.shortfall`"
    assert (answer.status_code, answer.json()["detail"]) == (400, told)


async def test_no_refusal_shows_a_pattern(api: Api) -> None:
    """Neither of a header nor of a body's member."""
    answer = await spend(api, b'{"amount": 1}')
    assert answer.status_code == 201
    bent = {**api.headers("operator"), "Idempotency-Key": "k" * 256}
    long = (await api.client.post(SPENDS, json={"amount": 1}, headers=bent)).json()["detail"]
    assert long == "Idempotency-Key: Expected `str` of length <= 255"
    for path, body in (
        ("/api/v1/accounts/user-1/grants", {"amount": 1, "reason": "x", "expires_at": "soon"}),
        ("/api/v1/reversals", {"reason": "x", "journal_id": "1"}),
        (
            "/api/v1/spends/batch",
            {"spends": [{"account_id": " ", "amount": 1, "idempotency_key": "k"}]},
        ),
        ("/api/v1/accounts/user-1/portal-sessions", {"return_url": "javascript:alert(1)"}),
    ):
        headers = api.headers("operator", **{"Idempotency-Key": "k"})
        told = (await api.client.post(path, json=body, headers=headers)).json()["detail"]
        assert "regex" not in told
        assert told.startswith("Expected ")
        assert " - at `$." in told
