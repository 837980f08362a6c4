"""Ids of accounts as applications have them: e-mail-like, composed, padded base64."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.api_client import Api

IDS = (
    "a|b",
    "c+d",
    "e=f",
    "g~h",
    "auth0|5f7c8ec7c33c6c004bbafe82",
    "user+tag@shop.example",
    "YQ==",
)


@pytest.mark.parametrize("known_as", IDS)
async def test_every_route_that_names_an_account_takes_it(api: Api, known_as: str) -> None:
    path = f"/api/v1/accounts/{quote(known_as, safe='')}"
    assert (await api.put(path, {})).status_code == 201
    assert (await api.get(path)).json()["id"] == known_as
    batch = await api.client.post(
        "/api/v1/spends/batch",
        json={"spends": [{"account_id": known_as, "amount": 1, "idempotency_key": "k"}]},
        headers=api.headers("service"),
    )
    assert [one["status"] for one in batch.json()["results"]] == [201]
    entries = (await api.get("/api/v1/ledger/entries", account_id=known_as)).json()["data"]
    assert {entry["account_id"] for entry in entries} == {known_as}
    assert len(entries) == 2


@pytest.mark.parametrize("known_as", IDS)
async def test_a_retry_may_write_the_path_otherwise(api: Api, known_as: str) -> None:
    """Clients differ in what they escape; it is the same request."""
    await api.put(f"/api/v1/accounts/{quote(known_as, safe='')}", {})
    headers = api.headers("service", **{"Idempotency-Key": "k"})
    for act, body in (("spends", {"amount": 1}), ("holds", {"amount": 2})):
        answers = [
            await api.client.post(
                f"/api/v1/accounts/{spelled}/{act}",
                json=body,
                headers={**headers, "Idempotency-Key": act},
            )
            for spelled in (known_as, quote(known_as, safe=""), quote(known_as, safe="|+=~@"))
        ]
        assert {one.status_code for one in answers} == {201}, answers[-1].text
        assert len({one.text for one in answers}) == 1


@pytest.mark.parametrize("bad", ["a b", "a/b", "a,b", "a;b", "a*b", "ä", "a%b", "x" * 129])
async def test_another_character_is_refused_in_words(api: Api, bad: str) -> None:
    answer = await api.put(f"/api/v1/accounts/{quote(bad, safe='')}", {})
    assert answer.status_code in (400, 404)
    if answer.status_code == 400:
        assert "A-Z a-z 0-9 . _ : @ | + = ~ -" in answer.json()["detail"]
