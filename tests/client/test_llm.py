"""Calls of a model: held before, paid by what they came to, released where they fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from tallybook_client import AsyncClient, InsufficientCreditsError
from tallybook_client.llm import Cost, Metered, credits_of

from tests.api_client import Api


class PerToken:
    """A credit for each token of output."""

    def cost(self, model: str, input_tokens: int, output_tokens: int) -> Cost:
        if model != "acme/small":
            raise LookupError(model)
        return Cost(output_tokens, {"prices": "of the tests"})


async def answer(**request: Any) -> Any:
    """Answer as OpenAI does, with as many tokens as the request says."""
    await asyncio.sleep(0)
    usage = SimpleNamespace(prompt_tokens=1, completion_tokens=request["tokens"])
    if request.get("fail"):
        raise ConnectionError("the provider is away")
    if not request.get("stream"):
        return SimpleNamespace(usage=usage)
    assert request["stream_options"] == {"include_usage": True}

    async def chunks() -> AsyncIterator[Any]:
        yield SimpleNamespace(usage=None)
        if request.get("cut"):
            raise ConnectionError("cut")
        yield SimpleNamespace(usage=None if request.get("silent") else usage)

    return chunks()


async def metered(api: Api, hold_credits: int = 2) -> tuple[AsyncClient, Metered]:
    transport = api.client._transport
    client = AsyncClient("http://tallybook.test", api.tokens["service"], transport=transport)
    await client.put_account("team")
    call = Metered(client, answer, PerToken(), account_id="team", hold_credits=hold_credits)
    return client, call


async def available(client: AsyncClient) -> int:
    return (await client.account("team")).available


async def test_a_call_pays_what_it_came_to_under_its_model_and_member(api: Api) -> None:
    client, call = await metered(api)
    await call(model="acme/small", member="ada", tokens=1)
    assert await available(client) == 4
    await call(model="acme/small", tokens=3)
    assert await available(client) == 1, "dearer than its hold: the rest is taken of what is there"
    entries = (await api.get("/api/v1/ledger/entries", label="acme/small", kind="spend")).json()
    assert entries["data"][0]["member"] == "ada"
    with pytest.raises(InsufficientCreditsError):
        await call(model="acme/small", tokens=1)
    with pytest.raises(LookupError):
        await call(model="acme/unknown", tokens=1)


async def test_failures_cut_streams_and_abandoned_ones_are_released(api: Api) -> None:
    client, call = await metered(api)
    with pytest.raises(ConnectionError):
        await call(model="acme/small", tokens=1, fail=True)
    with pytest.raises(ConnectionError):
        [chunk async for chunk in call.stream(model="acme/small", tokens=1, cut=True)]
    stream = call.stream(model="acme/small", tokens=1)
    await anext(stream)
    assert await available(client) == 3, "held while it runs"
    await stream.aclose()  # type: ignore[attr-defined]
    assert await available(client) == 5
    assert len([chunk async for chunk in call.stream(model="acme/small", tokens=1)]) == 2
    assert await available(client) == 4
    [chunk async for chunk in call.stream(model="acme/small", tokens=1, silent=True)]
    assert await available(client) == 2, "what it came to is not told: the hold is paid"


def test_a_fraction_of_a_credit_is_one() -> None:
    assert [credits_of(Decimal(usd), 1_000) for usd in ("0", "0.0001", "0.001", "0.0011")] == [
        0,
        1,
        1,
        2,
    ]


async def test_calls_at_once_never_pass_the_budget(api: Api) -> None:
    client, call = await metered(api, hold_credits=1)
    calls = [call(model="acme/small", tokens=2) for _ in range(40)]
    ended = await asyncio.gather(*calls, return_exceptions=True)
    refused = [one for one in ended if isinstance(one, InsufficientCreditsError)]
    paid = [one for one in ended if not isinstance(one, BaseException)]
    assert len(refused) + len(paid) == 40
    assert 1 <= len(paid) <= 5
    account = await client.account("team")
    assert account.available >= 0
    assert (account.held, account.debt) == (0, 0)
