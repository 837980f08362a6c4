"""Calls of language models that cannot overspend: hold before, capture the cost after.

``Metered`` wraps a coroutine function of OpenAI's shape: ``litellm.acompletion``, or
``AsyncOpenAI().chat.completions.create``. The label is the model.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

from ._asynchronous import AsyncClient, AsyncHeld


@dataclass(frozen=True)
class Cost:
    """Credits that a call came to, and facts to keep beside them."""

    credits: int
    metadata: Mapping[str, str] = field(default_factory=dict)


class Prices(Protocol):
    """Prices of models."""

    def cost(self, model: str, input_tokens: int, output_tokens: int) -> Cost:
        """Price a call; raises LookupError for a model without a price."""


class GenaiPrices:
    """Prices of genai-prices (the extra ``prices``), in credits rounded up.

    The metadata names the release of the data, and its date where the data was updated since.
    """

    def __init__(self, credits_per_usd: int) -> None:
        self._credits_per_usd = credits_per_usd

    def cost(self, model: str, input_tokens: int, output_tokens: int) -> Cost:
        """Price a call by ``model`` or ``provider/model``."""
        from importlib.metadata import version  # noqa: PLC0415

        from genai_prices import Usage, calc_price  # noqa: PLC0415 - an extra

        provider, _, name = model.rpartition("/")
        usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens)
        found = calc_price(usage, name, provider_id=provider or None)
        usd: Decimal = found.total_price
        facts = {"prices": f"genai-prices {version('genai-prices')}", "usd": str(usd)}
        if found.auto_update_timestamp is not None:
            facts["prices_at"] = found.auto_update_timestamp.isoformat()
        return Cost(credits_of(usd, self._credits_per_usd), facts)


def credits_of(usd: Decimal, credits_per_usd: int) -> int:
    """Round up to whole credits: 0.0001 dollars at 1,000 credits a dollar are 1."""
    return math.ceil(usd * credits_per_usd)


class Metered:
    """A model's calls, paid by one account.

    ``hold_credits`` are held before each call: choose what the dearest call may cost. A dearer one
    takes what else is available, and never more. A failed or abandoned call is released.
    """

    def __init__(
        self,
        client: AsyncClient,
        call: Callable[..., Awaitable[Any]],
        prices: Prices,
        *,
        account_id: str,
        hold_credits: int,
    ) -> None:
        self._client = client
        self._call = call
        self._prices = prices
        self._account_id = account_id
        self._hold_credits = hold_credits

    async def __call__(self, *, model: str, member: str | None = None, **request: Any) -> Any:
        """Call the model; the whole answer. Raises InsufficientCreditsError before the call."""
        if request.get("stream"):
            raise TypeError("streams are read by .stream(…)")
        async with self._hold(model, member) as hold:
            answer = await self._call(model=model, **request)
            await self._capture(hold, model, answer.usage)
        return answer

    async def stream(
        self, *, model: str, member: str | None = None, **request: Any
    ) -> AsyncIterator[Any]:
        """Iterate over the chunks of an answer; it is paid at the end of the stream."""
        usage = None
        options = {"include_usage": True, **request.pop("stream_options", {})}
        async with self._hold(model, member) as hold:
            chunks = await self._call(model=model, stream=True, stream_options=options, **request)
            async for chunk in chunks:
                usage = getattr(chunk, "usage", None) or usage
                yield chunk
            await self._capture(hold, model, usage)

    def _hold(self, model: str, member: str | None) -> AsyncHeld:
        self._prices.cost(model, 0, 0)  # a model without a price is not called
        return self._client.hold(self._account_id, self._hold_credits, label=model, member=member)

    async def _capture(self, hold: AsyncHeld, model: str, usage: Any) -> None:
        if usage is None:
            # The provider did the work and does not tell how much: the caller pays what was held.
            await hold.capture(self._hold_credits, metadata={"usage": "unknown"})
            return
        cost = self._prices.cost(model, usage.prompt_tokens, usage.completion_tokens)
        await hold.capture(cost.credits, over="available", metadata=cost.metadata)
